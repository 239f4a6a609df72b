"""The neighbour vote: chosen shots into a score for every label.

Each shot weighs ``exp(similarity / temperature)``. One made-up shot of similarity
``background`` joins them and stands for all labels alike. A label's score is the share
of the whole weight that its shots have, with its part of the made-up one: so a label
without a shot is not impossible, and a query unlike every shot gets a flat answer rather
than a confident one.

Both numbers are fitted by leave-one-out: every exemplar of the pool (or a sample) is
asked about itself under the same guard as a query, and the pair is kept under which the
exemplars' own labels are the most likely. That is what makes ``confidence`` a frequency
rather than just a number.
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
_ROWS_AT_ONCE = 64
_TEMPERATURES = np.geomspace(1.0, 0.003, 20)
_TINY = 1e-9


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
    shares = np.vstack([_shares(memberships) if exclusive else memberships, prior])
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


def fit_calibration(
    pool: Pool, shots: Shots, *, exclusive: bool, seed: int = 0
) -> Calibration | None:
    """Fit temperature and background by leave-one-out.

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
    fits = [cases.fit_background(float(temperature)) for temperature in _TEMPERATURES]
    least = min(loss for loss, _ in fits)
    # The smoothest vote among those that explain the exemplars equally well.
    best = next(i for i, (loss, _) in enumerate(fits) if loss <= least + 1e-6 * cases.n)
    low = math.log(_TEMPERATURES[min(best + 1, len(_TEMPERATURES) - 1)])
    high = math.log(_TEMPERATURES[max(best - 1, 0)])
    refined = math.exp(minimise(lambda log: cases.fit_background(math.exp(log))[0], low, high))
    temperature = float(_TEMPERATURES[best])
    if cases.fit_background(refined)[0] < fits[best][0]:
        temperature = refined
    loss, background = cases.fit_background(temperature)
    return Calibration(
        temperature=temperature, background=background, n_cases=cases.n, loss=loss / cases.n
    )


def guess_calibration(pool: Pool) -> Calibration:
    """Guess from how similar the exemplars are to each other, whatever their labels.

    For pools too small to fit anything: a query must be more similar to a shot than
    exemplars usually are to each other before it counts as the same.
    """
    some = pool.vectors[:_MAX_CASES].astype(np.float64)
    pairs = (some @ some.T)[np.triu_indices(len(some), k=1)]
    if not pairs.size:
        return Calibration(temperature=0.1, background=0.5)
    return Calibration(temperature=max(0.02, float(pairs.std())), background=float(pairs.mean()))


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

    def fit_background(self, temperature: float) -> tuple[float, float]:
        """Return the least loss at a temperature, and the background that gives it.

        The loss is the negative log-likelihood of what is right, plus that of the made-up
        case, which only the background can explain.
        """
        logits = self.similarities / temperature
        top = logits.max(axis=1)
        weights = np.exp(logits - top[:, None])
        total = weights.sum(axis=1)
        votes = np.einsum("nk,nkm->nm", weights, self.shares) / total[:, None]
        whole = top + np.log(total)

        def loss(background: float) -> float:
            floor = 1.0 / (1.0 + np.exp(np.clip(whole - background, -50.0, 50.0)))
            scores = votes + floor[:, None] * (self.prior - votes)
            right = np.where(self.truth, scores, 1.0 - scores)
            return -float(np.log(np.maximum(right, _TINY)).sum() + np.log(floor.mean()))

        tried = np.linspace(whole.min() - 12.0, whole.max() + 4.0, 20)
        best = int(np.argmin([loss(background) for background in tried]))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        background = minimise(loss, float(low), float(high))
        return loss(background), background * temperature


def _cases(pool: Pool, shots: Shots, *, exclusive: bool, seed: int) -> _Cases | None:
    n_most = min(_MAX_CASES, max(_ROWS_AT_ONCE, _MAX_SIMILARITIES // max(1, len(pool))))
    rows = np.arange(len(pool))
    if len(pool) > n_most:
        rows = np.sort(np.random.default_rng(seed).permutation(len(pool))[:n_most])
    similarities: list[Similarities] = []
    memberships: list[Scores] = []
    truths: list[Scores] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        chunk = rows[start : start + _ROWS_AT_ONCE]
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


def minimise(loss: Callable[[float], float], low: float, high: float) -> float:
    """Find the minimum of a function with one valley, by golden section.

    >>> round(minimise(lambda x: (x - 0.3) ** 2, 0.0, 1.0), 3)
    0.3
    """
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(20):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2.0
