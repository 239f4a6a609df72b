"""Prepared cache: what is fitted once for an index and a task, kept for the next process.

::

    sounds.index/prepared/<key>.npz      arrays by name, and a SHA-256

``key`` names everything that the arrays depend on, so a stale entry is never found. What is
missing or damaged is fitted again; beyond a number of files the oldest are dropped.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.index.cache.features import drop_oldest, keep_sealed, read_sealed

PREPARED_NAME: Final = "prepared"
_MOST_FILES: Final = 64

Arrays = Mapping[str, NDArray[Any]]


class PreparedCache:
    """The prepared cache of one index folder.

    Any number of processes may read and write: a file appears complete or not at all. Where the
    folder cannot be written nothing is kept, and each process fits by itself.

    Args:
        index: Index folder.
    """

    def __init__(self, index: Path) -> None:
        self._folder = index / PREPARED_NAME

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays under a key of ``key_of``, or ``None``."""
        try:
            content = read_sealed(self._folder / f"{key}.npz")
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def get_or_make(self, key: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return the arrays under a key, made and kept where there are none yet."""
        if (found := self.get(key)) is not None:
            return found
        made = make()
        self.put(key, made)
        return {name: np.asarray(array) for name, array in made.items()}

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key of ``key_of``."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        with suppress(OSError):
            keep_sealed(self._folder / f"{key}.npz", buffer.getvalue())
            drop_oldest(self._folder, "*.npz", _MOST_FILES)


def key_of(*values: object) -> str:
    """Return the key of JSON values that decide what is kept."""
    plain = json.dumps(values, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(plain.encode("ascii")).hexdigest()
