"""Baselines that no user would ask: the most frequent answer, and a vote among words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from earful.index.search import Hit
from earful.rag.arrays import Scores
from earful.rag.evaluation.metrics import normalise
from earful.rag.retrieval import Candidates

_UNSURE = 0.0


def label_frequencies(candidates: Candidates) -> Scores:
    """Return the share of the exemplars that carry each label, whoever is asked about.

    An item that is itself an exemplar counts, too: leaving it out would make its own label
    rarer, and a constant answer worse than it is.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1].
    """
    return np.asarray(candidates.memberships(np.arange(len(candidates))).mean(axis=0))


def most_frequent_answer(candidates: Candidates) -> tuple[str, float]:
    """Return the written answer that most exemplars give, and their share."""
    answers = Counter(normalise(exemplar.answer) for exemplar in candidates.exemplars)
    text, n = answers.most_common(1)[0]
    return text, n / len(candidates)


def vote_among_answers(
    hits: Sequence[Hit], question: str, *, is_caption: bool
) -> tuple[str, float]:
    """Choose among the written answers of shots: equal ones vote; of captions the nearest.

    Args:
        hits: Shots, nearest first; at least one.
        question: Shots that answer the same one go before all others.
        is_caption: Whether answers are descriptions, of which no two are equal.

    Returns:
        The answer, and its share of the votes; 0 for a caption.
    """
    asked = [hit for hit in hits if normalise(hit.exemplar.question) == normalise(question)]
    asked = asked or list(hits)
    weights: dict[str, float] = {}
    if not is_caption:
        for hit in asked:
            answer = normalise(hit.exemplar.answer)
            weights[answer] = weights.get(answer, 0.0) + max(hit.similarity, 0.0)
    best = max(weights, key=weights.__getitem__, default="")
    text = next(
        (hit.exemplar.answer for hit in asked if normalise(hit.exemplar.answer) == best),
        asked[0].exemplar.answer,
    )
    total = sum(weights.values())
    return text, weights[best] / total if total else _UNSURE
