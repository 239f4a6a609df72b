"""Evaluation settings: arms, items, seeds, leaks and intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from earful.errors import EvaluationError
from earful.model import ShotMode
from earful.plain import plain_fields
from earful.rag.evaluation.arms import check_choices
from earful.rag.evaluation.leakage import NEAR_DUPLICATE, ON_LEAKS, OnLeaks
from earful.values import short_repr
from earful.wording import quoted, unknown_name

# Fields that hold several values, each with an example.
_SEVERAL: dict[str, tuple[int, ...] | tuple[str, ...]] = {
    "shots": (0, 4),
    "strategies": ("nearest", "balanced"),
    "arms": ("vote", "retrieved"),
    "shot_modes": ("interleaved", "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """Settings of an evaluation.

    >>> EvaluationSettings(shots=(0, 4), arms=("vote",), limit=200)
    EvaluationSettings(shots=(0, 4), arms=('vote',), limit=200)

    Attributes:
        shots: Numbers of shots; 0 asks the language model without any.
        seeds: Arms that make random choices are asked once for each seed from 0 up to this.
        strategies: Shot strategies; none for the task's own.
        arms: Ways to answer; none for all. See ``arms.HOWS``.
        shot_modes: How a language model is shown exemplars, each as an arm where the model takes
            it; none for the way that suits it best.
        split: Rows of the index that are asked about, answered by the others; empty for the
            task's split, and where that is empty, too, for every row in turn.
        limit: Items at most, drawn with the labels taking turns; ``None`` for all.
        leaks: Whether to refuse, exclude or allow exemplars that give items away.
        near_duplicate: Cosine similarity from which items and exemplars are compared by their
            signals, beside the 32 nearest exemplars of each; at 1 none are.
        max_new_tokens: Length of the longest written answer, in tokens.
        confidence: Level of the intervals.
        resamples: Number of bootstrap resamples.

    Raises:
        EvaluationError: A field is outside its range.
        TypeError: A field is no number, or one value where several are expected.
    """

    shots: tuple[int, ...] = (0, 1, 2, 4, 8)
    seeds: int = 3
    strategies: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    shot_modes: tuple[ShotMode, ...] = ()
    split: str = ""
    limit: int | None = None
    leaks: OnLeaks = "refuse"
    near_duplicate: float = NEAR_DUPLICATE
    max_new_tokens: int = 128
    confidence: float = 0.95
    resamples: int = 2000

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, such_as in _SEVERAL.items():
            object.__setattr__(self, name, _to_several(name, getattr(self, name), such_as))
        for name in ("seeds", "resamples", "max_new_tokens"):
            _check_whole(name, getattr(self, name))
        if self.limit is not None:
            _check_whole("limit", self.limit)
        for k in self.shots:
            _check_whole("shots", k)
        check_choices(self.shots, self.strategies, self.arms, self.shot_modes)
        if self.leaks not in ON_LEAKS:
            raise EvaluationError(unknown_name("leaks", self.leaks, ON_LEAKS))
        for name, found, least in (
            ("seeds", self.seeds, 1),
            ("limit", self.limit or 1, 1),
            ("resamples", self.resamples, 100),
        ):
            if found < least:
                raise EvaluationError(f"{name}={found}: expected {least} or more")
        if self.limit == 0:
            raise EvaluationError("limit=0: expected 1 or more, or none")
        if not 0.5 <= self.confidence < 1.0:
            raise EvaluationError(f"confidence={self.confidence}: expected 0.5 or more, below 1")
        if not 0.0 < self.near_duplicate <= 1.0:
            raise EvaluationError(
                f"near_duplicate={self.near_duplicate}: expected more than 0, at most 1"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; modes of shots only where some were chosen."""
        return plain_fields(self, without=() if self.shot_modes else ("shot_modes",))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what ``to_dict`` wrote."""
        plain = dict(values)
        for name in _SEVERAL:
            plain[name] = tuple(plain.get(name, ()))
        return cls(**plain)


def _to_several(name: str, value: object, such_as: tuple[object, ...]) -> tuple[object, ...]:
    """Return a field's values as a tuple, so that a run knows itself again."""
    if not isinstance(value, list | tuple | range):
        raise TypeError(f"{name}={quoted(value)}: expected several, such as {such_as}")
    return tuple(value)


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={quoted(value)}: expected a whole number")
