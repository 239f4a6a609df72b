"""Predictions: the answers of arms about items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from earful.plain import plain_fields

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer of one arm about one item.

    Attributes:
        item: Id of the item.
        arm: Name of the arm.
        seed: Seed of the arm's random choices.
        text: The answer; for labels the predicted one, in the task's own names.
        labels: The predicted labels; empty for written text that names none.
        confidence: In [0, 1]; ``None`` where a language model chose without telling how sure it is.
        abstained: Whether a user would be told "not sure", the answer being the best guess; only
            a vote or a blend says so.
        scores: For ``classify`` of the five best labels, for ``multilabel`` of all.
        shots: Ids of the exemplars that were shown or that voted, nearest first.
        similarities: Similarity of each shot to the item.
        digest: Digest of the prompt; empty when no language model was asked.
        spent_s: Seconds, without the embedding of the item.
        fault: Why there is no answer; empty when there is one.
        unparsed: What a language model wrote in place of a label; it counts as wrong.
    """

    item: str
    arm: str
    seed: int
    text: str
    labels: tuple[str, ...] = ()
    confidence: float | None = 0.0
    abstained: bool = False
    scores: Mapping[str, float] | None = field(default=None, hash=False)
    shots: tuple[str, ...] = ()
    similarities: tuple[float, ...] = ()
    digest: str = ""
    spent_s: float = 0.0
    fault: str = ""
    unparsed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return plain_fields(self, digits=_DIGITS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is unknown.
        """
        plain = dict(values)
        for name in ("labels", "shots", "similarities"):
            plain[name] = tuple(plain[name])
        return cls(**plain)
