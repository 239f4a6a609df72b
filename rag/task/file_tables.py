"""Tables of a task file, as the dataclasses that pydantic checks them against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, with_config

from earful.index.corpus import name_fault, text_fault
from earful.rag.strategies import STRATEGIES
from earful.rag.task.task import (
    MAX_SHOTS,
    Answerer,
    AnswerForm,
    Kind,
    Order,
    Shots,
    Subset,
    label_fault,
)
from earful.toml import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable

    Strategy = str
else:
    Strategy = Literal[tuple(STRATEGIES)]


def _without(fault_of: Callable[[str], str]) -> AfterValidator:
    """Return a validator of texts in which a function finds no fault."""

    def check(text: str) -> str:
        if fault := fault_of(text):
            raise ValueError(fault)
        return text

    return AfterValidator(check)


Text = Annotated[str, _without(text_fault)]
Count = Annotated[int, Field(ge=1, le=MAX_SHOTS)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]

_SHOTS = Shots()


@dataclass(frozen=True, kw_only=True)
class ShotsTable:
    """``[shots]``."""

    k: Count = _SHOTS.k
    strategy: Strategy = _SHOTS.strategy
    order: Order = _SHOTS.order
    max_per_label: Count | None = _SHOTS.max_per_label
    diversity: Share = _SHOTS.diversity


@dataclass(frozen=True, kw_only=True)
class AnswerTable:
    """``[answer]``."""

    abstain_below: Share = 0.0
    arm: Answerer = "blend"
    lists_labels: bool | None = None
    yes_no_options: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluationTable:
    """``[evaluation]``."""

    dataset: Text = ""
    split: Text = ""
    answers: AnswerForm = "scored"
    subset: tuple[Subset, ...] = ()
    source: Text = ""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """``[labels.NAME]``."""

    wording: Annotated[str, _without(lambda text: label_fault(text) if text else "")] = ""
    aliases: tuple[str, ...] = ()


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ExampleTable:
    """``[[examples]]``."""

    audio: Text = ""
    label: str | None = None
    labels: tuple[str, ...] | None = None
    answer: Text = ""
    question: Text = ""
    start_s: Seconds = 0.0
    end_s: Seconds | None = None
    group: Text = ""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """A whole file; its labels and examples are read one by one."""

    name: Text | None = None
    kind: Kind = "classify"
    aliases: tuple[Annotated[str, _without(name_fault)], ...] = ()
    question: Text = ""
    description: Text = ""
    labels: Annotated[
        list[object] | dict[str, object] | None,
        Field(json_schema_extra={"expected": "an array of names or a table for each name"}),
    ] = None
    shots: ShotsTable = field(default_factory=ShotsTable)
    answer: AnswerTable = field(default_factory=AnswerTable)
    metric: str = ""
    evaluation: EvaluationTable = field(default_factory=EvaluationTable)
    examples: Annotated[
        list[object] | str,
        Field(
            json_schema_extra={
                "expected": "[[examples]] tables, or the path of a table or of a folder per label"
            }
        ),
    ] = field(default_factory=list)
