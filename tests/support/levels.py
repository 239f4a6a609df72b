"""Recordings of constant level, and an embedder whose vectors one can compute by hand."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from earful.index import Index
from earful.model import Fingerprint
from earful.model.audio import Clip

RATE = 8000
Array = NDArray[np.float32]


class Levels:
    """An embedder one can compute by hand: mean absolute level m to (m, sqrt(1 - m^2), 0...)."""

    def __init__(self, dim: int = 2, *, fail_at: int = 0, failure: type[BaseException] = OSError):
        self.fingerprint = Fingerprint(
            name="levels",
            revision="",
            weights_sha256="",
            dim=dim,
            sample_rate=RATE,
            windowing="whole",
        )
        self.batches: list[list[float]] = []
        self._fail_at = fail_at
        self._failure = failure

    @property
    def n_clips(self) -> int:
        return sum(map(len, self.batches))

    def embed(self, clips: Sequence[Clip]) -> Array:
        self.batches.append([clip.duration_s for clip in clips])
        if len(self.batches) == self._fail_at:
            raise self._failure("stopped on purpose")
        vectors = np.zeros((len(clips), self.fingerprint.dim), dtype=np.float32)
        for row, clip in enumerate(clips):
            assert clip.sample_rate == RATE
            level = float(np.abs(clip.samples).mean())
            vectors[row, :2] = level, np.sqrt(1 - level**2)
        return vectors


def write_level(path: Path, level: float, *, seconds: float = 0.05) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.full(round(RATE * seconds), level, dtype=np.float32)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def levels_of(index: Index) -> dict[str, float]:
    vectors = index.vectors()
    return {
        exemplar.id: round(float(vector[0]), 4)
        for exemplar, vector in zip(vectors.exemplars, vectors.vectors, strict=True)
    }
