"""Place: where an index is pushed to and pulled from, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from earful.errors import SharingError
from earful.index.sharing.layout import REQUIRED, SharedFile, is_part

Progress = Callable[[int, int], None]
"""Called with the bytes that were sent or fetched, and the bytes of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a place holds at one revision.

    Attributes:
        revision: Hash of the commit; of a folder a digest.
        files: All of its files.
        private: Whether only its owners see it; ``None`` where that is no question.
    """

    revision: str
    files: tuple[SharedFile, ...]
    private: bool | None = None

    @property
    def holds_share(self) -> bool:
        """Whether an index was pushed there."""
        return set(REQUIRED) <= {file.name for file in self.files}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is sent to a place, as one change.

    Attributes:
        folder: Where the files lie.
        files: Those to send.
        remove: Paths to remove at the place.
        message: What the change is called.
        parent: The revision that it follows; another one in between refuses it.
        private: Whether a new place is for its owners only.
    """

    folder: Path
    files: tuple[SharedFile, ...]
    remove: tuple[str, ...]
    message: str
    parent: str
    private: bool


class Place(Protocol):
    """Where an index is pushed to and pulled from."""

    @property
    def name(self) -> str:
        """``ORG/NAME``, or the folder's path."""
        ...

    @property
    def endpoint(self) -> str:
        """Address of the hub; empty for a folder."""
        ...

    @property
    def address(self) -> str:
        """Where people find it."""
        ...

    def look(self, revision: str = "") -> Listing | None:
        """Return what it holds; ``None`` where there is no such place yet.

        Raises:
            SharingError: It cannot be reached, or has no such revision.
        """
        ...

    def read(self, listing: Listing, file: SharedFile) -> bytes:
        """Return the bytes of a small file."""
        ...

    def fetch(
        self, listing: Listing, files: Sequence[SharedFile], folder: Path, progress: Progress | None
    ) -> None:
        """Fetch files into a folder; what an earlier try fetched is not fetched again.

        Raises:
            SharingError: One cannot be fetched.
        """
        ...

    def begin(self, *, private: bool) -> Listing:
        """Make the place, and return what it holds."""
        ...

    def send(self, sending: Sending, progress: Progress | None) -> str:
        """Send files as one change, and return its revision.

        Raises:
            SharingError: It cannot be reached, refuses, or was changed in the meantime.
        """
        ...


def stale_parts(listing: Listing, kept: Sequence[SharedFile]) -> tuple[str, ...]:
    """Return the parts of an index at a place that are none of those to be pushed."""
    names = {file.name for file in kept}
    return tuple(
        sorted(file.name for file in listing.files if is_part(file.name) and file.name not in names)
    )


def changed_meanwhile(where: str) -> SharingError:
    """Return the error to raise where another push was first."""
    return SharingError(
        f"{where}: was changed by somebody else while this was on its way, so nothing was pushed; "
        "look at it, then push again"
    )
