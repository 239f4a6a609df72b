"""Faults: what goes wrong with a request becomes a status, a code and one sentence."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Final

from earful.errors import (
    BUG,
    AudioError,
    EarfulError,
    EndpointError,
    FilterError,
    IndexBusyError,
    IndexFolderError,
    MissingExtraError,
    ModelError,
    PromptError,
    ServeError,
    TaskError,
    UnknownNameError,
    UnknownSourceError,
    help_link,
)

_log = logging.getLogger(__name__)

UNEXPECTED: Final = (
    "something went wrong in the server; what it printed says more, and "
    "`earful --debug serve ...` says most"
)

# The first that fits counts: the more special come first.
_BY_KIND: Final[tuple[tuple[type[EarfulError], int, str, str], ...]] = (
    (UnknownSourceError, 404, "unknown_source", "source"),
    (AudioError, 415, "audio", "audio"),
    (TaskError, 422, "task", "task"),
    (FilterError, 422, "filter", "where"),
    (PromptError, 422, "question", ""),
    (IndexBusyError, 409, "busy", ""),
    (IndexFolderError, 409, "index", ""),
    (MissingExtraError, 501, "missing_extra", ""),
    (EndpointError, 502, "endpoint", ""),
    (UnknownNameError, 422, "unknown_name", ""),
    (ModelError, 422, "model", ""),
)

# Of POSIX, or of Windows: a drive's, or a share's.
_PATH = re.compile(
    r"(?<![\w./])(?:/[^/\s'\"`;,:()]+){2,}"
    r"|(?<![\w\\])(?:[A-Za-z]:|\\)(?:[\\/][^\\/\s'\"`;,:()]+)+"
)


class RequestError(ServeError):
    """A request cannot be met; HTTP says why by its status.

    Attributes:
        status: HTTP status.
        code: Short name of the fault, for programs.
        field: Field of the request that is at fault; empty for none.
        retry_after_s: Seconds after which it may go well; ``None`` for never.
        explained_at: Section of the page of troubleshooting, as of ``EarfulError.anchor``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 422,
        code: str = "invalid",
        field: str = "",
        retry_after_s: int | None = None,
        explained_at: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.field = status, code, field
        self.explained_at = explained_at or self.anchor
        self.retry_after_s = retry_after_s


def fault_of(error: EarfulError) -> RequestError:
    """Return an error as the fault of a request.

    >>> fault_of(FilterError("where: ...")).status
    422
    """
    if isinstance(error, RequestError):
        return error
    # Errors of other rooms may bring their own status, such as 409 for what another has leased.
    status, code = getattr(error, "status", None), getattr(error, "code", "")
    if isinstance(status, int):
        return RequestError(
            str(error), status=status, code=str(code) or "refused", explained_at=error.anchor
        )
    for kind, status, code, field in _BY_KIND:
        if isinstance(error, kind):
            wait_s = 5 if kind is IndexBusyError else None
            return RequestError(
                str(error),
                status=status,
                code=code,
                field=field,
                retry_after_s=wait_s,
                explained_at=error.anchor,
            )
    return RequestError(str(error), explained_at=error.anchor)


def unexpected(error: BaseException, what: str) -> RequestError:
    """Log an error that nobody planned for, and return the fault that a client is told.

    Args:
        error: What was raised.
        what: What failed; neither a query nor a header, which hold secrets.
    """
    _log.error("%s failed: %s: %s", what, type(error).__name__, error, exc_info=error)
    return RequestError(UNEXPECTED, status=500, code="unexpected", explained_at=BUG)


def fault_body(fault: RequestError, folders: Iterable[Path] = ()) -> dict[str, object]:
    """Return the JSON of a fault, without paths.

    Args:
        fault: What went wrong.
        folders: Files and folders that the server has opened, for their names.
    """
    message = hide_paths(str(fault), folders)
    help_ = help_link(fault.explained_at)
    return {"error": {"code": fault.code, "message": message, "field": fault.field, "help": help_}}


def fault_headers(fault: RequestError) -> Mapping[str, str]:
    """Return the headers that go with a fault."""
    return {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}


def hide_paths(text: str, folders: Iterable[Path] = ()) -> str:
    r"""Return a message with names in place of paths: where files lie is nobody else's business.

    >>> hide_paths("/home/ana/a b/x.wav: no such file", [Path("/home/ana/a b")])
    'a b/x.wav: no such file'
    >>> hide_paths("/data/night/x.wav: is a folder, expected 1/2")
    'x.wav: is a folder, expected 1/2'
    >>> hide_paths(r"C:\Users\ana\x.wav: no such file")
    'x.wav: no such file'
    """
    known = {str(each): each.name for each in folders}
    known |= {str(each.absolute()): each.name for each in folders}
    # The longest first: one may lie in another. What is relative is a name already.
    for path in sorted(known, key=len, reverse=True):
        if os.path.isabs(path) and known[path]:
            text = text.replace(path, known[path])
    return _PATH.sub(lambda found: PureWindowsPath(found.group()).name, text)
