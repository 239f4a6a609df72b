"""Calibration: scores of reviewed events become probabilities (Platt, 1999)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

FEWEST_OF_EACH: Final = 10
"""Positives, and negatives, that a probability stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A logistic curve from scores to probabilities.

    Attributes:
        slope: Never below 0.
        offset: Log-odds at a score of 0.
        n_reviewed: Events that it was fitted on.
    """

    slope: float
    offset: float
    n_reviewed: int

    def probability(self, score: float) -> float:
        """Return the probability that an event of a score is what its label says."""
        return float(1.0 / (1.0 + np.exp(-np.clip(self.slope * score + self.offset, -30, 30))))


def fit_calibration(scores: Sequence[float], is_positive: Sequence[bool]) -> Calibration | None:
    """Fit a curve, with Platt's targets, which never reach 0 or 1.

    Args:
        scores: Of reviewed events, each by a detector that was fitted without it.
        is_positive: What the reviewer said of each.

    Returns:
        ``None`` with fewer than ten positives or ten negatives.
    """
    right = np.asarray(is_positive, dtype=np.bool_)
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if min(n_right, n_wrong) < FEWEST_OF_EACH:
        return None
    from scipy.optimize import minimize

    x = np.asarray(scores, dtype=np.float64)
    targets = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))

    def loss(line: np.ndarray) -> float:
        odds = line[0] * x + line[1]
        return float(np.sum(np.logaddexp(0.0, odds) - targets * odds))

    # A higher score must never mean less: what says otherwise is chance.
    best = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.0, None), (None, None)]).x
    return Calibration(slope=float(best[0]), offset=float(best[1]), n_reviewed=len(x))
