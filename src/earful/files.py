"""Durable writes, files that appear complete, and the folder that something is written into."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from earful.errors import ModelError
from earful.system import FileLock, lock_beside, replace_file, sync_file, sync_folder

NO_ROOM: Final = tuple(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)
)
"""Error numbers of a full disk, a used-up quota, and a file of the largest size allowed."""

_PARTIAL: Final = ".partial"
# Nobody takes this long to write a file: an older partial one was left by a kill.
_LEFT_BEHIND_S: Final = 3600.0


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
        replace_file(beside, path)
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
            # Before anything is in it: it may be what only its owner may read.
            os.chmod(beside, path.stat().st_mode & 0o777)
        file.write(text)


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Give a file to write, in a folder that is made, which becomes ``path`` once it is complete.

    Several may write it at a time. Nothing is flushed to the disk.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=_PARTIAL)
    os.close(handle)
    try:
        yield Path(partial)
        replace_file(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def keep_file(path: Path, content: bytes) -> None:
    """Write a cache file, and its folder; it appears complete, also with several writers.

    Raises:
        OSError: It cannot be written.
    """
    with partial_file(path) as partial:
        partial.write_bytes(content)


def drop_left_behind(folder: Path) -> None:
    """Remove partial files from a folder where a writer was killed some time ago."""
    with suppress(OSError):
        for path in folder.glob(f"*{_PARTIAL}"):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                path.unlink(missing_ok=True)


def hold_partial(partial: Path, folder: Path) -> FileLock:
    """Create and lock the empty folder that a model is written into.

    Args:
        partial: The folder; files that a killed process left in it are removed.
        folder: Its final name, for errors.

    Returns:
        The lock, to be released when the folder is finished or removed.

    Raises:
        ModelError: Another process holds it.
        OSError: It cannot be written.
    """
    partial.mkdir(parents=True, exist_ok=True)
    # Beside it: Windows renames no folder in which a file is open.
    lock = FileLock(lock_beside(partial))
    if not lock.acquire():
        raise ModelError(
            f"{folder}: another process is writing it; wait until it is done, or choose a new "
            "folder"
        )
    try:
        partial.mkdir(exist_ok=True)  # its former holder may have renamed it just before
        empty_folder(partial)
    except BaseException:
        lock.release()
        raise
    return lock


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
