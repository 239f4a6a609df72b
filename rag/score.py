"""The neighbour vote: chosen shots into a score for every label.

Each shot weighs ``exp(similarity / temperature)``. One made-up shot of similarity
``background`` joins them and stands for all labels alike. A label's score is the share
of the whole weight that its shots have, with its part of the made-up one: so a label
without a shot is not impossible, and a query unlike every shot gets a flat answer rather
than a confident one. ``calibrate.py`` finds the two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.rag.pool import Pool, Similarities

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How similarities become scores.

    Attributes:
        temperature: What similarities are divided by; small lets the nearest decide.
        background: Similarity of the made-up shot that stands for all labels.
        n_cases: Exemplars it was fitted on; 0 when it is a guess.
        loss: Their mean negative log-likelihood; 0 when it is a guess.
    """

    temperature: float
    background: float
    n_cases: int = 0
    loss: float = 0.0


def vote(
    similarities: Similarities,
    memberships: NDArray[np.float64],
    calibration: Calibration,
    *,
    prior: Scores,
    exclusive: bool,
) -> Scores:
    """Score labels from the shots of one query.

    Args:
        similarities: float64, shape ``(n_shots,)``.
        memberships: Which labels each shot carries, shape ``(n_shots, n_labels)``.
        calibration: Temperature and background.
        prior: What the made-up shot gives to each label, shape ``(n_labels,)``.
        exclusive: Whether one label is right (scores sum to 1, a shot with several labels
            is shared among them) or each is decided for itself.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1].

    >>> two = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> far = Calibration(temperature=0.1, background=-9.0)
    >>> vote(np.array([0.5, 0.5]), two, far, prior=np.array([0.5, 0.5]), exclusive=True).round(3)
    array([0.5, 0.5])
    """
    shares = np.vstack([label_shares(memberships) if exclusive else memberships, prior])
    logits = np.append(similarities, calibration.background) / calibration.temperature
    weights = np.exp(logits - logits.max())
    return np.asarray(weights @ shares / weights.sum())


def label_prior(pool: Pool, *, exclusive: bool) -> Scores:
    """Return what is believed about labels without any shot.

    Every label alike when one of them is right; else each one's frequency in the pool,
    with one exemplar more that has it and one more that lacks it.

    Returns:
        float64, shape ``(n_labels,)``.
    """
    if exclusive:
        return np.full(len(pool.labels), 1.0 / len(pool.labels))
    counts = np.array([rows.size for rows in pool.rows_of_label], dtype=np.float64)
    return (counts + 1.0) / (len(pool) + 2.0)


def label_shares(memberships: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share a shot with several labels among them."""
    return np.asarray(memberships / np.maximum(memberships.sum(axis=1, keepdims=True), 1.0))
