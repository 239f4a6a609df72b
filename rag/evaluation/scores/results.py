"""Results of an evaluation: scores of arms, comparisons of arms, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from earful.plain import plain_fields
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.metrics import Difference, Interval, McNemar

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What an arm takes of a language model, the median over items.

    Attributes:
        requests: Requests an item.
        tokens: Tokens an item, of prompts and answers.
        cost: Cost an item, by the prices that the user gave; ``None`` without prices.
    """

    requests: float
    tokens: float
    cost: float | None

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        values = {"requests": self.requests, "tokens": self.tokens}
        return values if self.cost is None else {**values, "cost": self.cost}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScore:
    """The scores of one arm.

    Attributes:
        arm: The arm.
        metrics: Name of a metric to its value and interval; the task's own metric first.
        n_faults: Answers that could not be given; they count as wrong.
        median_s: Median seconds an item, without the embedding of the item.
        n_unparsed: Answers in which no label could be read; they count as wrong, too.
        spending: What an item takes of the language model; ``None`` where it was not counted.
    """

    arm: Arm
    metrics: Mapping[str, Interval] = field(hash=False)
    n_faults: int
    median_s: float
    n_unparsed: int = 0
    spending: Spending | None = None

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
            **({} if self.spending is None else {"spending": self.spending.to_dict()}),
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


Helps = Literal["yes", "no", "harm", "unknown"]
"""Whether exemplars help; see ``ModelVerdict``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerdict:
    """What an evaluation says of one of several language models.

    Attributes:
        name: The model's name in the run.
        helps: Whether exemplars help it. ``"yes"`` and ``"harm"``: the whole interval of the
            difference is on one side of 0. ``"no"``: no difference is shown. ``"unknown"``: it
            was not asked both with exemplars and without.
        arm: The cheapest of its arms that is not shown to be worse than its best; ``None`` where
            it has none that a task may choose.
        few_shot: Its best arm with exemplars alone; ``None`` for none.
        comparison: That arm less no exemplars; ``None`` where one of the two is missing.
        text: The same in words.
    """

    name: str
    helps: Helps
    arm: Arm | None
    few_shot: Arm | None
    comparison: Comparison | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "helps": self.helps,
            "arm": None if self.arm is None else self.arm.to_dict(),
            "few_shot": None if self.few_shot is None else self.few_shot.to_dict(),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The conclusion of an evaluation.

    Attributes:
        text: One sentence: whether retrieval helps, and which arm to use.
        arm: The cheapest arm that a task may choose and that is not shown to be worse than
            the best.
        best: The arm with the best value.
        models: What it says of each of several language models; none where there is only one.
    """

    text: str
    arm: Arm
    best: Arm
    models: tuple[ModelVerdict, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; models only where there are several."""
        values = {"text": self.text, "arm": self.arm.to_dict(), "best": self.best.to_dict()}
        if not self.models:
            return values
        return {**values, "models": [model.to_dict() for model in self.models]}
