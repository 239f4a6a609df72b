"""Parsing of task files: the task, or every mistake with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from earful.index.corpus import to_nfc
from earful.rag.task.file_tables import LabelTable, TaskFile
from earful.rag.task.label_names import LabelNames
from earful.rag.task.parse_examples import ExampleParser
from earful.rag.task.task import (
    METRICS,
    SUBSETS,
    Kind,
    Label,
    Protocol,
    Shots,
    Task,
    task_name_fault,
)
from earful.toml import TomlProblem, TomlReader, TooManyProblemsError, read_toml
from earful.wording import counted, unknown_name

_MOST_SHOWN = 5


def read_task(
    path: Path, *, allow_outside: bool = False, takes_one_label: bool = False
) -> tuple[Task | None, tuple[TomlProblem, ...]]:
    """Read a task file.

    Args:
        path: The file.
        allow_outside: Whether examples may lie outside its folder. Only the person who runs
            it can allow that: a task file from elsewhere must not have other files opened.
        takes_one_label: Whether a task of kind classify may have a single label.

    Returns:
        The task and no problems; or ``None`` and the first ``MAX_PROBLEMS`` problems, in the
        order of the file's lines.
    """
    toml = read_toml(path, "task file")
    if isinstance(toml, TomlProblem):
        return None, (toml,)
    reader = TomlReader(toml)
    task = None
    with suppress(TooManyProblemsError):
        task = _TaskParser(
            reader, allow_outside=allow_outside, takes_one_label=takes_one_label
        ).parse()
    return task, reader.problems()


class _TaskParser:
    """Parses one task file; goes on after a mistake, so that one pass reports them all."""

    def __init__(self, reader: TomlReader, *, allow_outside: bool, takes_one_label: bool) -> None:
        self._reader = reader
        self._allow_outside = allow_outside
        self._fewest = 1 if takes_one_label else 2
        self._label_names = LabelNames()

    def parse(self) -> Task | None:
        """Return the task; ``None`` when there are mistakes."""
        report, toml = self._reader.report, self._reader.toml
        if not toml.values:
            report(
                'holds no key; expected a task, such as labels = [...] or examples = "..." '
                "(`earful tasks new` writes a file to start from)"
            )
        file = self._reader.read(TaskFile, toml.values) or TaskFile()
        name = toml.path.stem if file.name is None else file.name
        if fault := task_name_fault(name):
            report(fault, "name")
        if file.metric and file.metric not in METRICS[file.kind]:
            report(unknown_name("metric", file.metric, METRICS[file.kind]), "metric")
        # The labels come first: examples use their names.
        labels = {} if file.labels is None else self._labels(file.labels, file.kind)
        examples = ExampleParser(
            self._reader,
            self._label_names,
            name=name,
            kind=file.kind,
            allow_outside=self._allow_outside,
        ).parse(file.examples)
        # Rows of a data set bring their own questions, also where another key beside it is wrong.
        evaluation = toml.values.get("evaluation")
        has_rows = isinstance(evaluation, dict) and evaluation.get("dataset")
        if file.kind == "ask" and not (file.question or examples or has_rows):
            report("a task of kind 'ask' needs a question", "kind")
        if self._reader.n_problems:
            return None
        subset = tuple(one for one in SUBSETS if one in file.evaluation.subset)
        return Task(
            name=name,
            kind=file.kind,
            aliases=file.aliases,
            question=file.question,
            description=file.description,
            labels=labels,
            shots=Shots(**asdict(file.shots)),
            metric=file.metric,
            protocol=Protocol(**{**asdict(file.evaluation), "subset": subset}),
            examples=tuple(examples),
            source=toml.path,
            **asdict(file.answer),
        )

    def _labels(
        self, found: Sequence[object] | Mapping[str, object], kind: Kind
    ) -> dict[str, Label]:
        if kind not in ("classify", "multilabel"):
            self._reader.report(
                f"a task of kind {kind!r} has no labels; expected classify or multilabel", "kind"
            )
            return {}
        labels: dict[str, Label] = {}
        if isinstance(found, Mapping):
            # Names first: where a name is also another label's alias, the alias is the mistake.
            named = [name for name in found if self._claim(name, name, "labels", name)]
            for name in named:
                labels[to_nfc(name)] = self._label(name, found[name])
        else:
            if tables := [row for row, label in enumerate(found) if isinstance(label, dict)]:
                self._reader.report(_instead_of_tables(found), "labels", tables[0])
            for row, text in enumerate(found):
                if isinstance(text, dict):
                    continue
                if not isinstance(text, str):
                    self._reader.report_type(text, "text", "labels", row)
                elif self._claim(text, text, "labels", row):
                    labels[to_nfc(text)] = Label()
        least = self._fewest if kind == "classify" else 1
        if len(found) < least:
            n_labels = counted(len(found), "label")
            advice = (
                "; one is enough for `earful scan`, and with kind = 'multilabel'" if found else ""
            )
            self._reader.report(f"{n_labels}; a {kind} task has at least {least}{advice}", "labels")
        return labels

    def _label(self, name: str, values: object) -> Label:
        table = self._reader.read(LabelTable, values, "labels", name) or LabelTable()
        aliases = [
            to_nfc(alias)
            for row, alias in enumerate(table.aliases)
            if self._claim(alias, name, "labels", name, "aliases", row)
        ]
        return Label(wording=table.wording, aliases=tuple(aliases))

    def _claim(self, text: str, label: str, *key: str | int) -> bool:
        """Claim a name or alias for a label; report why it cannot be."""
        fault = self._label_names.claim(text, label)
        if fault:
            self._reader.report(fault, *key)
        return not fault


def _instead_of_tables(labels: Sequence[object]) -> str:
    """Return how labels are written that stand in an array of tables, as ``[[labels]]`` makes."""
    named = [
        str(label.get("name") or label.get("label") or "") if isinstance(label, dict) else label
        for label in labels
    ]
    names = [name for name in named if isinstance(name, str) and name] or ["dog", "rain"]
    shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in names[:_MOST_SHOWN])
    more = ", ..." if len(names) > _MOST_SHOWN else ""
    first = names[0] if re.fullmatch("[A-Za-z0-9_-]+", names[0]) else json.dumps(names[0])
    return (
        f"labels holds tables; expected names, labels = [{shown}{more}], or a table for each name "
        f"that has a wording or aliases: [labels.{first}]"
    )
