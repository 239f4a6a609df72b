"""Class scores of rows: read when they are first asked for, and rows ranked by them.

A text is how much each class counts for it, so its product with a row's scores is a logit: how
sure the network was of what the text speaks of. Vectors of unit length have lost that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Scores = NDArray[np.float16]

_ROWS_AT_ONCE: Final = 4096


class ClassScores:
    """Class scores of some rows, read when they are first asked for and kept from then on.

    Args:
        read: Returns float16, shape ``(n, n_classes)``, finite logits.
    """

    def __init__(self, read: Callable[[], Scores]) -> None:
        self._read = read

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """Make class scores of those that are at hand."""
        return cls(lambda: scores)

    @classmethod
    def gathered(cls, n: int, parts: Sequence[tuple[ClassScores, Rows, Rows]]) -> Self:
        """Make the class scores of ``n`` rows out of several sets.

        Args:
            n: How many rows.
            parts: At least one set, each with the rows to fill and the rows of its own that
                fill them.
        """

        def read() -> Scores:
            scores = np.empty((n, parts[0][0].array.shape[1]), dtype=np.float16)
            for part, at, rows in parts:
                scores[at] = part.array[rows]
            return scores

        return cls(read)

    @cached_property
    def array(self) -> Scores:
        """The scores: float16, shape ``(n, n_classes)``; read-only."""
        scores = self._read().view()
        scores.setflags(write=False)
        return scores

    def subset(self, rows: Rows | Sequence[int]) -> ClassScores:
        """Return those of some rows, not read before they are asked for."""
        wanted = np.asarray(rows, dtype=np.intp)

        def read() -> Scores:
            is_all = np.array_equal(wanted, np.arange(len(self.array)))
            return self.array if is_all else self.array[wanted]

        return ClassScores(read)


def rank_by_scores(
    scores: Scores, weights: NDArray[np.floating], k: int, rows: Rows | None = None
) -> tuple[Rows, NDArray[np.float64]]:
    """Find the rows whose weighted class scores are the highest; ties go to the lower row.

    Args:
        scores: Shape ``(n, n_classes)``.
        weights: Shape ``(n_classes,)``.
        k: How many rows at most.
        rows: Row numbers to choose from, ascending; all when ``None``.

    Returns:
        ``(rows, logits)``, best first; logits are float64.

    >>> scores = np.array([[0, 1], [2, 3], [4, -9]], dtype=np.float16)
    >>> found, logits = rank_by_scores(scores, np.array([0.5, 0.5]), 2)
    >>> found.tolist(), logits.tolist()
    ([1, 0], [2.5, 0.5])
    """
    among = np.arange(len(scores), dtype=np.intp) if rows is None else rows
    exact = weights.astype(np.float64)
    logits = np.empty(among.size)
    for start in range(0, among.size, _ROWS_AT_ONCE):
        part = scores[among[start : start + _ROWS_AT_ONCE]].astype(np.float64)
        # Sums along a row, unlike a matrix product, do not depend on other rows.
        logits[start : start + _ROWS_AT_ONCE] = (part * exact).sum(axis=1)
    best = np.lexsort((among, -logits))[:k]
    return among[best], logits[best]


def logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    >>> logistic(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    # The exponent is never positive, so that nothing overflows.
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits < 0, small, 1.0) / (1.0 + small))
