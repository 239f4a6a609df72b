"""Durable changes: what is flushed to the disk, and how a name changes in one step."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

# What Windows says of a file that somebody has open or mapped; virus scanners and indexers have
# every new file open for a moment.
_IN_USE: Final = (5, 32, 33, 1224)
_TRIES_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def flush(descriptor: int) -> None:
    """Flush an open file to the disk.

    macOS keeps what is flushed in the drive's own memory, unless it is asked for more.

    Raises:
        OSError: The disk failed, or is full.
    """
    if sys.platform == "darwin":
        with suppress(ImportError, OSError):  # a network file system may not know it
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_file(path: str | os.PathLike[str]) -> None:
    """Flush a file's content to the disk.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    # Windows flushes only what was opened for writing.
    _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk: files made, renamed and removed in it.

    Windows opens no folders; there the file system's own journal keeps names in order.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    if hasattr(os, "O_DIRECTORY"):
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def replace_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file, in place of one that is there.

    Windows refuses while somebody has either of them open; it is tried for some 1.6 s.

    Raises:
        OSError: It cannot be renamed; both are as they were.
    """
    _until_free(lambda: os.replace(source, target), target)


def replace_folder(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a folder, in place of an empty one if there is any.

    Raises:
        OSError: It cannot be renamed: the other is not empty or, on Windows, a file in one of
            them is open.
    """
    if os.name == "nt" and os.path.isdir(target):
        os.rmdir(target)  # Windows renames no folder to a name that is taken
    _until_free(lambda: os.replace(source, target), target)


def _until_free(rename: Callable[[], None], target: str | os.PathLike[str]) -> None:
    for wait_s in _TRIES_S:
        try:
            return rename()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            time.sleep(wait_s)
    try:
        rename()
    except PermissionError as error:
        reason = "is open in another program, or may not be changed; close it there, and try again"
        raise PermissionError(error.errno, reason, os.fspath(target)) from error


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
