"""Neighbours: the similarity to the best example less that to the nearest of all else."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan.detection.windows import Vectors

N_NEAREST: Final = 10
"""Negatives whose mean similarity is taken off."""

Numbers = NDArray[np.float32]


class Neighbours:
    """Scores of one label: nothing is trained, and every number has a recording behind it.

    Args:
        positives: One vector an example, float32, shape ``(n, dim)``; unit rows.
        background: Negatives that labels share, float32, shape ``(m, dim)``; unit rows.
        negatives: Of this label alone, likewise.
    """

    def __init__(self, positives: Vectors, background: Vectors, negatives: Vectors) -> None:
        self.background = background
        self._positives, self._negatives = positives, negatives

    def scores(self, vectors: Vectors, near: Numbers) -> Numbers:
        """Return a score a window, float32, shape ``(n,)``.

        Args:
            vectors: Of the windows, shape ``(n, dim)``; unit rows.
            near: Similarities of each to the nearest of the background, as ``nearest`` returns
                them.
        """
        best: Numbers = (vectors @ self._positives.T).max(axis=1)
        return best - self._away(vectors, near)

    def held_out(self) -> Numbers:
        """Return each example's score by the others; of one alone, 0.7 of its own."""
        own = self._positives
        away = self._away(own, nearest(own, self.background))
        if len(own) == 1:
            return np.float32(0.7) * (1.0 - away)
        similar = own @ own.T
        np.fill_diagonal(similar, -np.inf)
        best: Numbers = similar.max(axis=1)
        return best - away

    def _away(self, vectors: Vectors, near: Numbers) -> Numbers:
        if len(self._negatives):
            near = _largest(np.hstack([near, nearest(vectors, self._negatives)]))
        if not near.shape[1]:
            return np.zeros(len(vectors), dtype=np.float32)
        mean: Numbers = near.mean(axis=1)
        return mean


def nearest(vectors: Vectors, others: Vectors) -> Numbers:
    """Return similarities to the ten nearest of other rows, to all where there are fewer.

    Returns:
        float32, shape ``(n, at most 10)``, in no order.
    """
    return _largest(vectors @ others.T)


def _largest(similarities: Numbers) -> Numbers:
    n = similarities.shape[1]
    if n <= N_NEAREST:
        return similarities
    return np.partition(similarities, n - N_NEAREST, axis=1)[:, -N_NEAREST:]
