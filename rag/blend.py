"""Blend of a language model and the neighbour vote, by a weight fitted to both.

A log-linear pool, made to sum to 1 over what is decided among::

    log p = (1 - weight) log p_vote + weight log p_model / temperature

The temperature is there because language models are surer than they are right. Weight and
temperature are those under which exemplars, asked about as if they were queries
(``generation/leave_one_out.py``), get their own labels with the greatest probability. As in
``retrieval/calibration.py`` one made-up case joins them in which the favourite is wrong:
without a single mistake there is still the room for one that the number of cases allows.

The vote is what a blend has to beat. Unless the held-out exemplars say so by more than one
standard error, the weight is 0. They have to say so twice: against the vote as it is, and
against the vote flattened as the blend flattens it, which would do without any model. Nor
may the blend answer fewer of them right. Cases of one group are not independent, so the
standard error is over groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.rag.arrays import Scores
from earful.values import short_repr

_DIGITS = 6
# Below these, what a score says is how it was rounded.
_LEAST_VOTE = 1e-9
_LEAST_SCORE = 1e-15
_MORE_LIKELY_THAN_NOT = 0.5

WEIGHTS: tuple[float, ...] = tuple(n / 20 for n in range(1, 21))
TEMPERATURES: tuple[float, ...] = tuple(2.0 ** (n / 2) for n in range(-2, 11))
_NO_MODEL = (0.0, 1.0)
# Of equally good ones the first is taken: least weight, then a temperature near 1.
_TRIED = (
    _NO_MODEL,
    *((w, t) for w in WEIGHTS for t in sorted(TEMPERATURES, key=lambda t: abs(math.log(t)))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """Weight of a language model beside the neighbour vote, and how it was fitted.

    Attributes:
        weight: Of the model, in [0, 1]; 0 is the vote alone.
        temperature: What the model's log-probabilities are divided by.
        n_held_out: Exemplars it was fitted on; 0 when nothing was fitted.
        vote_accuracy: Share of them that the vote answers right (for ``multilabel`` of the
            decisions on them); 0 when nothing was fitted.
        model_accuracy: The same for the model.
        blend_accuracy: The same for the blend.
        is_trained: Whether weight and temperature come from the model's training.
    """

    weight: float
    temperature: float
    n_held_out: int = 0
    vote_accuracy: float = 0.0
    model_accuracy: float = 0.0
    blend_accuracy: float = 0.0
    is_trained: bool = False

    __repr__ = short_repr

    @classmethod
    def of_vote(cls) -> Blend:
        """Return the vote alone, with nothing fitted."""
        return cls(weight=0.0, temperature=1.0)

    def mix(self, votes: Scores, scores: Scores, *, exclusive: bool) -> Scores:
        """Blend the vote's scores and a language model's.

        Args:
            votes: float64, shape ``(n_labels,)``, each in [0, 1].
            scores: The model's, likewise.
            exclusive: Whether one label is right, or each is decided for itself.

        Returns:
            float64, shape ``(n_labels,)``, each in [0, 1].

        >>> half = Blend(weight=0.5, temperature=1.0)
        >>> half.mix(np.array([0.5, 0.5]), np.array([0.8, 0.2]), exclusive=True).round(3)
        array([0.667, 0.333])
        """
        if self.weight == 0.0:
            return votes
        vote = _decisions(votes, exclusive, _LEAST_VOTE)
        model = _decisions(scores, exclusive, _LEAST_SCORE)
        pooled = np.exp(_pool(vote, model, self.weight, self.temperature))
        return pooled[0] if exclusive else pooled[:, 0]

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        accuracy = {
            "vote": round(self.vote_accuracy, _DIGITS),
            "model": round(self.model_accuracy, _DIGITS),
            "blend": round(self.blend_accuracy, _DIGITS),
        }
        return {
            "weight": self.weight,
            "temperature": round(self.temperature, _DIGITS),
            "n_replayed": self.n_held_out,
            "is_trained": self.is_trained,
            "accuracy": accuracy if self.n_held_out else None,
        }


UNFITTED = Blend(weight=0.5, temperature=2.0)
"""With too few exemplars to fit anything: half each, the model half as sure as it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutScores:
    """Scores of exemplars asked about as if they were queries, and what is right.

    Attributes:
        votes: The vote's scores, float64, shape ``(n, n_labels)``.
        scores: The language model's, likewise.
        right: Which labels each exemplar carries, bool, likewise.
        groups: The group of each; empty for one of its own.
        exclusive: Whether one label is right (any of an exemplar's, if it has several), or
            each is decided for itself.
    """

    votes: Scores
    scores: Scores
    right: NDArray[np.bool_]
    groups: tuple[str, ...]
    exclusive: bool

    def __len__(self) -> int:
        return len(self.votes)

    def accuracy(self, blend: Blend) -> float:
        """Return the share of the exemplars, or of decisions on them, that is right."""
        blended = [
            blend.mix(votes, scores, exclusive=self.exclusive)
            for votes, scores in zip(self.votes, self.scores, strict=True)
        ]
        if self.exclusive:
            return float(self.right[np.arange(len(self)), np.argmax(blended, axis=1)].mean())
        return float(((np.array(blended) > _MORE_LIKELY_THAN_NOT) == self.right).mean())

    def log_likelihoods(self, weight: float, temperature: float) -> tuple[Scores, Scores]:
        """Compute how probable what is right is under a blend.

        Returns:
            ``(log_likelihoods, doubts)``, both float64 of shape ``(n,)``: of what is right
            in each case, and what the favourite leaves for all others. For labels that
            are decided each for itself both are means over the labels.
        """
        vote = _decisions(self.votes, self.exclusive, _LEAST_VOTE)
        model = _decisions(self.scores, self.exclusive, _LEAST_SCORE)
        pooled = _pool(vote, model, weight, temperature)
        right = self.right[:, None, :] if self.exclusive else np.stack([self.right, ~self.right], 2)
        likely = np.logaddexp.reduce(np.where(right, pooled, -np.inf), axis=2)
        doubt = -np.expm1(pooled.max(axis=2))
        return likely.mean(axis=1), doubt.mean(axis=1)


def fit_blend(held_out: HeldOutScores) -> Blend:
    """Find the weight and temperature that explain held-out exemplars best.

    Args:
        held_out: At least one.

    Returns:
        A blend of weight 0 unless it is better than the vote; see above.
    """
    found = [held_out.log_likelihoods(*setting) for setting in _TRIED]
    totals = [likely.sum() + math.log(max(doubt.mean(), _LEAST_SCORE)) for likely, doubt in found]
    # Equal up to rounding is equal.
    best = int(np.argmax(np.round(totals, 9)))
    weight, temperature = _TRIED[best]
    silent, _ = held_out.log_likelihoods(weight, math.inf)
    vote, fitted = (Blend(weight=w, temperature=t) for w, t in (_NO_MODEL, _TRIED[best]))
    vote_accuracy, accuracy = held_out.accuracy(vote), held_out.accuracy(fitted)
    gained = (found[best][0] - found[0][0], found[best][0] - silent)
    if accuracy < vote_accuracy or not all(_is_gain(x, held_out.groups) for x in gained):
        (weight, temperature), accuracy = _NO_MODEL, vote_accuracy
    return Blend(
        weight=weight,
        temperature=temperature,
        n_held_out=len(held_out),
        vote_accuracy=vote_accuracy,
        model_accuracy=held_out.accuracy(Blend(weight=1.0, temperature=1.0)),
        blend_accuracy=accuracy,
    )


def _decisions(scores: Scores, exclusive: bool, least: float) -> Scores:
    """Return the logarithms of what is decided among, as the last axis.

    Of shape ``(..., n_labels)`` becomes ``(..., 1, n_labels)`` when one label is right, or
    else ``(..., n_labels, 2)``: it is there, it is not.
    """
    if exclusive:
        return np.asarray(np.log(np.maximum(scores, least)))[..., None, :]
    scores = np.clip(scores, least, 1.0 - least)
    return np.stack([np.log(scores), np.log1p(-scores)], axis=-1)


def _pool(votes: Scores, scores: Scores, weight: float, temperature: float) -> Scores:
    logits = (1.0 - weight) * votes + weight / temperature * scores
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))


def _is_gain(gained: Scores, groups: tuple[str, ...]) -> bool:
    """Whether a mean is above 0 by more than its standard error over groups."""
    codes: dict[str | int, int] = {}
    owner = [codes.setdefault(group or row, len(codes)) for row, group in enumerate(groups)]
    n = len(codes)
    if n < 2:
        return False
    apart = np.bincount(owner, weights=gained - gained.mean())
    error = math.sqrt(n / (n - 1) * float(apart @ apart)) / len(gained)
    return bool(gained.mean() > max(error, _LEAST_VOTE))
