"""Reports: HTML pages that earful wrote beside an index and scans, found anew at each look."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.errors import ServeError
from earful.html import PAGE_MARK
from earful.serve.faults import RequestError
from earful.system import open_descriptor
from earful.values import short_repr
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.serve.state import ServerState

REPORT_POLICY: Final = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
"""What a report may do: its own scripts run, without our origin, cookies or any address."""

_MOST_LISTED: Final = 500
_MOST_BYTES: Final = 128 << 20
_HEAD_BYTES: Final = 2048
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report.

    Attributes:
        id: By which it is asked for.
        name: Its file's name.
        folder: Name of the folder that it lies in.
        size_bytes: Its size.
        changed_at: When it was written, in UTC.
        path: Where it lies; it never leaves the server.
    """

    id: str
    name: str
    folder: str
    size_bytes: int
    changed_at: datetime
    path: Path

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return what a page is told of it, as plain JSON values."""
        return {
            "id": self.id,
            "name": self.name,
            "folder": self.folder,
            "size_bytes": self.size_bytes,
            "changed_at": self.changed_at.isoformat(),
        }


class Reports:
    """Reports of a server, in the folders that it has opened.

    These are the folders of the index and of the scans, and those that they lie in; nothing below
    them, no links, and of other people's pages none: only what earful itself wrote.

    Args:
        state: Of the server.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where reports are looked for."""
        opened = [self._state.index_path]
        opened += [review.folder for review in self._state.reviews.values()]
        found = [folder for path in opened for folder in (path.resolve(), path.resolve().parent)]
        return tuple(dict.fromkeys(found))

    def list(self) -> list[Report]:
        """Return the newest 500 reports, the newest first."""
        found = [report for folder in self.folders for report in _reports(folder)]
        found.sort(key=lambda one: (-one.changed_at.timestamp(), one.name, one.id))
        return found[:_MOST_LISTED]

    def read(self, id: str) -> bytes:
        """Return a report.

        Raises:
            RequestError: There is none of that id, or it is too large.
        """
        for folder in self.folders:
            for report in _reports(folder):
                if report.id == id:
                    return _read_report(report)
        raise RequestError(
            f"report {quoted(id)}: is none that lies beside the index or a scan; GET /api/reports "
            "lists them",
            status=404,
            code="unknown_report",
        )


def _reports(folder: Path) -> Iterator[Report]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.lower().endswith(".html") or entry.name.startswith("."):
            continue
        path = folder / entry.name
        try:
            descriptor = _open(path)
        except OSError:
            continue
        try:
            about = os.fstat(descriptor)
            is_ours = stat.S_ISREG(about.st_mode) and PAGE_MARK in os.read(descriptor, _HEAD_BYTES)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if is_ours:
            digest = hashlib.sha256(os.fsencode(path)).hexdigest()
            yield Report(
                id=digest[:_DIGITS],
                name=entry.name,
                folder=folder.name,
                size_bytes=about.st_size,
                changed_at=datetime.fromtimestamp(about.st_mtime, UTC),
                path=path,
            )


def _read_report(report: Report) -> bytes:
    try:
        with open(_open(report.path), "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ServeError(f"{report.name}: cannot be read ({error.strerror})") from error
    if PAGE_MARK not in content[:_HEAD_BYTES] or len(content) > _MOST_BYTES:
        raise RequestError(
            f"{report.name}: is no report of at most {_MOST_BYTES >> 20} MiB any more",
            status=404,
            code="unknown_report",
        )
    return content


def _open(path: Path) -> int:
    """Open a file that is no link; one that would wait, such as a pipe, does not."""
    return open_descriptor(path, os.O_RDONLY, wait=False, follow=False)
