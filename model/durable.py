"""What the disk must remember: files and folders, handed to it before anything counts on them."""

from __future__ import annotations

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


def _sync(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
