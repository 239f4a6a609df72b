"""What the disk must remember, handed to it before anything counts on it; and who may write it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from earful.errors import ModelError

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system calls a disk, a quota or a file that can take no more."""


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


def temporary_name(name: str) -> str:
    """Return what a file is called until it is complete."""
    return f".{name}.tmp"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader or a crash sees the old one or the new one, whole.

    Who may read and write it stays as it was; a new file is made as any other is.

    Args:
        path: Where; one process at a time, which is the caller's to see to.
        text: All of it, written as UTF-8 with half characters as they are.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    beside = path.with_name(temporary_name(path.name))
    try:
        with open(beside, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


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


def hold_partial(partial: Path, folder: Path) -> int:
    """Make the empty folder that a model is written in, and take it.

    Args:
        partial: Where; what a killed process left there is dropped.
        folder: What it becomes, for errors.

    Returns:
        Its descriptor, to be closed when it is finished or dropped.

    Raises:
        ModelError: Another process has it.
        OSError: It cannot be written.
    """
    partial.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock_unfinished(descriptor, partial):
            raise ModelError(
                f"{folder}: another process is writing it; wait until it is done, or choose a new "
                "folder"
            )
        empty_folder(partial)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def empty_folder(folder: Path) -> None:
    """Remove what is in a folder, and leave the folder.

    Raises:
        OSError: Something cannot be removed.
    """
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
