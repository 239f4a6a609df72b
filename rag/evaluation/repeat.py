"""Repeated runs: ask an evaluation again and compare it answer by answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earful.errors import EvaluationError
from earful.plain import plain_fields
from earful.rag.evaluation.run import evaluate
from earful.rag.evaluation.run_file import read_run
from earful.rag.evaluation.running import NamedModel, Progress, to_sources
from earful.rag.evaluation.settings import EvaluationSettings
from earful.rag.few_shot import FewShot
from earful.rag.task import Label, Protocol, Shots, Task, load_task
from earful.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Differences between a run and the same run asked again.

    Attributes:
        n_rows: Answers compared.
        different: ``"ITEM, ARM: was A, is B"`` for each answer or prompt that changed.
        changed: Fields of the run's header that changed, such as ``"versions"``.
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
        return plain_fields(self)

    def describe(self) -> str:
        """Return a summary for people, then a line a difference."""
        summary = f"{self.n_rows - len(self.different)} of {self.n_rows} answers are the same"
        if self.changed:
            summary += f"; changed since: {', '.join(self.changed)}"
        return "\n".join([summary, *self.different])


def repeat_run(
    few: FewShot,
    path: Path,
    *,
    models: Sequence[NamedModel] = (),
    allow_outside: bool = False,
    progress: Progress | None = None,
) -> RunComparison:
    """Run an evaluation again with the settings of its file, and compare answers and prompts.

    Args:
        few: The same index, embedder and language model.
        path: A finished run.
        models: The same language models, of a run of several.
        allow_outside: As for ``load_task``.
        progress: As for ``evaluate``.

    Raises:
        EvaluationError: The file is no run, its items came from outside the index, or it is of
            other language models.
    """
    # The run as it was, then once more.
    old = read_run(path)
    if old["source"]["corpus"]:
        raise EvaluationError(
            f"{path}: its items came from {old['source']['corpus']}; run it again with --data"
        )
    names = old.get("model_names", [])
    sources = to_sources(models)
    if names and sorted(names) != sorted(source.name for source in sources):
        raise EvaluationError(
            f"{path}: is of {counted(len(names), 'language model')}, {', '.join(names)}: expected "
            "each of them; give each with --model"
        )
    # Whatever order they are given in, they are asked in that of the run.
    sources = tuple(sorted(sources, key=lambda source: names.index(source.name) if names else 0))
    settings = EvaluationSettings.from_dict(old["settings"])
    task = recorded_task(old, allow_outside=allow_outside)
    found = evaluate(few, task, settings=settings, models=sources, keep=False, progress=progress)
    # As it would be read again, with lists where there are tuples.
    new = json.loads(json.dumps(found.document))
    # Differences, answer by answer.
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
    for document in (old, new):
        for model in document.get("models", ()):
            del model["spent"]  # which differs every time
    compared = (
        *("task", "arms", "labels", "embedder", "exemplars", "model", "models", "versions"),
        "items",
    )
    return RunComparison(
        n_rows=len(old["rows"]),
        different=tuple(different),
        changed=tuple(name for name in compared if old.get(name) != new.get(name)),
    )


def recorded_task(document: dict[str, Any], *, allow_outside: bool = False) -> Task:
    """Load the task of a run: from its file, or from the run where it was made in Python.

    Args:
        document: The run.
        allow_outside: As for ``load_task``.

    Raises:
        TaskError: The task's file is gone or has mistakes.
        EvaluationError: The task was made in Python with examples of its own.
    """
    if source := document["source"]["task"]:
        return load_task(Path(source), allow_outside=allow_outside)
    values = document["task"]
    if values["examples"]:
        raise EvaluationError(
            f"task {values['name']!r} was made in Python with examples of its own; evaluate it "
            "there"
        )
    protocol = values["evaluation"]
    return Task(
        name=values["name"],
        kind=values["kind"],
        aliases=tuple(values["aliases"]),
        question=values["question"],
        description=values["description"],
        labels={
            name: Label(wording=label["wording"], aliases=tuple(label["aliases"]))
            for name, label in values["labels"].items()
        },
        shots=Shots(**values["shots"]),
        **values["answer"],
        metric=values["metric"],
        protocol=Protocol(**{**protocol, "subset": tuple(protocol["subset"])}),
    )
