"""Scores of labels: the neighbour vote, a language model's, and a blend of the two.

The vote: each shot weighs ``exp(similarity / temperature)``. One made-up shot of similarity
``background`` joins them and stands for all labels alike. A label's score is the share
of the whole weight that its shots have, with its part of the made-up one: so a label
without a shot is not impossible, and a query unlike every shot gets a flat answer rather
than a confident one. ``calibration.py`` finds the two numbers.

The language model: the log-probabilities of whole answers, made to sum to 1 over the
candidates. An answer's end counts as its last token, so that long and short labels are
whole answers of one distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.rag.arrays import Scores, Similarities
from earful.rag.retrieval.candidates import Candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration: the two numbers that turn similarities into scores.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScoring:
    """Label scoring: how a language model's log-probabilities become scores.

    The defaults correct nothing: what helps some models and tasks and hurts others is not
    applied before exemplars of the task say that it helps, as they do for a blend.

    Attributes:
        length: ``"sum"``: the log-probability of the whole answer. ``"mean"``: of its mean
            token, which favours long labels whose later tokens follow from the first.
        prior: Whether the score under the same prompt with digital silence in place of
            the recording is subtracted first: what the words alone make of it (Zhao et
            al., arXiv 2102.09690; Holtzman et al., arXiv 2104.08315). It costs a second
            pass.
        vote_weight: How much the neighbour vote counts, from 0, not at all, to 1, alone: a
            fixed weight of the two scores' mean, and no blend is fitted. ``None``: that is
            for ``AskOptions.blend`` to say.

    Raises:
        ValueError: A field is outside its range.
    """

    length: Literal["sum", "mean"] = "sum"
    prior: bool = False
    vote_weight: float | None = None

    def __post_init__(self) -> None:
        if self.length not in ("sum", "mean"):
            raise ValueError(f"length={self.length!r}: expected 'sum' or 'mean'")
        if self.vote_weight is not None and not 0.0 <= self.vote_weight <= 1.0:
            raise ValueError(f"vote_weight={self.vote_weight}: expected 0 to 1")


def label_probabilities(
    log_probabilities: Sequence[NDArray[np.float64]],
    *,
    scoring: LabelScoring,
    prior: Sequence[NDArray[np.float64]] | None = None,
) -> Scores:
    """Turn a language model's token log-probabilities into scores of labels.

    Args:
        log_probabilities: For each label those of its tokens, as ``LanguageModel.score``.
        scoring: Which corrections apply.
        prior: The same under a prompt that says nothing about the query.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1]; they sum to 1.

    >>> two = [np.log([0.5]), np.log([0.5, 0.5])]
    >>> label_probabilities(two, scoring=LabelScoring()).round(3)
    array([0.667, 0.333])
    >>> label_probabilities(two, scoring=LabelScoring(length="mean")).round(3)
    array([0.5, 0.5])
    """
    reduce = np.sum if scoring.length == "sum" else np.mean
    logits = np.array([reduce(tokens) for tokens in log_probabilities])
    if prior is not None:
        logits -= [reduce(tokens) for tokens in prior]
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


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


def shot_share(similarities: Similarities, calibration: Calibration) -> float:
    """Return the share of a vote's weight that its shots have, in [0, 1].

    The rest is the made-up shot's: below a half, the query is unlike all of them.

    >>> far = Calibration(temperature=0.1, background=0.5)
    >>> round(shot_share(np.array([0.9]), far), 2), round(shot_share(np.array([0.1]), far), 2)
    (0.98, 0.02)
    """
    logits = np.append(similarities, calibration.background) / calibration.temperature
    weights = np.exp(logits - logits.max())
    return float(weights[:-1].sum() / weights.sum())


def label_prior(candidates: Candidates, *, exclusive: bool) -> Scores:
    """Return what is believed about labels without any shot.

    Every label alike when one of them is right; else each one's frequency in the candidates,
    with one exemplar more that has it and one more that lacks it.

    Returns:
        float64, shape ``(n_labels,)``.
    """
    if exclusive:
        return np.full(len(candidates.labels), 1.0 / len(candidates.labels))
    counts = np.array([rows.size for rows in candidates.rows_of_label], dtype=np.float64)
    return (counts + 1.0) / (len(candidates) + 2.0)


def label_shares(memberships: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share a shot with several labels among them."""
    return np.asarray(memberships / np.maximum(memberships.sum(axis=1, keepdims=True), 1.0))
