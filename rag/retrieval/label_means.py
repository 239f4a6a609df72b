"""Label means: how like a query the exemplars of each label are, and how far its name is heard.

A label's similarity is the mean over *all* of its exemplars that may answer, taken as
``log(mean(exp(sharpness s))) / sharpness``: between their plain mean and the nearest of them. A
sum of votes would favour a label for having more exemplars, which says how a corpus was
collected rather than what is heard; means do not, and so how frequent a label is counts for
nothing. Beside it stands what the label's name says, where the embedder knows words: how many
standard deviations more than in other recordings its sound is heard. Both are added, by one
weight for all labels.

docs/architecture.md says what was measured: imagined exemplars, ridge regression and the nearest
trained labels gained nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model import LabelWords
from earful.rag.arrays import Scores, Similarities
from earful.rag.retrieval.candidates import Candidates

_SHARPNESS: Final = 0.5
"""Of the mean, times the standard deviation of the exemplars' similarities to each other."""
_USUAL_DEVIATION: Final = 0.15
"""Of those similarities, where there are too few exemplars to tell."""
_LEAST_DEVIATION: Final = 1e-3
_FEWEST_PAIRS: Final = 10
_MOST_COMPARED: Final = 400
WORD_WEIGHT: Final = 0.1
"""Similarity that a standard deviation of a name's sound counts for."""
UNSHOWN: Final = 0.5
"""Deviations above the mean similarity to all exemplars: that of a label that has none."""
_MOST_EXACT: Final = 50_000
"""Exemplars up to which products are taken in float64."""
_ROWS_AT_ONCE: Final = 256
"""Of those products: as many as a core keeps at hand."""
_KNOWN_NAME: Final = 0.5
"""Similarity to a class's name from which on a label's name means something."""
_N_LOUDEST: Final = 5
_USUAL_BOUND: Final = 0.02
"""Likeness that 19 in 20 recordings of ``earful-small``'s own labels have, from one exemplar each,
to heads fitted without them: the bound where a task's exemplars are too few to tell."""
_STRANGENESS: Final = 0.07
"""Similarity that a standard deviation of the sounds heard best asks for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelNames:
    """Names of a task's labels as an embedder that knows words understands them.

    Attributes:
        words: What the names say, of ``m`` labels.
        standardise: Turns a recording's class scores into standard deviations.
    """

    words: LabelWords
    standardise: Callable[[NDArray[np.floating]], NDArray[np.float64]]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which names are words for sounds, bool, shape ``(m,)``."""
        return self.words.known >= _KNOWN_NAME

    @property
    def mean_something(self) -> bool:
        """Whether the names are words for sounds, rather than codes: half of them or more."""
        # The median; NumPy's own imports masked arrays, which takes longer than an answer.
        known = np.sort(self.words.known)
        if not known.size:
            return False
        middle = known[(known.size - 1) // 2] + known[known.size // 2]
        return bool(middle / 2 >= _KNOWN_NAME)

    def subset(self, labels: Sequence[int]) -> LabelNames:
        """Return the names of some labels, given by their positions."""
        rows = list(labels)
        words = LabelWords(
            weights=self.words.weights[rows],
            offsets=self.words.offsets[rows],
            imagined=self.words.imagined[rows],
            known=self.words.known[rows],
        )
        return LabelNames(words=words, standardise=self.standardise)

    def heard(self, class_scores: NDArray[np.floating]) -> Scores:
        """Return how far each name's sound is heard, in standard deviations.

        Args:
            class_scores: Of one recording, shape ``(n_classes,)``.

        Returns:
            float64, shape ``(m,)``.
        """
        exact = class_scores.astype(np.float64)
        return np.asarray(self.words.weights @ exact + self.words.offsets)

    def strangeness(self, class_scores: NDArray[np.floating]) -> float:
        """Return how far those sounds are heard, whatever they are, that are heard best.

        Args:
            class_scores: Of one recording, shape ``(n_classes,)``.
        """
        heard = self.standardise(class_scores)
        n = min(_N_LOUDEST, heard.size)
        return float(np.partition(heard, heard.size - n)[heard.size - n :].mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelEvidence:
    """Evidence for each label of a query.

    Attributes:
        scores: float64, shape ``(m,)``: similarity to a label's exemplars, and what its name
            says; ``-inf`` for a label of which nothing is known.
        alike: The same without what its name says: for a label that has only a name, how like
            exemplars would be.
        heard: Standard deviations by which its name is heard; ``None`` where names do not count.
        similarities: float64, shape ``(m,)``: to the exemplars alone; ``-inf`` without any.
        likeness: How like the query is what speaks for the first label: low where the index
            holds nothing of its kind; ``inf`` where names speak and the query's class scores
            are unknown.
    """

    scores: Scores
    alike: Similarities
    heard: Scores | None
    similarities: Similarities
    likeness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Similarities of exemplars to each other, whatever their labels.

    Attributes:
        mean: Of the pairs; 0 without any.
        deviation: Their standard deviation; 0 without any.
        n_pairs: How many.
    """

    mean: float
    deviation: float
    n_pairs: int

    @property
    def scale(self) -> float:
        """The deviation, or a usual one where the pairs are too few to tell.

        However small: of machines of one kind it is thousandths.
        """
        return _USUAL_DEVIATION if self.n_pairs < _FEWEST_PAIRS else self.deviation

    @property
    def floored(self) -> float:
        """The scale, but never so small that a sharpness would know the nearest alone."""
        return max(self.scale, _LEAST_DEVIATION)


class LabelMeans:
    """Means of a query's similarities over each label's exemplars.

    Args:
        candidates: Exemplars that may answer.
        names: What the labels' names mean to the embedder; ``None`` where they mean nothing.
    """

    def __init__(self, candidates: Candidates, names: LabelNames | None = None) -> None:
        self.candidates = candidates
        self.names = names
        rows = candidates.rows_of_label
        self._rows = np.concatenate([*rows, np.empty(0, dtype=np.intp)])
        self._labels = np.repeat(np.arange(len(rows)), [len(own) for own in rows])

    @cached_property
    def spread(self) -> Spread:
        """Spread of the exemplars' similarities to each other, from a sample."""
        first_of: dict[str, int] = {}
        for row, content in enumerate(self.candidates.content):
            first_of.setdefault(content or f"row {row}", row)
        distinct = np.array(list(first_of.values()), dtype=np.intp)
        # Evenly from all: exemplars of one label often stand side by side.
        places = np.linspace(0, len(distinct) - 1, min(len(distinct), _MOST_COMPARED))
        return spread_of(self.candidates.vectors[distinct[places.astype(np.intp)]])

    @property
    def scale(self) -> float:
        """Standard deviation of the exemplars' similarities to each other, or a usual one."""
        return self.spread.scale

    @property
    def deviation(self) -> float:
        """The same, but never so small that the sharpness would know the nearest alone."""
        return self.spread.floored

    @cached_property
    def named_only(self) -> tuple[str, ...]:
        """Labels without an exemplar for which their names speak."""
        silent = set(self.silent)
        return tuple(label for label in self.candidates.missing if label not in silent)

    @cached_property
    def silent(self) -> tuple[str, ...]:
        """Labels for which neither an exemplar nor their name speaks."""
        missing = self.candidates.missing
        if self.names is None or not missing:
            return missing
        known = dict(zip(self.candidates.labels, self.names.known.tolist(), strict=True))
        return tuple(label for label in missing if not known[label])

    @property
    def usual_bound(self) -> float:
        """Likeness below which nothing is like a query, where no exemplars tell.

        It is known where names speak; else ``-inf``.
        """
        return -np.inf if self.names is None else _USUAL_BOUND

    def similarities(
        self, queries: NDArray[np.float32], float32_scores: NDArray[np.float32] | None = None
    ) -> NDArray[np.floating]:
        """Return the similarity of one query, or of each of several, to every exemplar.

        In float64, so that the last bits of a product, which depend on what else is asked in
        one batch, decide nothing; of very many exemplars the float32 products do.

        Args:
            queries: float32, shape ``(dim,)`` or ``(n_queries, dim)``, unit rows.
            float32_scores: Products with all exemplars, float32, if they are at hand.

        Returns:
            Shape ``(n,)`` or ``(n_queries, n)``.
        """
        vectors = self.candidates.vectors
        if len(vectors) > _MOST_EXACT:
            return queries @ vectors.T if float32_scores is None else float32_scores
        exact = queries.astype(np.float64).T
        products = np.empty((len(vectors), *exact.shape[1:]))
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            part = vectors[start : start + _ROWS_AT_ONCE].astype(np.float64)
            products[start : start + _ROWS_AT_ONCE] = part @ exact
        return products.T

    def weigh(
        self,
        similarities: NDArray[np.floating],
        allowed: NDArray[np.bool_],
        class_scores: NDArray[np.floating] | None = None,
    ) -> LabelEvidence:
        """Return what speaks for each label.

        Args:
            similarities: Of a query to every exemplar, shape ``(n,)``; those that may not
                answer are not looked at.
            allowed: Exemplars that may answer, bool, shape ``(n,)``.
            class_scores: The query's, shape ``(n_classes,)``; ``None`` if unknown.
        """
        allowed = self.candidates.once(allowed)
        here = allowed[self._rows]
        counts = np.bincount(self._labels[here], minlength=len(self.candidates.labels))
        means = mean_similarities(similarities[self._rows[here]], counts, self.deviation)
        if self.names is None or class_scores is None:
            likeness = float(means.max()) if self.names is None else np.inf
            return LabelEvidence(
                scores=means, alike=means, heard=None, similarities=means, likeness=likeness
            )
        # A label without exemplars, but with a name: as if it had some, a little more like the
        # query than exemplars are.
        usual = 0.0
        if allowed.any():
            n_all = np.array([np.count_nonzero(allowed)])
            (among_all,) = mean_similarities(similarities[allowed], n_all, self.deviation)
            usual = float(among_all) + UNSHOWN * self.deviation
        unshown = np.where(self.names.known, usual, -np.inf)
        alike = np.where(counts > 0, means, unshown)
        heard = self.names.heard(class_scores)
        scores = alike + WORD_WEIGHT * heard
        strangeness = _STRANGENESS * self.names.strangeness(class_scores)
        return LabelEvidence(
            scores=scores,
            alike=alike,
            heard=heard,
            similarities=means,
            likeness=float(alike[int(np.argmax(scores))]) - strangeness,
        )


def spread_of(vectors: NDArray[np.floating]) -> Spread:
    """Return how similar unit vectors, shape ``(n, dim)``, are to each other."""
    exact = vectors.astype(np.float64)
    pairs = (exact @ exact.T)[np.triu_indices(len(exact), k=1)]
    if not pairs.size:
        return Spread(mean=0.0, deviation=0.0, n_pairs=0)
    return Spread(mean=float(pairs.mean()), deviation=float(pairs.std()), n_pairs=pairs.size)


def mean_similarities(
    similarities: NDArray[np.floating], counts: NDArray[np.intp], deviation: float
) -> Similarities:
    """Return the means of similarities that stand one label's after the other's.

    Args:
        similarities: Of the labels' exemplars.
        counts: How many each label has; without any its mean is ``-inf``.
        deviation: Of the similarities of exemplars to each other; see ``Spread.floored``.
    """
    sharpness = _SHARPNESS / deviation
    means = np.full(counts.size, -np.inf)
    some = np.flatnonzero(counts)
    if not some.size:
        return means
    similarities = similarities.astype(np.float64)
    each = counts[some]
    starts = np.cumsum(each) - each
    # From each label's highest, so that no exponential overflows and none is all zeros.
    highest = np.maximum.reduceat(similarities, starts)
    weights = np.exp(sharpness * (similarities - np.repeat(highest, each)))
    means[some] = highest + np.log(np.add.reduceat(weights, starts) / each) / sharpness
    return means
