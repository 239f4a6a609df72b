"""Feature cache: a language model's features of exemplars' audio, kept with the index.

::

    sounds.index/features/<maker>/<content>.npy     float32, (n_windows, dim), and a SHA-256

``maker`` names the encoder's weights and front end, ``content`` the decoded segment, so a
stale entry is never found. What is missing or damaged is computed again. Nothing is flushed to
the disk; a file torn by a power cut fails its digest, which follows the array, where NumPy
does not read.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.files import drop_left_behind, keep_file

FEATURES_NAME = "features"

_CONTENT_DIGITS = 64
_DIGEST_BYTES = 32


class FeatureCacheFolder:
    """The feature cache of one index folder.

    Any number of processes may read and write: a file appears complete or not at all.

    Args:
        index: Index folder.

    Attributes:
        fault: Why features cannot be kept, for example because the folder is read-only;
            empty when they can.
    """

    def __init__(self, index: Path) -> None:
        self._folder = index / FEATURES_NAME
        self.fault = ""

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the features under a key, or ``None``."""
        path = self._path(key)
        try:
            features = np.load(io.BytesIO(read_sealed(path)), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = features.dtype == np.float32 and features.ndim == 2 and features.size
        return features if whole and np.isfinite(features).all() else None

    def put(self, key: str, features: NDArray[np.float32]) -> None:
        """Keep features under a key.

        Args:
            key: ``"maker/content"``, hex digits.
            features: float32, shape ``(n_windows, dim)``.
        """
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        try:
            keep_sealed(self._path(key), buffer.getvalue())
        except OSError as error:
            self.fault = (
                f"features of exemplars cannot be kept in {self._folder} ({error.strerror}), so "
                "every query encodes them again"
            )

    def contents(self) -> set[str]:
        """Return ``content_sha256`` of every recording that features are kept of."""
        return {path.stem[:_CONTENT_DIGITS] for path in self._folder.glob("*/*.npy")}

    def prune(self, contents: Set[str]) -> int:
        """Drop the features of recordings that are gone, and partial files that kills left.

        Args:
            contents: ``content_sha256`` of the rows of the index; those of ``contents()`` will do.

        Returns:
            How many files of features were dropped.
        """
        stale = [
            path
            for path in self._folder.glob("*/*.npy")
            if path.stem[:_CONTENT_DIGITS] not in contents
        ]
        for path in stale:
            path.unlink(missing_ok=True)
        for maker in self._folder.glob("*/"):
            drop_left_behind(maker)
        return len(stale)

    def _path(self, key: str) -> Path:
        maker, _, content = key.partition("/")
        if not (maker.isalnum() and content.isalnum()):
            raise ValueError(f"key {key!r}: expected 'maker/content', both of hex digits")
        return self._folder / maker / f"{content}.npy"


def keep_sealed(path: Path, content: bytes) -> None:
    """Write a cache file that ends with the SHA-256 of its content.

    Raises:
        OSError: It cannot be written.
    """
    keep_file(path, content + hashlib.sha256(content).digest())


def read_sealed(path: Path) -> bytes:
    """Return the content of a file that ``keep_sealed`` wrote.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not as it was written.
    """
    sealed = path.read_bytes()
    content, digest = sealed[:-_DIGEST_BYTES], sealed[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{path}: is damaged")
    return content


def drop_oldest(folder: Path, pattern: str, most: int) -> None:
    """Remove all but the newest files of a pattern, and what killed writers left."""
    with suppress(OSError):
        files = [(path.stat().st_mtime_ns, path) for path in folder.glob(pattern)]
        for _, path in sorted(files)[:-most]:
            path.unlink(missing_ok=True)
    drop_left_behind(folder)
