"""Repeated runs: an evaluation asked again, and compared answer by answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earful.errors import EvaluationError
from earful.rag.evaluation.run import Progress, evaluate
from earful.rag.evaluation.run_file import read_run
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.task import Label, Protocol, Shots, Task, load_task


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """A run beside the same run asked again.

    Attributes:
        n_rows: Answers compared.
        different: ``"ITEM, ARM: was A, is B"`` for each answer or prompt that changed.
        changed: What of the run's header is no longer the same, such as ``"versions"``.
    """

    n_rows: int
    different: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether every answer and every prompt is the same."""
        return not self.different

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "different": list(self.different),
            "changed": list(self.changed),
        }

    def describe(self) -> str:
        """Return what people read, a line a difference."""
        told = f"{self.n_rows - len(self.different)} of {self.n_rows} answers are the same"
        if self.changed:
            told += f"; changed since: {', '.join(self.changed)}"
        return "\n".join([told, *self.different])


def repeat_run(
    few: FewShot, path: Path, *, allow_outside: bool = False, progress: Progress | None = None
) -> RunComparison:
    """Run an evaluation again as its file says, and compare every answer and prompt.

    Args:
        few: The same index, embedder and language model.
        path: A finished run.
        allow_outside: As for ``load_task``.
        progress: As for ``evaluate``.

    Raises:
        EvaluationError: It is no run, or its items came from outside the index.
    """
    old = read_run(path)
    if old["source"]["corpus"]:
        raise EvaluationError(
            f"{path}: its items came from {old['source']['corpus']}; run it again with --data"
        )
    settings = EvaluationSettings.from_dict(old["settings"])
    task = recorded_task(old, allow_outside=allow_outside)
    new = evaluate(few, task, settings=settings, progress=progress).document
    rows = {(row["item"], row["arm"], row["seed"]): row for row in new["rows"]}
    different: list[str] = []
    for row in old["rows"]:
        again = rows.get((row["item"], row["arm"], row["seed"]))
        name = f"{row['item']}, {row['arm']}"
        if again is None:
            different.append(f"{name}: was not asked again")
        elif (again["text"], again["labels"]) != (row["text"], row["labels"]):
            different.append(f"{name}: was {row['text']!r}, is {again['text']!r}")
        elif again["digest"] != row["digest"]:
            different.append(f"{name}: was asked by another prompt")
    compared = ("task", "arms", "labels", "embedder", "exemplars", "model", "versions", "items")
    return RunComparison(
        n_rows=len(old["rows"]),
        different=tuple(different),
        changed=tuple(name for name in compared if old[name] != new[name]),
    )


def recorded_task(document: dict[str, Any], *, allow_outside: bool = False) -> Task:
    """Read the task of a run anew, from its file; one made in Python from the run itself.

    Args:
        document: The run.
        allow_outside: As for ``load_task``.

    Raises:
        TaskError: Its file is gone or has mistakes.
        EvaluationError: It was made in Python with examples of its own.
    """
    if source := document["source"]["task"]:
        return load_task(Path(source), allow_outside=allow_outside)
    told = document["task"]
    if told["examples"]:
        raise EvaluationError(
            f"task {told['name']!r} was made in Python with examples of its own; evaluate it there"
        )
    return Task(
        name=told["name"],
        kind=told["kind"],
        aliases=tuple(told["aliases"]),
        question=told["question"],
        description=told["description"],
        labels={
            name: Label(wording=label["wording"], aliases=tuple(label["aliases"]))
            for name, label in told["labels"].items()
        },
        shots=Shots(**told["shots"]),
        **told["answer"],
        metric=told["metric"],
        protocol=Protocol(**{**told["evaluation"], "subset": tuple(told["evaluation"]["subset"])}),
    )
