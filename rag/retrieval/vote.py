"""Scores of labels: the neighbour vote, a language model's, and a blend of the two.

The vote of one label among several: each label weighs ``exp(score / temperature)``, where the
score says how like the query its exemplars are, on average, and how far its name is heard
(``label_means.py``). One made-up label of score ``background`` joins them and stands for all
alike: so a label without an exemplar is not impossible, and a query unlike every exemplar gets
a flat answer rather than a confident one. ``calibration.py`` finds the two numbers.

Where each label is decided for itself (``multilabel``), the shots vote instead, each with
``exp(similarity / temperature)``, and the made-up one with every label's frequency.

The language model: the log-probabilities of whole answers, made to sum to 1 over the
candidates. An answer's end counts as its last token, so that long and short labels are
whole answers of one distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from earful.rag.arrays import Scores, Similarities
from earful.rag.retrieval.candidates import Candidates
from earful.rag.retrieval.label_means import LabelEvidence
from earful.values import short_repr

_MORE_THAN_HALF: Final = 0.5
UNDECIDED: Final = 0.02
"""Difference of the first two labels' scores, as a share of their sum, below which they cannot be
told apart: the first is then right in fewer than 51 of 100 cases in which one of the two is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration: the numbers that turn similarities into scores, and into doubt.

    Attributes:
        temperature: What scores are divided by; small lets the highest decide.
        background: Score of the made-up label, or shot, that stands for all labels.
        n_cases: Exemplars it was fitted on; 0 when it is a guess.
        loss: Their mean negative log-likelihood; 0 when it is a guess.
        unlike_below: Likeness below which nothing here is like a query; see
            ``LabelEvidence``. Of exemplars that were asked about and answered right, one in
            twenty is below it; ``-inf`` where too few were.
    """

    temperature: float
    background: float
    n_cases: int = 0
    loss: float = 0.0
    unlike_below: float = -np.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScoring:
    """Label scoring: how a language model's log-probabilities become scores.

    The defaults correct nothing: what helps some models and tasks and hurts others is not
    applied before exemplars of the task say that it helps, as they do for a blend.

    >>> LabelScoring(length="mean", vote_weight=0.5)
    LabelScoring(length='mean', vote_weight=0.5)

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

    __repr__ = short_repr

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelVote:
    """The neighbour vote on one query.

    Attributes:
        scores: float64, shape ``(n_labels,)``, each in [0, 1].
        evidence: What speaks for each label; ``None`` where each is decided for itself.
        calibration: What the scores were made by.
        note: What a reader should know of the calibration; empty for nothing.
    """

    scores: Scores
    evidence: LabelEvidence | None
    calibration: Calibration
    note: str = ""

    @property
    def likeness(self) -> float:
        """Likeness of the query and its first label's evidence, in [0, 1].

        A half is the bound below which nothing here is like it; 1 where no bound is known, or
        where each label is decided for itself.
        """
        bound = self.calibration.unlike_below
        if self.evidence is None or not np.isfinite(bound):
            return 1.0
        above = (self.evidence.likeness - bound) / self.calibration.temperature
        return float(1.0 / (1.0 + np.exp(-np.clip(above, -50.0, 50.0))))

    def doubt(self, labels: Sequence[str], scores: Scores) -> str:
        """Return why no label should be given, or ``""``.

        Args:
            labels: Names of the labels.
            scores: Their final scores, of the vote alone or with a language model.
        """
        if self.evidence is None:
            return ""
        best, *others = np.argsort(-scores, kind="stable").tolist()
        # Who has been compared with nothing cannot be told that nothing is like it.
        if np.isfinite(self.evidence.similarities[best]):
            unlike = "nothing here is like it"
        elif np.isfinite(self.evidence.similarities).any():
            unlike = f"{labels[best]!r} has no exemplar, and its name is not clearly heard"
        else:
            unlike = "none of these names is clearly heard in it"
        if self.evidence.likeness < self.calibration.unlike_below:
            return unlike
        if not others:
            return ""
        first, second = float(scores[best]), float(scores[others[0]])
        if first - second >= UNDECIDED * (first + second):
            return ""
        # Where the made-up label has most of the weight, that is what makes the others alike.
        if background_share(self.evidence.scores, self.calibration) > _MORE_THAN_HALF:
            return unlike
        return f"{labels[best]!r} and {labels[others[0]]!r} cannot be told apart"


def vote_of_labels(scores: Scores, calibration: Calibration) -> Scores:
    """Score labels of which one is right.

    Args:
        scores: What speaks for each, float64, shape ``(n_labels,)``, see ``LabelEvidence``;
            ``-inf`` for nothing.
        calibration: Temperature and background.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1]; they sum to 1.

    >>> far = Calibration(temperature=0.1, background=-9.0)
    >>> vote_of_labels(np.array([0.5, 0.5]), far).round(3)
    array([0.5, 0.5])
    """
    weights = _weights(scores, calibration)
    return np.asarray((weights[:-1] + weights[-1] / scores.size) / weights.sum())


def background_share(scores: Scores, calibration: Calibration) -> float:
    """Return the made-up label's share of the weight in ``vote_of_labels``, in [0, 1].

    >>> near = Calibration(temperature=0.1, background=0.9)
    >>> round(background_share(np.array([0.1, 0.2]), near), 3)
    0.999
    """
    weights = _weights(scores, calibration)
    return float(weights[-1] / weights.sum())


def vote_of_shots(
    similarities: Similarities,
    memberships: NDArray[np.float64],
    calibration: Calibration,
    *,
    prior: Scores,
) -> Scores:
    """Score labels from the shots of one query, each label for itself.

    Args:
        similarities: float64, shape ``(n_shots,)``.
        memberships: Which labels each shot carries, shape ``(n_shots, n_labels)``.
        calibration: Temperature and background.
        prior: What the made-up shot gives to each label, shape ``(n_labels,)``.

    Returns:
        float64, shape ``(n_labels,)``, each in [0, 1].

    >>> two = np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> far = Calibration(temperature=0.1, background=-9.0)
    >>> vote_of_shots(np.array([0.5, 0.5]), two, far, prior=np.array([0.5, 0.5])).round(3)
    array([1. , 0.5])
    """
    shares = np.vstack([memberships, prior])
    weights = _weights(similarities, calibration)
    return np.asarray(weights @ shares / weights.sum())


def shot_share(similarities: Similarities, calibration: Calibration) -> float:
    """Return the share of a vote's weight that its shots have, in [0, 1].

    The rest is the made-up shot's: below a half, the query is unlike all of them.

    >>> far = Calibration(temperature=0.1, background=0.5)
    >>> round(shot_share(np.array([0.9]), far), 2), round(shot_share(np.array([0.1]), far), 2)
    (0.98, 0.02)
    """
    weights = _weights(similarities, calibration)
    return float(weights[:-1].sum() / weights.sum())


def label_prior(candidates: Candidates) -> Scores:
    """Return what is believed about labels that are each decided for themselves, without a shot.

    That is each one's frequency in the candidates, with one exemplar more that has it and one
    more that lacks it.

    Returns:
        float64, shape ``(n_labels,)``.
    """
    counts = candidates.memberships(candidates.distinct).sum(axis=0)
    return np.asarray((counts + 1.0) / (len(candidates.distinct) + 2.0))


def _weights(scores: Scores, calibration: Calibration) -> Scores:
    """Return what each voter weighs, the made-up one last; the heaviest weighs 1."""
    logits = np.append(scores, calibration.background) / calibration.temperature
    return np.asarray(np.exp(logits - logits.max()))
