"""Durable writes: fsync, atomic replace, and locks on unfinished files."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from earful.errors import ModelError

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a used-up quota, and a file of the largest size allowed."""


def sync_file(path: str | os.PathLike[str]) -> None:
    """Flush a file's content to the disk.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk: files made, renamed and removed in it.

    Raises:
        OSError: It cannot be opened, or the disk failed.
    """
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def temporary_name(name: str) -> str:
    """Return the name that a file has until it is complete."""
    return f".{name}.tmp"


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Replace a file so that a reader or a crash sees all the old or all the new.

    Args:
        path: The file; the caller makes sure that only one process writes it at a time.

    Yields:
        The path to write to; it takes the file's name when the block ends, and is removed if the
        block raises.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    beside = path.with_name(temporary_name(path.name))
    try:
        yield beside
        sync_file(beside)
        os.replace(beside, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that a reader or a crash sees all the old or all the new.

    Permissions stay as they were; a new file gets the usual ones.

    Args:
        path: The file; the caller makes sure that only one process writes it at a time.
        text: The whole content, written as UTF-8 with lone surrogates as they are.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    with (
        replaced(path) as beside,
        open(beside, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file,
    ):
        with suppress(FileNotFoundError):
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
        file.write(text)


def lock_unfinished(descriptor: int, path: Path) -> bool:
    """Lock an unfinished file or folder while it is open: the lock ends with the process.

    Args:
        descriptor: Of the open file or folder.
        path: The path it was opened at.

    Returns:
        Whether it was free and is still there: a former holder may have finished it, and
        renamed or removed it.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def hold_partial(partial: Path, folder: Path) -> int:
    """Create and lock the empty folder that a model is written into.

    Args:
        partial: The folder; files that a killed process left in it are removed.
        folder: Its final name, for errors.

    Returns:
        Its descriptor, to be closed when it is finished or removed.

    Raises:
        ModelError: Another process holds it.
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
    """Remove everything in a folder, and keep the folder.

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
