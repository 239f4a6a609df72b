"""What the disk must remember, handed to it before anything counts on it; and who may write it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def sync_file(path: str | os.PathLike[str]) -> None:
    """Ask the disk to remember a file's content.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Ask the disk to remember a folder's entries: what was made, renamed and removed in it.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def lock_unfinished(descriptor: int, path: Path) -> bool:
    """Take what is being written, as long as it stays open: a lock dies with its process.

    Args:
        descriptor: Of the open file or folder.
        path: Where it was opened.

    Returns:
        Whether nobody had it, and it is still there: whoever had it may have finished, and
        renamed or dropped it.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
