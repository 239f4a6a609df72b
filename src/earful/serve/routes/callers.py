"""Callers: which page asks, and for whom."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import Request

from earful.errors import ServeError
from earful.serve.faults import RequestError
from earful.serve.settings import require_reviewer
from earful.serve.state import ServerState

_LONGEST_CLIENT = 64


def client_of(request: Request) -> str:
    """Return the page that asks, by its header ``X-Earful-Client``; else its address.

    Raises:
        RequestError: The header is none of 1 to 64 printable ASCII characters.
    """
    given = request.headers.get("x-earful-client")
    if given is None:
        return request.client.host if request.client else ""
    if not (0 < len(given) <= _LONGEST_CLIENT and given.isascii() and given.isprintable()):
        raise RequestError(
            f"X-Earful-Client: expected 1 to {_LONGEST_CLIENT} printable ASCII characters",
            field="X-Earful-Client",
        )
    return given


def reviewer_of(request: Request, state: ServerState) -> str:
    """Return who labels, by the header ``X-Earful-Reviewer``, percent-encoded; else the server's.

    Raises:
        RequestError: The header is no name.
    """
    given = request.headers.get("x-earful-reviewer")
    if given is None:
        return state.settings.reviewer
    try:
        return require_reviewer(unquote(given, errors="strict"))
    except (ServeError, UnicodeDecodeError) as error:
        raise RequestError(f"X-Earful-Reviewer: {error}", field="X-Earful-Reviewer") from error
