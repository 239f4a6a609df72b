"""What a language model makes of exemplars' audio, kept with the index.

::

    sounds.index/features/<maker>/<content>.npy     float32, (n_windows, dim)

``maker`` names the encoder's weights and front end, ``content`` the decoded stretch, so a
stale entry cannot be met. It is a cache: what is missing or damaged is made again.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FEATURES_NAME = "features"

_CONTENT_DIGITS = 64


class ExemplarFeatures:
    """The features kept in one index folder.

    Any number of processes may read and write: a file appears whole or not at all.

    Args:
        index: Index folder.

    Attributes:
        fault: Why features cannot be kept, such as a folder that is read-only; empty when
            they can.
    """

    def __init__(self, index: Path) -> None:
        self._folder = index / FEATURES_NAME
        self.fault = ""

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return what was put under a key, or ``None``."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                features = np.load(file, allow_pickle=False)
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
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        try:
            keep_file(self._path(key), content.getvalue())
        except OSError as error:
            self.fault = (
                f"features of exemplars cannot be kept in {self._folder} ({error.strerror}), so "
                "every query encodes them again"
            )

    def prune(self, contents: Set[str]) -> int:
        """Drop the features of recordings that are no longer there.

        Args:
            contents: ``content_sha256`` of all that is.

        Returns:
            How many were dropped.
        """
        stale = [
            path
            for path in self._folder.glob("*/*.npy")
            if path.stem[:_CONTENT_DIGITS] not in contents
        ]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _path(self, key: str) -> Path:
        maker, _, content = key.partition("/")
        if not (maker.isalnum() and content.isalnum()):
            raise ValueError(f"key {key!r}, want 'maker/content' of hex digits")
        return self._folder / maker / f"{content}.npy"


def keep_file(path: Path, content: bytes) -> None:
    """Write a file of a cache, and its folder: whole or not at all, whoever else does.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise
