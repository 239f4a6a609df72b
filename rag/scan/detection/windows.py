"""Windows of a recording: stretches of some steps, one beginning at each step."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model import StepEmbedder

AT_ONCE: Final = 4096
"""Windows whose vectors are in memory together."""
_PARTS_AT_ONCE: Final = 64

Vectors = NDArray[np.float32]
Steps = NDArray[np.floating]
Rows = NDArray[np.intp]


class Windows:
    """A way to cut recordings into windows.

    Window ``i`` begins at step ``i`` and stands for its middle.

    Args:
        embedder: Whose steps are pooled.
        window_s: Length in seconds, rounded to whole steps.

    Attributes:
        step_s: Seconds from one window to the next.
        length: Steps of a window.
    """

    def __init__(self, embedder: StepEmbedder, window_s: float) -> None:
        self._embedder = embedder
        self.step_s = embedder.step_samples / embedder.steps_rate
        self.length = max(1, round(window_s / self.step_s))

    def count(self, steps: Steps) -> int:
        """Return the number of windows; a recording shorter than one has one."""
        return max(1, len(steps) - self.length + 1) if len(steps) else 0

    def centre_s(self, row: float) -> float:
        """Return the time that a window stands for, in seconds."""
        return (row + self.length / 2) * self.step_s

    def rows_within(self, start_s: float, end_s: float, n_windows: int) -> Rows:
        """Return the windows whose middle lies in a stretch; the nearest one if none does."""
        half = self.length / 2
        first = int(np.ceil(start_s / self.step_s - half))
        stop = int(np.ceil(end_s / self.step_s - half))
        rows = np.arange(max(0, first), min(stop, n_windows), dtype=np.intp)
        if rows.size:
            return rows
        nearest = round((start_s + end_s) / 2 / self.step_s - half)
        return np.array([min(max(nearest, 0), n_windows - 1)], dtype=np.intp)

    def rows_away_from(
        self, spans: list[tuple[float, float]], n_windows: int, *, margin_s: float = 0.0
    ) -> NDArray[np.bool_]:
        """Return which windows share no time with any stretch, give or take a margin."""
        clear = np.ones(n_windows, dtype=np.bool_)
        for start_s, end_s in spans:
            first = int(np.floor((start_s - margin_s) / self.step_s - self.length + 1))
            stop = int(np.ceil((end_s + margin_s) / self.step_s))
            clear[max(0, first) : max(0, stop)] = False
        return clear

    def vectors_at(self, steps: Steps, rows: Rows) -> Vectors:
        """Return the vectors of some windows, float32, shape ``(len(rows), dim)``."""
        if not rows.size:
            return np.zeros((0, self._embedder.pool_steps(steps[:1], 1).shape[1]), np.float32)
        if len(steps) <= self.length:
            return np.repeat(self._embedder.pool_steps(steps, self.length), rows.size, axis=0)
        # Neighbours are pooled together; the rest of a long recording is not read.
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > self.length) + 1)
        pooled: list[Vectors] = []
        for part in parts:
            stretch = steps[part[0] : part[-1] + self.length]
            pooled.append(self._embedder.pool_steps(stretch, self.length)[part - part[0]])
            if len(pooled) % _PARTS_AT_ONCE == 0:
                _let_go(steps)
        _let_go(steps)
        found = np.concatenate(pooled)
        vectors = np.empty_like(found)
        vectors[order] = found
        return vectors

    def blocks(self, steps: Steps) -> Iterator[tuple[int, Vectors]]:
        """Yield the first window and the vectors of each block of a recording.

        Of steps that are mapped from a file, no more than a block stays in memory.
        """
        n_windows = self.count(steps)
        for first in range(0, n_windows, AT_ONCE):
            stop = min(first + AT_ONCE, n_windows)
            yield (
                first,
                self._embedder.pool_steps(steps[first : stop + self.length - 1], self.length),
            )
            _let_go(steps)


def _let_go(steps: Steps) -> None:
    """Give the pages of a mapped file back, which the system reads again when they are needed."""
    base: object = steps
    while isinstance(base, np.ndarray):
        base = base.base
    # What was written to a private mapping would be lost.
    if isinstance(base, mmap.mmap) and not steps.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
