"""Embedders of workers that a test wants to see killed, raising or of other weights."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earful.model.audio import Clip
from tests.support.levels import Array, Levels

DEADLY, RAISING = 0.9, 0.8


def _has(clips: Sequence[Clip], level: float) -> bool:
    return any(abs(float(np.abs(clip.samples).mean()) - level) < 0.01 for clip in clips)


class Deadly(Levels):
    """One that ends its process at some recordings, and raises at others."""

    def embed(self, clips: Sequence[Clip]) -> Array:
        if _has(clips, DEADLY):
            os._exit(1)
        if _has(clips, RAISING):
            raise RuntimeError("cannot embed this")
        return super().embed(clips)


class OtherWeights(Levels):
    """One with other weights than those of the build."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = replace(self.fingerprint, weights_sha256="f" * 64)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Loads embedders, of which the first one waits to be killed in the midst of a unit.

    Args:
        folder: Where it writes the number of its process.
        level: Of the recording at which it waits.
    """

    folder: Path
    level: float

    def __call__(self) -> Levels:
        return _Waiting(self.folder / "pid", self.level)


class _Waiting(Levels):
    def __init__(self, told: Path, level: float) -> None:
        super().__init__()
        self._told = told
        self._level = level

    def embed(self, clips: Sequence[Clip]) -> Array:
        if _has(clips, self._level) and not self._told.exists():
            beside = self._told.with_suffix(".new")
            beside.write_text(str(os.getpid()), encoding="ascii")
            beside.rename(self._told)
            time.sleep(600)
        return super().embed(clips)


def when_there(path: Path, then: Callable[[str], None], *, timeout_s: float = 120.0) -> None:
    """Wait for a file, and hand on what is in it."""
    until = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > until:
            return
        time.sleep(0.05)
    then(path.read_text(encoding="ascii"))
