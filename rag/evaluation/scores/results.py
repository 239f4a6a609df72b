"""Results of an evaluation: scores of arms, comparisons of arms, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earful.plain import plain_fields
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.metrics import Difference, Interval, McNemar

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScore:
    """The scores of one arm.

    Attributes:
        arm: The arm.
        metrics: Name of a metric to its value and interval; the task's own metric first.
        n_faults: Answers that could not be given; they count as wrong.
        median_s: Median seconds an item, without the embedding of the item.
        n_unparsed: Answers in which no label could be read; they count as wrong, too.
    """

    arm: Arm
    metrics: Mapping[str, Interval] = field(hash=False)
    n_faults: int
    median_s: float
    n_unparsed: int = 0

    @property
    def primary(self) -> Interval:
        """The task's own metric."""
        return next(iter(self.metrics.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **self.arm.to_dict(),
            "metrics": {
                name: plain_fields(interval, digits=_DIGITS)
                for name, interval in self.metrics.items()
            },
            "n_faults": self.n_faults,
            "n_unparsed": self.n_unparsed,
            "median_s": round(self.median_s, _DIGITS),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """Abstention of an arm: how often, and the accuracy of the other answers.

    Attributes:
        share: Of the items, in [0, 1].
        accuracy: Share of the others that are right; ``None`` when it abstains from all.
    """

    share: float
    accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        accuracy = self.accuracy
        return {
            "share": round(self.share, _DIGITS),
            "accuracy_of_others": None if accuracy is None else round(accuracy, _DIGITS),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The difference of two arms on the same items, by the task's own metric.

    Attributes:
        first: Name of the arm that is expected to be better.
        second: Name of the arm whose value is subtracted.
        difference: Value of the first less that of the second, with its interval.
        mcnemar: McNemar's test, where an answer is right or wrong; else ``None``.
    """

    first: str
    second: str
    difference: Difference
    mcnemar: McNemar | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        test = self.mcnemar
        return {
            "of": self.first,
            "less": self.second,
            **plain_fields(self.difference, digits=_DIGITS),
            "mcnemar": None
            if test is None
            else {
                "only_first": test.b,
                "only_second": test.c,
                "p_value": round(test.p_value, _DIGITS),
                "is_exact": test.is_exact,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The conclusion of an evaluation.

    Attributes:
        text: One sentence: whether retrieval helps, and which arm to use.
        arm: The cheapest arm that a task may choose and that is not shown to be worse than
            the best.
        best: The arm with the best value.
    """

    text: str
    arm: Arm
    best: Arm

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"text": self.text, "arm": self.arm.to_dict(), "best": self.best.to_dict()}
