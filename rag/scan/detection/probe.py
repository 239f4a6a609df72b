"""Probe: a logistic regression of examples against all else."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan.detection.windows import Vectors

STRENGTH: Final = 1.0
"""Inverse strength of regularisation, weak on unit vectors."""
_SIDE_WEIGHT: Final = 100.0
_MOST_FOLDS: Final = 20

Numbers = NDArray[np.float32]


class Probe:
    """Scores of one label by a logistic regression.

    Args:
        positives: Windows of each example, float32, shape ``(n, dim)`` each.
        background: Negatives that labels share, float32, shape ``(m, dim)``.
        negatives: Of this label alone, likewise.
    """

    def __init__(self, positives: list[Vectors], background: Vectors, negatives: Vectors) -> None:
        self.background = background
        self._positives = positives
        self._against = np.concatenate([background, negatives])
        self._line = self._fit(positives)

    def scores(self, vectors: Vectors, near: Numbers) -> Numbers:
        """Return a score a window, float32, shape ``(n,)``; see ``Neighbours.scores``."""
        return _at(vectors, self._line)

    def held_out(self) -> Numbers:
        """Return each example's score by the others; of one alone, 0.7 of its own."""
        n = len(self._positives)
        if n == 1:
            return np.float32(0.7) * self._means(self._positives, self._line)
        found = np.empty(n, dtype=np.float32)
        fold_of = np.arange(n) % min(n, _MOST_FOLDS)
        for fold in range(min(n, _MOST_FOLDS)):
            mine = np.flatnonzero(fold_of == fold)
            line = self._fit([self._positives[row] for row in np.flatnonzero(fold_of != fold)])
            found[mine] = self._means([self._positives[row] for row in mine], line)
        return found

    @staticmethod
    def _means(stretches: list[Vectors], line: Numbers) -> Numbers:
        return np.array([_at(own, line).mean() for own in stretches], dtype=np.float32)

    def _fit(self, positives: list[Vectors]) -> Numbers:
        """Return weights and bias, float32, shape ``(dim + 1,)``."""
        from sklearn.linear_model import LogisticRegression

        if not len(self._against):
            mean = np.concatenate(positives).mean(axis=0)
            return np.append(mean, np.float32(0)).astype(np.float32)
        rows = np.concatenate([*positives, self._against])
        # Each example weighs the same, however long it is.
        weights = np.concatenate(
            [
                *(np.full(len(own), _SIDE_WEIGHT / len(positives) / len(own)) for own in positives),
                np.full(len(self._against), _SIDE_WEIGHT / len(self._against)),
            ]
        )
        is_positive = np.arange(len(rows)) < len(rows) - len(self._against)
        model = LogisticRegression(C=STRENGTH, max_iter=1000)
        model.fit(rows, is_positive, sample_weight=weights)
        return np.append(model.coef_[0], model.intercept_).astype(np.float32)


def _at(vectors: Vectors, line: Numbers) -> Numbers:
    scores: Numbers = vectors @ line[:-1] + line[-1]
    return scores
