"""Digests and JSON tables of a folder of weights."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from earful.errors import ModelError
from earful.system import n_processors


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON table.

    Raises:
        ModelError: The file is missing, cannot be read, or holds no table.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); download or convert the model again"
        ) from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: expected a table, got {type(values).__name__}")
    return values


def write_json(path: Path, values: Mapping[str, object], *, sort_keys: bool = False) -> None:
    """Write a JSON table that people can read, too.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(values, indent=1, ensure_ascii=False, sort_keys=sort_keys)
    path.write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file, however large it is.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        # A pipe would block for ever, and a device has no end.
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_changed_files(
    folder: Path,
    digests: Mapping[str, str],
    *,
    progress: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Find the files that no longer have their digests.

    Several files are read at once, one for each core.

    Args:
        folder: Where the files are; a name never leads out of it.
        digests: Hex SHA-256 by file name.
        progress: Called with each file's name, in order, before waiting for it.

    Returns:
        For each changed file's name a predicate, such as ``"is missing"``.
    """
    changes: dict[str, str] = {}
    readers = ThreadPoolExecutor(n_processors(), "earful-digest")
    try:
        reading = {
            name: readers.submit(_change_of, folder / Path(name).name, expected)
            for name, expected in sorted(digests.items())
        }
        for name, reader in reading.items():
            if progress is not None:
                progress(name)
            if change := reader.result():
                changes[name] = change
    finally:
        readers.shutdown(cancel_futures=True)
    return changes


def _change_of(path: Path, expected: str) -> str:
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found == expected:
        return ""
    return f"has changed: sha256 {found[:12]}…, expected {expected[:12]}…"


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
