"""The rules of a task file: every mistake with its line, or the task."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from earful.errors import CorpusError
from earful.index.corpus import MAX_NAME, Exemplar
from earful.rag.strategies import STRATEGIES
from earful.rag.task.fields import FieldReader, TooManyProblemsError, kind_of, what_is
from earful.rag.task.task import (
    ANSWER_FORMS,
    ANSWERERS,
    KINDS,
    METRICS,
    ORDERS,
    SUBSETS,
    Example,
    Kind,
    Label,
    Protocol,
    Shots,
    Task,
    label_fault,
    name_fault,
)
from earful.rag.task.toml_file import Problem, read_toml
from earful.wording import counted, quoted, unknown_name

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
_EXAMPLE_KEYS = ("audio", "label", "labels", "answer", "question", "start_s", "end_s", "group")


def read_task(
    path: Path, *, allow_outside: bool = False
) -> tuple[Task | None, tuple[Problem, ...]]:
    """Read a task file.

    Args:
        path: The file.
        allow_outside: Whether examples may lie outside its folder. Only who runs it can say
            so: a file from elsewhere must not be able to have any file opened.

    Returns:
        The task and no problems, or ``None`` and the problems, the first ``MAX_PROBLEMS``,
        in the order of the file.
    """
    toml = read_toml(path)
    if isinstance(toml, Problem):
        return None, (toml,)
    fields = FieldReader(toml)
    try:
        task = _Rules(fields, allow_outside=allow_outside).task()
    except TooManyProblemsError:
        task = None
    return task, fields.problems()


class _Rules:
    """What a task file may say, applied to one file from top to bottom."""

    def __init__(self, fields: FieldReader, *, allow_outside: bool) -> None:
        self._fields = fields
        self._allow_outside = allow_outside
        self._folder = fields.toml.path.parent
        self._names: dict[str, str] = {}  # label or alias -> label
        self._stretches: dict[tuple[Path, float, float | None], str] = {}

    def task(self) -> Task | None:
        values = self._fields.toml.values
        self._fields.known_keys(values, _KEYS)
        kind = self._fields.choice(values, "kind", KINDS, "classify")
        aliases = self._fields.texts(values, "aliases")
        labels = self._labels(values, kind)
        answer = self._fields.table(values, "answer")
        self._fields.known_keys(answer, _ANSWER_KEYS, "answer")
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
        examples = self._examples(values, name, kind)
        # Rows of a dataset bring their own questions.
        asks = bool(fields["question"] or examples or protocol.dataset)
        if kind == "ask" and not asks:
            self._fields.note("a task of kind 'ask' needs a question", "kind")
        if what := name_fault(name):
            self._fields.note(what, "name")
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
            self._fields.note(
                f"a task of kind {kind!r} has no labels; want classify or multilabel", "kind"
            )
            return {}
        labels: dict[str, Label] = {}
        if isinstance(found, list):
            for row, name in enumerate(found):
                if not isinstance(name, str):
                    self._fields.note(
                        f"label {quoted(name)} is {kind_of(name)}; want text", "labels", row
                    )
                elif self._claim(name, name, "labels", row):
                    labels[_normal(name)] = Label()
        elif isinstance(found, dict):
            # Names first: a name that is also another label's alias is that alias's fault.
            named = [name for name in found if self._claim(name, name, "labels", name)]
            for name in named:
                labels[_normal(name)] = self._label(name, found[name])
        else:
            self._fields.note(
                f"{what_is('labels', found)}; want an array of names or a table for each name",
                "labels",
            )
            return {}
        least = 2 if kind == "classify" else 1
        if len(found) < least:
            told = counted(len(found), "label")
            self._fields.note(f"{told}; a {kind} task has at least {least}", "labels")
        return labels

    def _label(self, name: str, values: object) -> Label:
        if not isinstance(values, dict):
            self._fields.note(
                f"label {quoted(name)} is {kind_of(values)}; want a table with wording and aliases",
                "labels",
                name,
            )
            return Label()
        self._fields.known_keys(values, ("wording", "aliases"), "labels", name)
        wording = self._fields.text(values, "wording", "", "labels", name)
        if wording and (what := label_fault(wording)):
            self._fields.note(f"wording {quoted(wording)} {what}", "labels", name, "wording")
        aliases = values.get("aliases", [])
        if not isinstance(aliases, list):
            what = f"{what_is('aliases', aliases)}; want an array of text"
            self._fields.note(what, "labels", name, "aliases")
            aliases = []
        claimed: list[str] = []
        for row, alias in enumerate(aliases):
            if not isinstance(alias, str):
                what = f"alias {quoted(alias)} is {kind_of(alias)}; want text"
                self._fields.note(what, "labels", name, "aliases", row)
            elif self._claim(alias, name, "labels", name, "aliases", row):
                claimed.append(_normal(alias))
        return Label(wording=wording, aliases=tuple(claimed))

    def _claim(self, text: str, label: str, *key: str | int) -> bool:
        """Take a name or alias for a label, unless it is faulty or taken."""
        if what := label_fault(text):
            self._fields.note(f"label {quoted(text)} {what}", *key)
            return False
        text, label = _normal(text), _normal(label)
        if text in self._names:
            what = f"label or alias {quoted(text)} is claimed twice"
            self._fields.note(
                f"{what}: by {quoted(self._names[text])} and by {quoted(label)}", *key
            )
            return False
        self._names[text] = label
        return True

    def _own_label(self, text: str) -> tuple[str, str]:
        """Return ``(label, "")`` for a label or alias, or ``("", what is wrong)``."""
        if what := label_fault(text):
            return "", f"label {quoted(text)} {what}"
        text = _normal(text)
        if not self._names:
            return text, ""
        if text in self._names:
            return self._names[text], ""
        return "", f"{unknown_name('label', text, list(self._names))}. Declare it under labels"

    # --- shots -----------------------------------------------------------------------

    def _shots(self, values: Mapping[str, object]) -> Shots:
        self._fields.known_keys(values, _SHOT_KEYS, "shots")
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
        self._fields.known_keys(values, _PROTOCOL_KEYS, "evaluation")
        return Protocol(
            dataset=self._fields.text(values, "dataset", "", "evaluation"),
            split=self._fields.text(values, "split", "", "evaluation"),
            answers=self._fields.choice(values, "answers", ANSWER_FORMS, "scored", "evaluation"),
            subset=self._fields.choices(values, "subset", SUBSETS, "evaluation"),
            source=self._fields.text(values, "source", "", "evaluation"),
        )

    # --- examples --------------------------------------------------------------------

    def _examples(self, values: Mapping[str, object], name: str, kind: Kind) -> list[Example]:
        found = values.get("examples")
        if found is None:
            return []
        if isinstance(found, str):
            return self._table_examples(found, name, kind)
        if not isinstance(found, list):
            self._fields.note(
                f"{what_is('examples', found)}; want [[examples]] tables, or the path of a table "
                "or of a folder per label",
                "examples",
            )
            return []
        examples: list[Example] = []
        for row, values_of_one in enumerate(found):
            if not isinstance(values_of_one, dict):
                what = f"{what_is('example', values_of_one)}; want a table"
                self._fields.note(what, "examples", row)
            elif example := self._example(values_of_one, row, name, kind):
                examples.append(example)
        return examples

    def _example(
        self, values: Mapping[str, object], row: int, name: str, kind: Kind
    ) -> Example | None:
        n_before = self._fields.n_problems
        at = ("examples", row)
        self._fields.known_keys(values, _EXAMPLE_KEYS, *at)
        audio = self._fields.text(values, "audio", "", *at)
        path = self._file(audio, *at, "audio") if audio else None
        if values.get("audio", "") == "":
            self._fields.note("the example has no audio; want a path relative to the file", *at)
        start_s = self._fields.number(values, "start_s", 0.0, *at) or 0.0
        end_s = self._fields.number(values, "end_s", None, *at)
        if end_s is not None and end_s <= start_s:
            self._fields.note(f"end_s = {end_s} is not after start_s = {start_s}", *at, "end_s")
        labels, answer = self._solution(values, kind, *at)
        question = self._fields.text(values, "question", "", *at)
        group = self._fields.text(values, "group", "", *at)
        if path is None or self._fields.n_problems > n_before:
            return None
        where = f"{self._fields.toml.path}:{self._fields.toml.line(*at)}"
        if earlier := self._twice(path, start_s, end_s, where):
            self._fields.note(f"{audio} is an example twice; it already stands at {earlier}", *at)
            return None
        stretch = "" if not start_s and end_s is None else f"#{start_s:g}-{_end(end_s)}"
        exemplar = Exemplar(
            id=f"{name}:{audio}{stretch}",
            audio=PurePosixPath(audio),
            start_s=start_s,
            end_s=end_s,
            question=question,
            answer=answer,
            labels=labels,
            task=name,
            group=group,
        )
        return Example(exemplar=exemplar, path=path, where=where)

    def _solution(
        self, values: Mapping[str, object], kind: Kind, *at: str | int
    ) -> tuple[tuple[str, ...], str]:
        """Read an example's labels, or the answer of a kind without labels."""
        if kind not in ("classify", "multilabel"):
            answer = self._fields.text(values, "answer", "", *at)
            misplaced = [key for key in ("label", "labels") if key in values]
            for key in misplaced:
                what = f"{key} goes with classify and multilabel; want answer"
                self._fields.note(what, *at, key)
            if not answer.strip() and not misplaced:
                self._fields.note("the example has no answer", *at)
            return (), answer
        if "answer" in values:
            self._fields.note("answer goes with ask and caption; want label", *at, "answer")
        if ("label" in values) == ("labels" in values):
            self._fields.note("want either label or labels", *at)
            return (), ""
        key = "label" if "label" in values else "labels"
        found = values[key]
        if key == "labels" and not isinstance(found, list):
            self._fields.note(f"{what_is('labels', found)}; want an array of text", *at, key)
            return (), ""
        texts: list[object] = found if isinstance(found, list) and key == "labels" else [found]
        if not texts and kind == "classify":
            self._fields.note("the example has no label", *at, key)
        labels: list[str] = []
        for row, text in enumerate(texts):
            label, what = self._own_label(text) if isinstance(text, str) else ("", "")
            if not isinstance(text, str):
                what = f"{what_is('label', text)}; want text"
            elif label in labels:
                what = f"label {quoted(label)} is given twice"
            if what:
                self._fields.note(what, *at, key, row)
            else:
                labels.append(label)
        return tuple(labels), ""

    def _table_examples(self, source: str, name: str, kind: Kind) -> list[Example]:
        from earful.index.corpus import open_corpus

        path = self._folder / source
        if not source or not os.path.exists(path):
            what = (
                f"{_told(path)} does not exist; want a table, or a folder with a folder per label"
            )
            self._fields.note(what, "examples")
            return []
        if what := self._outside(path):
            self._fields.note(what, "examples")
            return []
        examples: list[Example] = []
        try:
            corpus = open_corpus(path, allow_outside=self._allow_outside)
            for row in corpus:
                exemplar = row.exemplar
                audio = Path(os.path.realpath(corpus.path(exemplar)))
                labels, faults = self._row_labels(exemplar.labels, kind)
                if not os.path.isfile(audio):
                    faults.append(f"{_told(audio)} does not exist")
                if kind in ("ask", "caption") and not exemplar.answer:
                    faults.append("the row has no answer")
                earlier = self._twice(audio, exemplar.start_s, exemplar.end_s, row.where)
                if earlier:
                    faults.append(f"{exemplar.audio} already stands at {earlier}")
                for what in faults:
                    self._fields.note(what, "examples", where=row.where)
                if not faults:
                    own = replace(exemplar, id=f"{name}:{exemplar.id}", labels=labels, task=name)
                    examples.append(Example(exemplar=own, path=audio, where=row.where))
        except CorpusError as error:
            self._fields.note(str(error), "examples")
        return examples

    def _row_labels(self, found: Sequence[str], kind: Kind) -> tuple[tuple[str, ...], list[str]]:
        if kind not in ("classify", "multilabel"):
            return (), []
        faults = [] if found or kind == "multilabel" else ["the row has no label"]
        labels: list[str] = []
        for text in found:
            label, what = self._own_label(text)
            if what:
                faults.append(what)
            elif label not in labels:
                labels.append(label)
        return tuple(labels), faults

    def _twice(self, path: Path, start_s: float, end_s: float | None, where: str) -> str:
        """Return where the same stretch stood before; empty when it is new."""
        first = self._stretches.setdefault((path, start_s, end_s), where)
        return "" if first == where else first

    def _file(self, name: str, *key: str | int) -> Path | None:
        path = self._folder / name
        if what := self._outside(path):
            self._fields.note(what, *key)
        elif not os.path.isfile(path):
            what = "is a folder or a device" if os.path.exists(path) else "does not exist"
            self._fields.note(f"{_told(path)} {what}; want an audio file", *key)
        else:
            return Path(os.path.realpath(path))
        return None

    def _outside(self, path: Path) -> str:
        """Say that a path leads out of the file's folder; empty when it does not, or may."""
        folder = Path(os.path.realpath(self._folder))
        if self._allow_outside or "\0" in str(path):  # the latter is no path at all
            return ""
        if Path(os.path.realpath(path)).is_relative_to(folder):
            return ""
        return (
            f"{_told(path)} lies outside {folder}, the task file's folder; move it there, or say "
            "--allow-outside"
        )


def _told(path: Path) -> str:
    """Write a path for a message: a long one only as its beginning."""
    return str(path) if len(str(path)) <= MAX_NAME else quoted(str(path))


def _normal(text: str) -> str:
    # As corpora are read, so that equal names are equal text.
    return unicodedata.normalize("NFC", text)


def _end(end_s: float | None) -> str:
    return "end" if end_s is None else f"{end_s:g}"
