"""Open files by descriptor: binary on every system, and read and written at a place."""

from __future__ import annotations

import errno
import os
import threading
from typing import Final

# Flags that a system lacks say nothing there; without O_BINARY, Windows rewrites line ends.
_BINARY: Final = getattr(os, "O_BINARY", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_ONE_PLACE: Final = threading.Lock()


def open_descriptor(
    path: str | os.PathLike[str],
    flags: int,
    mode: int = 0o644,
    *,
    wait: bool = True,
    follow: bool = True,
) -> int:
    """Open a file in binary; children do not inherit it.

    Args:
        path: The file.
        flags: As for ``os.open``.
        mode: Permissions of a new file.
        wait: Whether opening may wait, as it does for a pipe that nobody writes to.
        follow: Whether a link is followed. Where the system cannot refuse one while it opens, it
            is looked for before: somebody who may write the folder could exchange it in between.

    Returns:
        The descriptor, for the caller to close.

    Raises:
        OSError: It cannot be opened.
    """
    if not follow and not _NO_LINK and os.path.islink(path):
        raise OSError(errno.ELOOP, "Too many levels of symbolic links", os.fspath(path))
    flags |= _BINARY | (0 if wait else _NO_WAIT) | (0 if follow else _NO_LINK)
    return os.open(path, flags, mode)


def can_read_at() -> bool:
    """Return whether reading at a place of a file leaves the descriptor's own place alone."""
    return hasattr(os, "pread")


def read_at(descriptor: int, n_bytes: int, at: int) -> bytes:
    """Read at most so many bytes at a place of a file; ``b""`` at its end.

    Where the system cannot do so, the descriptor's own place moves.

    Raises:
        OSError: It cannot be read.
    """
    if can_read_at():
        return os.pread(descriptor, n_bytes, at)
    with _ONE_PLACE:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.read(descriptor, n_bytes)


def write_at(descriptor: int, content: bytes | memoryview, at: int) -> int:
    """Write bytes at a place of a file; return how many were written.

    Where the system cannot do so, the descriptor's own place moves.

    Raises:
        OSError: They cannot be written.
    """
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, content, at)
    with _ONE_PLACE:
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.write(descriptor, content)
