"""The neighbour vote: chosen shots into a score for every label.

A shot's weight is ``softmax(similarity / temperature)`` over the shots, and a label's
vote is the weight of the shots that carry it. A label without a shot is not impossible,
so a share ``floor`` of the whole goes to all labels alike::

    score(label) = (1 - floor) * vote(label) + floor * prior(label)

Both numbers are fitted by leave-one-out: every exemplar of the pool (or a sample) is
asked about itself under the same guard as a query, and the pair is kept under which the
exemplars' own labels are the most likely. That is what makes ``confidence`` a frequency
rather than a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.rag.pool import Pool, Similarities
from earful.rag.retrieve import choose_shots
from earful.rag.task import Shots

Scores = NDArray[np.float64]

# Fewer exemplars than this, asked about themselves, say too little.
MIN_CASES = 8
_MAX_CASES = 400
_MAX_SIMILARITIES = 40_000_000
_MIN_SAMPLE = 64
_TEMPERATURES = np.geomspace(1.0, 0.003, 30)
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How similarities become scores.

    Attributes:
        temperature: What similarities are divided by; small makes the nearest decide.
        floor: Share of the whole, in [0, 1], that goes to labels whatever the shots say.
        n_cases: Exemplars it was fitted on; 0 when it is assumed.
        loss: Mean negative log-likelihood at the fit; 0 when it is assumed.
    """

    temperature: float
    floor: float
    n_cases: int = 0
    loss: float = 0.0


# For pools too small to fit anything; an answer that uses it says so.
ASSUMED = Calibration(temperature=0.1, floor=0.2)


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
        calibration: Temperature and floor.
        prior: What is believed without any shot, shape ``(n_labels,)``.
        exclusive: Whether one label is right (scores sum to 1, a shot with several labels
            is shared among them) or each is decided for itself.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1].

    >>> two = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> hot = Calibration(temperature=1e6, floor=0.0)
    >>> vote(np.array([0.9, 0.1]), two, hot, prior=np.array([0.5, 0.5]), exclusive=True).round(3)
    array([0.5, 0.5])
    """
    weights = _softmax(similarities / calibration.temperature)
    shares = _shares(memberships) if exclusive else memberships
    return (1.0 - calibration.floor) * (weights @ shares) + calibration.floor * prior


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


def fit_calibration(
    pool: Pool, shots: Shots, *, exclusive: bool, seed: int = 0
) -> Calibration | None:
    """Fit temperature and floor by leave-one-out.

    An exemplar counts as a case when something is left that could answer it: another
    exemplar, not of its recording, content or group, with one of its labels. One made-up
    case that no shot explains is added, so that a pool without a single mistake still
    leaves the room for one that its size allows.

    Args:
        pool: What votes.
        shots: How shots are chosen for a query.
        exclusive: As for ``vote``.
        seed: Picks the sample of a large pool, and random shots.

    Returns:
        ``None`` when there are fewer than ``MIN_CASES`` cases.
    """
    cases = _cases(pool, shots, exclusive=exclusive, seed=seed)
    if cases is None:
        return None

    def best_floor(temperature: float) -> tuple[float, float]:
        votes = cases.votes(temperature)
        floor = _minimise(lambda floor: cases.loss(votes, floor), _TINY, 1.0)
        return cases.loss(votes, floor), floor

    losses = [best_floor(temperature)[0] for temperature in _TEMPERATURES]
    # The smoothest vote among those that explain the exemplars equally well.
    best = next(i for i, loss in enumerate(losses) if loss <= min(losses) + 1e-6 * cases.n)
    low = math.log(_TEMPERATURES[min(best + 1, len(_TEMPERATURES) - 1)])
    high = math.log(_TEMPERATURES[max(best - 1, 0)])
    refined = math.exp(_minimise(lambda log_t: best_floor(math.exp(log_t))[0], low, high))
    temperature = min((float(_TEMPERATURES[best]), refined), key=lambda t: best_floor(t)[0])
    loss, floor = best_floor(temperature)
    return Calibration(
        temperature=temperature,
        floor=floor,
        n_cases=cases.n,
        loss=(loss + math.log(floor)) / cases.n,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cases:
    """Exemplars asked about themselves: what the vote saw, and what would be right.

    Attributes:
        similarities: float64, shape ``(n, k)``; ``-inf`` where fewer shots were found.
        shares: What each shot gives to each label that is scored, shape ``(n, k, m)``;
            ``m`` is 1 (the right label) when one label is right, else all labels.
        truth: Which of those are right, shape ``(n, m)``.
        prior: Broadcasts to ``(n, m)``.
    """

    similarities: Similarities
    shares: Scores
    truth: NDArray[np.bool_]
    prior: Scores

    @property
    def n(self) -> int:
        return len(self.similarities)

    def votes(self, temperature: float) -> Scores:
        """Return the vote for every scored label, shape ``(n, m)``."""
        weights = _softmax(self.similarities / temperature)
        return np.asarray(np.einsum("nk,nkm->nm", weights, self.shares))

    def loss(self, votes: Scores, floor: float) -> float:
        """Return the negative log-likelihood of the truth and of the made-up case."""
        scores = (1.0 - floor) * votes + floor * self.prior
        right = np.where(self.truth, scores, 1.0 - scores)
        return -float(np.log(np.maximum(right, _TINY)).sum()) - math.log(floor)


def _cases(pool: Pool, shots: Shots, *, exclusive: bool, seed: int) -> _Cases | None:
    n_most = min(_MAX_CASES, max(_MIN_SAMPLE, _MAX_SIMILARITIES // max(1, len(pool))))
    rows = np.arange(len(pool))
    if len(pool) > n_most:
        rows = np.sort(np.random.default_rng(seed).permutation(len(pool))[:n_most])
    similarities: list[Similarities] = []
    memberships: list[Scores] = []
    truths: list[Scores] = []
    for start in range(0, len(rows), _MIN_SAMPLE):
        chunk = rows[start : start + _MIN_SAMPLE]
        for row, scores in zip(chunk, pool.vectors[chunk] @ pool.vectors.T, strict=True):
            allowed = pool.allowed(pool.guard_of(row))
            allowed[row] = False
            if not _answerable(pool, row, allowed, exclusive=exclusive):
                continue
            chosen, exact = choose_shots(
                pool,
                pool.vectors[row],
                shots=shots,
                allowed=allowed,
                seed=seed,
                similarities=scores,
            )
            n_short = shots.k - len(chosen)
            member = pool.memberships(chosen)
            similarities.append(np.pad(exact, (0, n_short), constant_values=-np.inf))
            memberships.append(
                np.pad(_shares(member) if exclusive else member, ((0, n_short), (0, 0)))
            )
            truths.append(pool.memberships(np.array([row]))[0])
    if len(truths) < MIN_CASES:
        return None
    prior = label_prior(pool, exclusive=exclusive)
    truth, shares = np.array(truths), np.array(memberships)
    if exclusive:
        # Of a row with several labels, any is right.
        shares = np.einsum("nkm,nm->nk", shares, truth)[:, :, None]
        prior = (truth @ prior)[:, None]
        truth = np.ones((len(truth), 1))
    return _Cases(similarities=np.array(similarities), shares=shares, truth=truth > 0, prior=prior)


def _answerable(pool: Pool, row: int, allowed: NDArray[np.bool_], *, exclusive: bool) -> bool:
    if not exclusive:
        return bool(allowed.any())
    return any(allowed[pool.rows_of_label[label]].any() for label in pool.row_labels[row])


def _shares(memberships: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share a shot with several labels among them."""
    return np.asarray(memberships / np.maximum(memberships.sum(axis=1, keepdims=True), 1.0))


def _softmax(logits: Scores) -> Scores:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _minimise(loss: Callable[[float], float], low: float, high: float) -> float:
    """Find the minimum of a function with one valley, by golden section.

    >>> round(_minimise(lambda x: (x - 0.3) ** 2, 0.0, 1.0), 4)
    0.3
    """
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(24):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2.0
