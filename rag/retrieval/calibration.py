"""Calibration of the vote, so that ``confidence`` is a frequency rather than just a number.

Exemplars with known labels are asked about as if they were queries, with the same exclusions,
and the temperature and background are kept under which their labels are the most likely.
There are three sources, the first that says enough wins:

- **leave-one-out**: every candidate (or a sample) against the others;
- **simulation**: a task with a handful of examples has too few exemplars for that, but an
  index can simulate such tasks with labels of its own: as many labels, as many examples of
  each, the rest of their exemplars as queries;
- a **guess** from how similar the exemplars are to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from earful.rag.arrays import Scores, Similarities
from earful.rag.retrieval.candidates import Candidates
from earful.rag.retrieval.label_means import WORD_WEIGHT, LabelEvidence, LabelMeans
from earful.rag.retrieval.vote import Calibration, label_prior
from earful.rag.strategies import STRATEGIES, pick_shots
from earful.rag.task import Shots

# With fewer exemplars asked about, a fit says too little; with these, nothing else is needed.
MIN_CASES = 8
ENOUGH_CASES = 40
_FEWEST_RIGHT = 8
_WRONGLY_DECLINED = 0.05
"""Share of the exemplars that are answered right and that nothing here is to be like."""
_ENOUGH_FOR_A_QUANTILE = 100
_Z = 1.6449
"""Deviations above the mean that 5 % of a normal distribution are beyond."""
_USUAL_TEMPERATURE = 0.6
"""Of the vote among label means, in standard deviations of the exemplars' similarities."""
_LEAST_GUESSED = 1e-5
NAMES_ALONE = Calibration(temperature=0.4 * WORD_WEIGHT, background=-math.inf)
"""Where names alone speak: by 0.4 standard deviations more, a label is e times as likely.

So it is on the labels that ``earful-small`` was fitted on, asked about by heads that were fitted
without them.
"""
_MAX_CASES = 400
_MAX_SIMILARITIES = 40_000_000
_ROWS_AT_ONCE = 64
_N_SIMULATED = 60
_QUERIES_EACH = 6
_LOG_TEMPERATURES = np.log(np.geomspace(0.003, 1.0, 20))
_LEAST_OF_GUESS = 1.0 / 30.0
_TINY = 1e-9


def fit_calibration(
    means: LabelMeans, shots: Shots, *, exclusive: bool, seed: int = 0
) -> Calibration | None:
    """Fit temperature and background by leave-one-out.

    An exemplar counts as a case when something is left that could answer it: another
    exemplar, not of its recording, content or group, with one of its labels.

    Args:
        means: The candidates that vote, with their labels' means.
        shots: How shots are chosen for a query.
        exclusive: Whether one label is right, or each is decided for itself.
        seed: Picks the sample of a large candidates, and random shots.

    Returns:
        ``None`` when there are fewer than ``MIN_CASES`` cases.
    """
    candidates = means.candidates
    n_most = min(_MAX_CASES, max(_ROWS_AT_ONCE, _MAX_SIMILARITIES // max(1, len(candidates))))
    rows = candidates.distinct
    if len(rows) > n_most:
        rows = np.sort(rows[np.random.default_rng(seed).permutation(len(rows))[:n_most]])
    cases = _Cases(shots=shots, exclusive=exclusive, seed=seed)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        chunk = rows[start : start + _ROWS_AT_ONCE]
        for row, similarities in zip(
            chunk, means.similarities(candidates.vectors[chunk]), strict=True
        ):
            allowed = candidates.allowed(candidates.exclusions_of(row))
            allowed[row] = False
            cases.ask(
                means,
                candidates.vectors[row],
                candidates.memberships(np.array([row]))[0],
                allowed=allowed,
                class_scores=class_scores_of(means, candidates, row),
                similarities=similarities,
            )
    return cases.fit(guess_calibration(means, exclusive=exclusive))


def simulated_calibration(
    everything: LabelMeans, n_examples: Sequence[int], shots: Shots, *, seed: int = 0
) -> Calibration | None:
    """Fit temperature and background by playing tasks like one at hand with other labels.

    Args:
        everything: Exemplars with labels to play with; those with one label are used.
        n_examples: How many examples each label of the task at hand has.
        shots: How shots are chosen for a query.
        seed: For drawing labels, examples and queries.

    Returns:
        ``None`` when the index cannot play such a task: fewer than two of its labels have
        two exemplars, or there are fewer than ``MIN_CASES`` cases.
    """
    index = everything.candidates
    random = np.random.default_rng(seed)
    single = np.array([len(labels) == 1 for labels in index.row_labels], dtype=np.bool_)
    single &= index.once(np.ones(len(index), dtype=np.bool_))
    rows_of_label = [rows[single[rows]] for rows in index.rows_of_label]
    able = [label for label, rows in enumerate(rows_of_label) if len(rows) > 1]
    wanted = [n for n in n_examples if n]
    if len(able) < 2:
        return None
    cases = _Cases(shots=shots, exclusive=True, seed=seed)
    for _ in range(_N_SIMULATED):
        labels = random.permutation(able)[: len(wanted)].tolist()
        drawn = [random.permutation(rows_of_label[label]) for label in labels]
        # One of each is kept as a query, however many examples the task at hand has.
        n_each = [min(n, len(rows) - 1) for n, rows in zip(wanted, drawn, strict=False)]
        examples = np.concatenate([rows[:n] for rows, n in zip(drawn, n_each, strict=True)])
        queries = np.concatenate([rows[n:] for rows, n in zip(drawn, n_each, strict=True)])
        candidates = index.subset(np.sort(examples), labels)
        names = None if everything.names is None else everything.names.subset(labels)
        means = LabelMeans(candidates, names)
        n_asked = 0
        for row in random.permutation(queries).tolist():
            truth = np.zeros(len(labels))
            truth[labels.index(index.row_labels[row][0])] = 1.0
            n_asked += cases.ask(
                means,
                index.vectors[row],
                truth,
                allowed=candidates.allowed(index.exclusions_of(row)),
                class_scores=class_scores_of(means, index, row),
                similarities=means.similarities(index.vectors[row]),
            )
            if n_asked == _QUERIES_EACH:
                break
    return cases.fit(guess_calibration(everything, exclusive=True))


def can_answer(
    candidates: Candidates, truth: Scores, allowed: NDArray[np.bool_], *, exclusive: bool
) -> bool:
    """Whether anything is left that could answer an exemplar asked about.

    Args:
        candidates: What may answer.
        truth: Which of its labels are right, zeros and ones of shape ``(n_labels,)``.
        allowed: Rows that may be seen, bool, shape ``(n,)``.
        exclusive: Whether it takes a row with a right label, or just any.
    """
    if exclusive:
        return any(
            allowed[candidates.rows_of_label[label]].any() for label in np.flatnonzero(truth)
        )
    return bool(allowed.any())


def guess_calibration(means: LabelMeans, *, exclusive: bool) -> Calibration:
    """Guess from how similar the exemplars are to each other, whatever their labels.

    For pools too small to fit anything: a query must be more similar to an exemplar than
    exemplars usually are to each other before it counts as the same.
    """
    spread = means.spread
    bound = means.usual_bound if exclusive else -math.inf
    if not spread.n_pairs:
        return Calibration(temperature=0.1, background=0.5, unlike_below=bound)
    typical = _USUAL_TEMPERATURE * means.scale if exclusive else spread.deviation
    return Calibration(
        temperature=max(_LEAST_GUESSED, typical), background=spread.mean, unlike_below=bound
    )


def class_scores_of(
    means: LabelMeans, candidates: Candidates, row: int
) -> NDArray[np.float16] | None:
    """Return a row's class scores where names are compared with them."""
    if means.names is None or candidates.class_scores is None:
        return None
    found: NDArray[np.float16] = candidates.class_scores[row]
    return found


def guess_likeness(means: LabelMeans, *, seed: int = 0) -> Calibration:
    """Guess how similar a query must be to its nearest exemplar, where no labels say it.

    As similar as 19 in 20 exemplars are to their own nearest, with the same exclusions.

    Args:
        means: Of at least one candidate.
        seed: Picks the sample of many candidates.
    """
    candidates = means.candidates
    guess = guess_calibration(means, exclusive=False)
    rows = candidates.distinct
    rows = rows[np.random.default_rng(seed).permutation(len(rows))[:_MAX_CASES]]
    nearest: list[float] = []
    for row in np.sort(rows):
        allowed = candidates.allowed(candidates.exclusions_of(row))
        allowed[row] = False
        if allowed.any():
            products = candidates.vectors @ candidates.vectors[row]
            nearest.append(float(products[allowed].max()))
    if not nearest:
        return guess
    return replace(guess, background=float(np.quantile(nearest, _WRONGLY_DECLINED)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cases:
    """Exemplars asked about as if they were queries: what voted, what is right.

    Each list has an item a case. What votes are the labels where one is right, else the shots.
    The last axis goes over the scores that are judged: the right label's alone where one is
    right, else every label's.

    Attributes:
        shots: How shots are chosen.
        exclusive: Whether one label is right.
        seed: For random shots.
        similarities: Scores of what votes; ``-inf`` for nothing.
        shares: What each voter gives to each judged score, shape ``(n_voters, m)``.
        truth: Whether each judged score should be 1, shape ``(m,)``.
        prior: What the made-up voter gives to each, shape ``(m,)``.
        likeness: Of the cases whose first label is right.
    """

    shots: Shots
    exclusive: bool
    seed: int
    similarities: list[Similarities] = field(default_factory=list)
    shares: list[Scores] = field(default_factory=list)
    truth: list[NDArray[np.bool_]] = field(default_factory=list)
    prior: list[Scores] = field(default_factory=list)
    likeness: list[float] = field(default_factory=list)

    def ask(
        self,
        means: LabelMeans,
        query: NDArray[np.float32],
        truth: Scores,
        *,
        allowed: NDArray[np.bool_],
        class_scores: NDArray[np.float16] | None,
        similarities: NDArray[np.floating],
    ) -> bool:
        """Add a case, unless nothing that is allowed could answer it."""
        candidates = means.candidates
        if not can_answer(candidates, truth, allowed, exclusive=self.exclusive):
            return False
        if self.exclusive and not STRATEGIES[self.shots.strategy].is_random:
            self._ask_labels(means.weigh(similarities, allowed, class_scores), truth)
            return True
        rows, exact = pick_shots(
            candidates,
            query,
            shots=self.shots,
            allowed=allowed,
            seed=self.seed,
            float32_scores=similarities.astype(np.float32),
        )
        if self.exclusive:
            # Drawn exemplars stand for their labels, the others are not looked at.
            drawn = np.zeros(len(candidates), dtype=np.bool_)
            drawn[rows] = True
            self._ask_labels(means.weigh(similarities, drawn, class_scores), truth)
            return True
        n_short = self.shots.k - len(rows)
        self.similarities.append(np.pad(exact, (0, n_short), constant_values=-np.inf))
        self.shares.append(np.pad(candidates.memberships(rows), ((0, n_short), (0, 0))))
        self.truth.append(truth > 0)
        self.prior.append(label_prior(candidates))
        return True

    def _ask_labels(self, evidence: LabelEvidence, truth: Scores) -> None:
        right = truth > 0
        self.similarities.append(evidence.scores)
        # Of an exemplar with several labels, any is right.
        self.shares.append(right[:, None].astype(np.float64))
        self.truth.append(np.ones(1, dtype=np.bool_))
        self.prior.append(np.array([right.mean()]))
        if right[int(np.argmax(evidence.scores))] and math.isfinite(evidence.likeness):
            self.likeness.append(evidence.likeness)

    def fit(self, guess: Calibration) -> Calibration | None:
        """Return the calibration of least loss; ``None`` when there are too few cases.

        The loss is the negative log-likelihood of what is right, plus that of one made-up
        case that no voter explains: without a single mistake there still is the room for
        one that the number of cases allows. A handful of cases says little about the
        temperature, so leaving the typical one costs something, too.

        Args:
            guess: Whose temperature to stay near unless the cases speak against it, and whose bound
                of likeness to take where too few of them are right.
        """
        n = len(self.similarities)
        if n < MIN_CASES:
            return None
        # Simulated tasks may have fewer labels than others.
        n_voters = max(map(len, self.similarities))
        stacked = _Stacked(
            similarities=np.array([_padded(own, n_voters, -np.inf) for own in self.similarities]),
            shares=np.array([_padded(own, n_voters, 0.0) for own in self.shares]),
            truth=np.array(self.truth),
            prior=np.array(self.prior),
        )

        def loss(log_temperature: float) -> float:
            leaving = (log_temperature - math.log(guess.temperature)) ** 2 / 2.0
            return stacked.fit_background(math.exp(log_temperature))[0] + leaving

        tried = _log_temperatures(guess.temperature)
        best = int(np.argmin([loss(temperature) for temperature in tried]))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        refined = minimise(loss, low, high)
        temperature = math.exp(min((refined, tried[best]), key=loss))
        total, background = stacked.fit_background(temperature)
        enough = len(self.likeness) >= _FEWEST_RIGHT
        return Calibration(
            temperature=temperature,
            background=background,
            n_cases=n,
            loss=total / n,
            unlike_below=likeness_bound(self.likeness) if enough else guess.unlike_below,
        )


def _log_temperatures(guess: float) -> list[float]:
    """Return logarithms of the temperatures to try, ascending.

    Where all exemplars are alike, as machines of one kind are, what tells labels apart is
    thousandths of a cosine, and a temperature made for tenths would call everything even.
    """
    step = float(_LOG_TEMPERATURES[1] - _LOG_TEMPERATURES[0])
    lowest = float(_LOG_TEMPERATURES[0])
    n_below = max(math.ceil((lowest - math.log(guess * _LEAST_OF_GUESS)) / step), 0)
    below = [lowest - step * n for n in range(n_below, 0, -1)]
    return [*below, *_LOG_TEMPERATURES.tolist()]


def likeness_bound(likeness: Sequence[float]) -> float:
    """Return the likeness below which one in twenty recordings that are told right is expected.

    The 5 % quantile of a dozen is near the lowest of them, below which one in a dozen lies. So of
    fewer than a hundred it is the prediction bound of a normal distribution, if that is lower.

    Args:
        likeness: Of exemplars that were answered right, two or more.

    >>> round(likeness_bound([0.2, 0.3, 0.4]), 3), round(likeness_bound(list(range(101))), 3)
    (0.022, 5.0)
    """
    known = np.array(likeness, dtype=np.float64)
    quantile = float(np.quantile(known, _WRONGLY_DECLINED))
    if known.size >= _ENOUGH_FOR_A_QUANTILE:
        return quantile
    # Student's t, by the first term of its expansion in the degrees of freedom.
    t = _Z + (_Z**3 + _Z) / (4.0 * (known.size - 1))
    bound = float(known.mean() - t * known.std(ddof=1) * math.sqrt(1.0 + 1.0 / known.size))
    return min(quantile, bound)


def _padded(rows: NDArray[np.float64], n: int, value: float) -> NDArray[np.float64]:
    """Return an array with rows of one value added, up to ``n``."""
    width = [(0, n - len(rows)), *((0, 0) for _ in rows.shape[1:])]
    return np.pad(rows, width, constant_values=value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stacked:
    """The lists of ``_Cases`` as arrays with an axis of cases in front."""

    similarities: Similarities
    shares: Scores
    truth: NDArray[np.bool_]
    prior: Scores

    def fit_background(self, temperature: float) -> tuple[float, float]:
        """Return the least loss at a temperature, and the background that gives it."""
        logits = self.similarities / temperature
        top = logits.max(axis=1)
        weights = np.exp(logits - top[:, None])
        total = weights.sum(axis=1)
        votes = np.einsum("nk,nkm->nm", weights, self.shares) / total[:, None]
        whole = top + np.log(total)
        to_prior = self.prior - votes

        # It is asked for thousands of times of few cases: what takes time is each call of NumPy.
        def loss(background: float) -> float:
            odds = np.exp(np.minimum(np.maximum(whole - background, -50.0), 50.0))
            floor = 1.0 / (1.0 + odds)
            scores = votes + floor[:, None] * to_prior
            right = np.where(self.truth, scores, 1.0 - scores)
            log_right = np.add.reduce(np.log(np.maximum(right, _TINY)), axis=None)
            return -float(log_right + np.log(np.add.reduce(floor) / len(floor)))

        tried = np.linspace(whole.min() - 12.0, whole.max() + 4.0, 20)
        best = int(np.argmin([loss(background) for background in tried]))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        background = minimise(loss, float(low), float(high))
        return loss(background), background * temperature


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
