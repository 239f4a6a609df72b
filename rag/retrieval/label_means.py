"""Label means: how like a query the exemplars of each label are, and how far its name is heard.

A label's similarity is the mean over *all* of its exemplars that may answer, taken as
``log(mean(exp(sharpness s))) / sharpness``: between their plain mean and the nearest of them. A
sum of votes would favour a label for having more exemplars, which says how a corpus was
collected rather than what is heard; means do not, and so how frequent a label is counts for
nothing. Beside it stands what the label's name says, where the embedder knows words: how many
standard deviations more than in other recordings its sound is heard. Both are added, by one
weight for all labels.

docs/small-model.md says what was measured: sums, seven nearest exemplars, ridge regression and
imagined exemplars were no better or worse.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model import LabelNamer, LabelWords
from earful.rag.arrays import Scores, Similarities
from earful.rag.retrieval.candidates import Candidates

_SHARPNESS: Final = 0.5
"""Of the mean, times the standard deviation of the exemplars' similarities to each other."""
_USUAL_DEVIATION: Final = 0.15
"""Of those similarities, where there are too few exemplars to tell."""
_FEWEST_PAIRS: Final = 10
_MOST_COMPARED: Final = 400
_WORD_WEIGHT: Final = 0.1
"""Similarity that a standard deviation of a name's sound counts for."""
_UNSHOWN: Final = 0.5
"""Deviations above the mean similarity to all exemplars: that of a label that has none."""
_MOST_EXACT: Final = 50_000
"""Exemplars up to which products are taken in float64."""
_KNOWN_NAME: Final = 0.5
"""Similarity to a class's name from which on a label's name means something."""
_N_LOUDEST: Final = 5
_STRANGENESS: Final = 0.07
"""Similarity that a standard deviation of the sounds heard best asks for."""


class LabelNames:
    """Names of a task's labels as an embedder that knows words understands them.

    Args:
        embedder: Knows words.
        names: Names of the labels, as words.
    """

    def __init__(self, embedder: LabelNamer, names: Sequence[str]) -> None:
        self._words = embedder.label_words(names)
        self._classes = embedder.label_words(embedder.class_names)

    @property
    def known(self) -> Scores:
        """Similarity of each name to the class whose name is nearest, shape ``(m,)``."""
        return self._words.known

    def subset(self, labels: Sequence[int]) -> LabelNames:
        """Return the names of some labels, given by their positions."""
        other = copy.copy(self)
        rows = list(labels)
        other._words = LabelWords(
            weights=self._words.weights[rows],
            offsets=self._words.offsets[rows],
            imagined=self._words.imagined[rows],
            known=self._words.known[rows],
        )
        return other

    @property
    def mean_something(self) -> bool:
        """Whether the names are words for sounds, rather than codes: half of them or more."""
        return bool(self.known.size) and float(np.median(self.known)) >= _KNOWN_NAME

    def heard(self, class_scores: NDArray[np.floating]) -> Scores:
        """Return how far each name's sound is heard, in standard deviations.

        Args:
            class_scores: Of one recording, shape ``(n_classes,)``.

        Returns:
            float64, shape ``(m,)``.
        """
        exact = class_scores.astype(np.float64)
        return np.asarray(self._words.weights @ exact + self._words.offsets)

    def strangeness(self, class_scores: NDArray[np.floating]) -> float:
        """Return how far those sounds are heard, whatever they are, that are heard best.

        Args:
            class_scores: Of one recording, shape ``(n_classes,)``.
        """
        exact = class_scores.astype(np.float64)
        heard = self._classes.weights @ exact + self._classes.offsets
        n = min(_N_LOUDEST, heard.size)
        return float(np.partition(heard, heard.size - n)[heard.size - n :].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvidence:
    """What speaks for each label of a query.

    Attributes:
        scores: float64, shape ``(m,)``: similarity to a label's exemplars, and what its name
            says; ``-inf`` for a label of which nothing is known.
        similarities: float64, shape ``(m,)``: to the exemplars alone; ``-inf`` without any.
        likeness: How like the query is what speaks for the first label: low where the index
            holds nothing of its kind.
    """

    scores: Scores
    similarities: Similarities
    likeness: float


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
    def deviation(self) -> float:
        """Standard deviation of the exemplars' similarities to each other."""
        some = self.candidates.vectors[:_MOST_COMPARED].astype(np.float64)
        pairs = (some @ some.T)[np.triu_indices(len(some), k=1)]
        if pairs.size < _FEWEST_PAIRS:
            return _USUAL_DEVIATION
        return max(float(pairs.std()), 1e-3)

    def similarities(
        self, query: NDArray[np.float32], float32_scores: NDArray[np.float32] | None = None
    ) -> Similarities:
        """Return a query's similarity to every exemplar.

        In float64, so that the last bits of a product, which depend on what else is asked in
        one batch, decide nothing; of very many exemplars the float32 products do.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            float32_scores: float32, shape ``(n,)``: products with all exemplars, if at hand.
        """
        vectors = self.candidates.vectors
        if len(vectors) <= _MOST_EXACT:
            return np.asarray(vectors.astype(np.float64) @ query.astype(np.float64))
        found = vectors @ query if float32_scores is None else float32_scores
        return np.asarray(found, dtype=np.float64)

    def weigh(
        self,
        similarities: Similarities,
        allowed: NDArray[np.bool_],
        class_scores: NDArray[np.floating] | None = None,
    ) -> LabelEvidence:
        """Return what speaks for each label.

        Args:
            similarities: Of a query to every exemplar, float64, shape ``(n,)``.
            allowed: Exemplars that may answer, bool, shape ``(n,)``.
            class_scores: The query's, shape ``(n_classes,)``; ``None`` if unknown.
        """
        n_labels = len(self.candidates.labels)
        sharpness = _SHARPNESS / self.deviation
        here = allowed[self._rows]
        labels, rows = self._labels[here], self._rows[here]
        # From the highest, so that no exponential overflows.
        highest = float(similarities[allowed].max()) if allowed.any() else 0.0
        weights = np.exp(sharpness * (similarities - highest))
        sums = np.bincount(labels, weights=weights[rows], minlength=n_labels)
        counts = np.bincount(labels, minlength=n_labels)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = highest + np.log(sums / counts) / sharpness
        means = np.where(counts > 0, means, -np.inf)
        if self.names is None or class_scores is None:
            return LabelEvidence(scores=means, similarities=means, likeness=float(means.max()))
        usual = 0.0
        if allowed.any():
            usual = highest + float(np.log(weights[allowed].mean())) / sharpness
            usual += _UNSHOWN * self.deviation
        heard = self.names.heard(class_scores)
        scores = np.where(counts > 0, means, usual) + _WORD_WEIGHT * heard
        best = int(np.argmax(scores))
        likeness = float(means[best]) if counts[best] else usual
        likeness -= _STRANGENESS * self.names.strangeness(class_scores)
        return LabelEvidence(scores=scores, similarities=means, likeness=likeness)
