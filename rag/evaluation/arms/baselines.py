"""Baselines without a model: the most frequent answer, and a vote among written answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from earful.index.search import Hit
from earful.rag.arrays import Scores
from earful.rag.evaluation.metrics import normalise
from earful.rag.retrieval import Candidates

# A caption's share of the votes: no two are equal, so none is counted.
_NO_SHARE = 0.0


def label_frequencies(candidates: Candidates) -> Scores:
    """Return the share of the exemplars that carry each label.

    The shares are the same for every item, even one that is itself an exemplar: leaving it out
    would make its own label rarer, and a constant answer worse than it is.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1].
    """
    return np.asarray(candidates.memberships(candidates.distinct).mean(axis=0))


def most_frequent_answer(candidates: Candidates) -> tuple[str, float]:
    """Return the written answer that most exemplars give, normalised, and their share."""
    answers = Counter(normalise(exemplar.answer) for exemplar in candidates.exemplars)
    text, n = answers.most_common(1)[0]
    return text, n / len(candidates)


def vote_among_answers(
    hits: Sequence[Hit], question: str, *, is_caption: bool
) -> tuple[str, float]:
    """Return the vote of written answers, each weighted by its similarity.

    Args:
        hits: Shots, nearest first; at least one.
        question: Only shots that answer this question vote; all do where there are none.
        is_caption: Whether answers are descriptions: no two are equal, so the nearest wins.

    Returns:
        The answer as the nearest of its shots words it, and its share of the votes; 0 for a
        caption.
    """
    voters = [hit for hit in hits if normalise(hit.exemplar.question) == normalise(question)]
    voters = voters or list(hits)
    if is_caption:
        return voters[0].exemplar.answer, _NO_SHARE
    weights: dict[str, float] = {}
    for hit in voters:
        answer = normalise(hit.exemplar.answer)
        weights[answer] = weights.get(answer, 0.0) + max(hit.similarity, 0.0)
    best = max(weights, key=weights.__getitem__)
    text = next(hit.exemplar.answer for hit in voters if normalise(hit.exemplar.answer) == best)
    total = sum(weights.values())
    return text, weights[best] / total if total else _NO_SHARE
