"""Parsing of task files: the task, or every mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from earful.index.corpus import to_nfc
from earful.rag.strategies import STRATEGIES
from earful.rag.task.fields import FieldReader, TooManyProblemsError, describe_value, toml_type
from earful.rag.task.label_names import LabelNames
from earful.rag.task.parse_examples import ExampleParser
from earful.rag.task.task import (
    ANSWER_FORMS,
    ANSWERERS,
    KINDS,
    METRICS,
    ORDERS,
    SUBSETS,
    Kind,
    Label,
    Protocol,
    Shots,
    Task,
    label_fault,
    task_name_fault,
)
from earful.rag.task.toml_file import TaskProblem, read_bounded_toml
from earful.wording import counted, quoted

_KEYS = (
    "name",
    "kind",
    "aliases",
    "question",
    "description",
    "labels",
    "shots",
    "answer",
    "metric",
    "evaluation",
    "examples",
)
_ANSWER_KEYS = ("abstain_below", "arm", "lists_labels", "yes_no_options")
_PROTOCOL_KEYS = ("dataset", "split", "answers", "subset", "source")
_SHOT_KEYS = ("k", "strategy", "order", "max_per_label", "diversity")


def read_task(
    path: Path, *, allow_outside: bool = False
) -> tuple[Task | None, tuple[TaskProblem, ...]]:
    """Read a task file.

    Args:
        path: The file.
        allow_outside: Whether examples may lie outside its folder. Only the person who runs
            it can allow that: a task file from elsewhere must not have other files opened.

    Returns:
        The task and no problems; or ``None`` and the first ``MAX_PROBLEMS`` problems, in the
        order of the file's lines.
    """
    toml = read_bounded_toml(path)
    if isinstance(toml, TaskProblem):
        return None, (toml,)
    fields = FieldReader(toml)
    try:
        task = _TaskParser(fields, allow_outside=allow_outside).parse()
    except TooManyProblemsError:
        task = None
    return task, fields.problems()


class _TaskParser:
    """Parses one task file from top to bottom; every mistake is reported with its line."""

    def __init__(self, fields: FieldReader, *, allow_outside: bool) -> None:
        self._fields = fields
        self._allow_outside = allow_outside
        self._label_names = LabelNames()

    def parse(self) -> Task | None:
        """Return the task; ``None`` when there are mistakes."""
        values = self._fields.toml.values
        if not values:
            self._fields.report(
                'holds no key; expected a task, such as labels = [...] or examples = "..." '
                "(`earful tasks new` writes a file to start from)"
            )
        self._fields.check_keys(values, _KEYS)
        # Every field is read, even after a mistake, so that one pass reports them all. The
        # labels come first: examples use their names.
        kind = self._fields.choice(values, "kind", KINDS, "classify")
        aliases = self._fields.texts(values, "aliases")
        labels = self._labels(values, kind)
        answer = self._fields.table(values, "answer")
        self._fields.check_keys(answer, _ANSWER_KEYS, "answer")
        name = self._fields.text(values, "name", self._fields.toml.path.stem)
        fields = {
            "question": self._fields.text(values, "question", ""),
            "description": self._fields.text(values, "description", ""),
            "metric": self._fields.choice(values, "metric", METRICS[kind], METRICS[kind][0]),
        }
        shots = self._shots(self._fields.table(values, "shots"))
        abstain_below = self._fields.number(answer, "abstain_below", 0.0, "answer", most=1.0)
        arm = self._fields.choice(answer, "arm", ANSWERERS, "blend", "answer")
        lists_labels = self._fields.flag(answer, "lists_labels", "answer")
        yes_no_options = self._fields.flag(answer, "yes_no_options", "answer")
        protocol = self._protocol(self._fields.table(values, "evaluation"))
        examples = ExampleParser(
            self._fields,
            self._label_names,
            name=name,
            kind=kind,
            allow_outside=self._allow_outside,
        ).parse(values)
        # Rules on several fields together.
        has_question = bool(fields["question"] or examples or protocol.dataset)
        if kind == "ask" and not has_question:  # rows of a dataset bring their own questions
            self._fields.report("a task of kind 'ask' needs a question", "kind")
        if fault := task_name_fault(name):
            self._fields.report(fault, "name")
        if self._fields.n_problems:
            return None
        return Task(
            name=name,
            kind=kind,
            aliases=aliases,
            labels=labels,
            shots=shots,
            abstain_below=abstain_below or 0.0,
            arm=arm,
            lists_labels=lists_labels,
            yes_no_options=bool(yes_no_options),
            protocol=protocol,
            examples=tuple(examples),
            source=self._fields.toml.path,
            **fields,
        )

    # --- labels ----------------------------------------------------------------------

    def _labels(self, values: Mapping[str, object], kind: Kind) -> dict[str, Label]:
        found = values.get("labels")
        if found is None:
            return {}
        if kind not in ("classify", "multilabel"):
            self._fields.report(
                f"a task of kind {kind!r} has no labels; expected classify or multilabel", "kind"
            )
            return {}
        labels: dict[str, Label] = {}
        if isinstance(found, list):
            for row, name in enumerate(found):
                if not isinstance(name, str):
                    self._fields.report(
                        f"label {quoted(name)} is {toml_type(name)}; expected text", "labels", row
                    )
                elif self._claim(name, name, "labels", row):
                    labels[to_nfc(name)] = Label()
        elif isinstance(found, dict):
            # Names first: where a name is also another label's alias, the alias is the mistake.
            named = [name for name in found if self._claim(name, name, "labels", name)]
            for name in named:
                labels[to_nfc(name)] = self._label(name, found[name])
        else:
            self._fields.report(
                f"{describe_value('labels', found)}; expected an array of names or a table for "
                "each name",
                "labels",
            )
            return {}
        least = 2 if kind == "classify" else 1
        if len(found) < least:
            n_labels = counted(len(found), "label")
            self._fields.report(f"{n_labels}; a {kind} task has at least {least}", "labels")
        return labels

    def _label(self, name: str, values: object) -> Label:
        if not isinstance(values, dict):
            self._fields.report(
                f"label {quoted(name)} is {toml_type(values)}; expected a table with wording and "
                "aliases",
                "labels",
                name,
            )
            return Label()
        self._fields.check_keys(values, ("wording", "aliases"), "labels", name)
        wording = self._fields.text(values, "wording", "", "labels", name)
        if wording and (fault := label_fault(wording)):
            self._fields.report(f"wording {quoted(wording)} {fault}", "labels", name, "wording")
        aliases = values.get("aliases", [])
        if not isinstance(aliases, list):
            what = f"{describe_value('aliases', aliases)}; expected an array of text"
            self._fields.report(what, "labels", name, "aliases")
            aliases = []
        claimed: list[str] = []
        for row, alias in enumerate(aliases):
            if not isinstance(alias, str):
                what = f"alias {quoted(alias)} is {toml_type(alias)}; expected text"
                self._fields.report(what, "labels", name, "aliases", row)
            elif self._claim(alias, name, "labels", name, "aliases", row):
                claimed.append(to_nfc(alias))
        return Label(wording=wording, aliases=tuple(claimed))

    def _claim(self, text: str, label: str, *key: str | int) -> bool:
        """Claim a name or alias for a label; report why it cannot be."""
        fault = self._label_names.claim(text, label)
        if fault:
            self._fields.report(fault, *key)
        return not fault

    # --- shots -----------------------------------------------------------------------

    def _shots(self, values: Mapping[str, object]) -> Shots:
        self._fields.check_keys(values, _SHOT_KEYS, "shots")
        default = Shots()
        diversity = self._fields.number(values, "diversity", default.diversity, "shots", most=1.0)
        return Shots(
            k=self._fields.count(values, "k", "shots") or default.k,
            strategy=self._fields.choice(
                values, "strategy", tuple(STRATEGIES), default.strategy, "shots"
            ),
            order=self._fields.choice(values, "order", ORDERS, default.order, "shots"),
            max_per_label=self._fields.count(values, "max_per_label", "shots"),
            diversity=default.diversity if diversity is None else diversity,
        )

    # --- evaluation ------------------------------------------------------------------

    def _protocol(self, values: Mapping[str, object]) -> Protocol:
        self._fields.check_keys(values, _PROTOCOL_KEYS, "evaluation")
        return Protocol(
            dataset=self._fields.text(values, "dataset", "", "evaluation"),
            split=self._fields.text(values, "split", "", "evaluation"),
            answers=self._fields.choice(values, "answers", ANSWER_FORMS, "scored", "evaluation"),
            subset=self._fields.choices(values, "subset", SUBSETS, "evaluation"),
            source=self._fields.text(values, "source", "", "evaluation"),
        )
