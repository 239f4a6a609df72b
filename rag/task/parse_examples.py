"""Parsing of a task file's own examples: tables in the file, or a corpus beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from earful.errors import CorpusError
from earful.index.corpus import MAX_NAME, Exemplar
from earful.rag.task.fields import FieldReader, describe_value
from earful.rag.task.label_names import LabelNames
from earful.rag.task.task import Example, Kind
from earful.wording import quoted

_EXAMPLE_KEYS = ("audio", "label", "labels", "answer", "question", "start_s", "end_s", "group")


class ExampleParser:
    """Parses the examples of one task file; every mistake is reported with its line.

    Args:
        fields: Of the file.
        labels: The labels that it declares.
        name: The task's name, which begins the ids of its examples.
        kind: The task's kind.
        allow_outside: Whether examples may lie outside the file's folder.
    """

    def __init__(
        self, fields: FieldReader, labels: LabelNames, *, name: str, kind: Kind, allow_outside: bool
    ) -> None:
        self._fields = fields
        self._labels = labels
        self._name = name
        self._kind = kind
        self._allow_outside = allow_outside
        self._folder = fields.toml.path.parent
        self._segments: dict[tuple[Path, float, float | None], str] = {}  # segment -> its place

    def parse(self, values: Mapping[str, object]) -> list[Example]:
        """Return the examples of a file, those with mistakes left out."""
        found = values.get("examples")
        if found is None:
            return []
        if isinstance(found, str):
            return self._from_corpus(found)
        if not isinstance(found, list):
            self._fields.report(
                f"{describe_value('examples', found)}; expected [[examples]] tables, or the path "
                "of a table or of a folder per label",
                "examples",
            )
            return []
        examples: list[Example] = []
        for row, values_of_one in enumerate(found):
            if not isinstance(values_of_one, dict):
                what = f"{describe_value('example', values_of_one)}; expected a table"
                self._fields.report(what, "examples", row)
            elif example := self._from_table(values_of_one, row):
                examples.append(example)
        return examples

    # --- [[examples]] of the file ------------------------------------------------------

    def _from_table(self, values: Mapping[str, object], row: int) -> Example | None:
        n_before = self._fields.n_problems
        at = ("examples", row)
        # Every field is read, so that one pass reports all mistakes.
        self._fields.check_keys(values, _EXAMPLE_KEYS, *at)
        audio = self._fields.text(values, "audio", "", *at)
        path = self._file(audio, *at, "audio") if audio else None
        if values.get("audio", "") == "":
            self._fields.report(
                "the example has no audio; expected a path relative to the file", *at
            )
        start_s = self._fields.number(values, "start_s", 0.0, *at) or 0.0
        end_s = self._fields.number(values, "end_s", None, *at)
        if end_s is not None and end_s <= start_s:
            self._fields.report(f"end_s = {end_s} is not after start_s = {start_s}", *at, "end_s")
        labels, answer = self._labels_or_answer(values, *at)
        question = self._fields.text(values, "question", "", *at)
        group = self._fields.text(values, "group", "", *at)
        if path is None or self._fields.n_problems > n_before:
            return None
        where = f"{self._fields.toml.path}:{self._fields.toml.line(*at)}"
        if earlier := self._earlier_place(path, start_s, end_s, where):
            self._fields.report(f"{audio} is an example twice; it already occurs at {earlier}", *at)
            return None
        segment = "" if not start_s and end_s is None else f"#{start_s:g}-{_end(end_s)}"
        exemplar = Exemplar(
            id=f"{self._name}:{audio}{segment}",
            audio=PurePosixPath(audio),
            start_s=start_s,
            end_s=end_s,
            question=question,
            answer=answer,
            labels=labels,
            task=self._name,
            group=group,
        )
        return Example(exemplar=exemplar, path=path, where=where)

    def _labels_or_answer(
        self, values: Mapping[str, object], *at: str | int
    ) -> tuple[tuple[str, ...], str]:
        """Read an example's labels, or the answer of a kind without labels."""
        if self._kind not in ("classify", "multilabel"):
            answer = self._fields.text(values, "answer", "", *at)
            misplaced = [key for key in ("label", "labels") if key in values]
            for key in misplaced:
                what = f"{key} goes with classify and multilabel; expected answer"
                self._fields.report(what, *at, key)
            if not answer.strip() and not misplaced:
                self._fields.report("the example has no answer", *at)
            return (), answer
        if "answer" in values:
            self._fields.report("answer goes with ask and caption; expected label", *at, "answer")
        if ("label" in values) == ("labels" in values):
            self._fields.report("expected either label or labels", *at)
            return (), ""
        key = "label" if "label" in values else "labels"
        found = values[key]
        if key == "labels" and not isinstance(found, list):
            self._fields.report(
                f"{describe_value('labels', found)}; expected an array of text", *at, key
            )
            return (), ""
        texts: list[object] = found if isinstance(found, list) and key == "labels" else [found]
        if not texts and self._kind == "classify":
            self._fields.report("the example has no label", *at, key)
        labels: list[str] = []
        for row, text in enumerate(texts):
            label, what = self._labels.find(text) if isinstance(text, str) else ("", "")
            if not isinstance(text, str):
                what = f"{describe_value('label', text)}; expected text"
            elif label in labels:
                what = f"label {quoted(label)} is given twice"
            if what:
                self._fields.report(what, *at, key, row)
            else:
                labels.append(label)
        return tuple(labels), ""

    # --- a table or a folder beside the file -------------------------------------------

    def _from_corpus(self, source: str) -> list[Example]:
        from earful.index.corpus import open_corpus

        path = self._folder / source
        if not source or not os.path.exists(path):
            self._fields.report(
                f"{_shown(path)} does not exist; expected a table, or a folder with a folder per "
                "label",
                "examples",
            )
            return []
        if fault := self._outside_fault(path):
            self._fields.report(fault, "examples")
            return []
        examples: list[Example] = []
        try:
            corpus = open_corpus(path, advise_options=False, allow_outside=self._allow_outside)
            for row in corpus:
                exemplar = row.exemplar
                audio = Path(os.path.realpath(corpus.path(exemplar)))
                labels, faults = self._row_labels(exemplar.labels)
                if not os.path.isfile(audio):
                    faults.append(f"{_shown(audio)} does not exist")
                if self._kind in ("ask", "caption") and not exemplar.answer:
                    faults.append("the row has no answer")
                earlier = self._earlier_place(audio, exemplar.start_s, exemplar.end_s, row.where)
                if earlier:
                    faults.append(f"{exemplar.audio} already occurs at {earlier}")
                for fault in faults:
                    self._fields.report(fault, "examples", where=row.where)
                if not faults:
                    own = replace(
                        exemplar, id=f"{self._name}:{exemplar.id}", labels=labels, task=self._name
                    )
                    examples.append(Example(exemplar=own, path=audio, where=row.where))
        except CorpusError as error:
            self._fields.report(str(error), "examples")
        return examples

    def _row_labels(self, found: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        """Return a row's labels in the task's own names, and what is wrong with them."""
        if self._kind not in ("classify", "multilabel"):
            return (), []
        faults = [] if found or self._kind == "multilabel" else ["the row has no label"]
        labels: list[str] = []
        for text in found:
            label, fault = self._labels.find(text)
            if fault:
                faults.append(fault)
            elif label not in labels:
                labels.append(label)
        return tuple(labels), faults

    # --- both --------------------------------------------------------------------------

    def _earlier_place(self, path: Path, start_s: float, end_s: float | None, where: str) -> str:
        """Return where the same segment occurred before; empty when it is new."""
        first = self._segments.setdefault((path, start_s, end_s), where)
        return "" if first == where else first

    def _file(self, name: str, *key: str | int) -> Path | None:
        """Return the resolved path of an audio file; report why it cannot be used."""
        path = self._folder / name
        if fault := self._outside_fault(path):
            self._fields.report(fault, *key)
        elif not os.path.isfile(path):
            found = "is a folder or a device" if os.path.exists(path) else "does not exist"
            self._fields.report(f"{_shown(path)} {found}; expected an audio file", *key)
        else:
            return Path(os.path.realpath(path))
        return None

    def _outside_fault(self, path: Path) -> str:
        """Explain that a path leads out of the file's folder; empty when it does not, or may."""
        folder = Path(os.path.realpath(self._folder))
        if self._allow_outside or "\0" in str(path):  # with a NUL it cannot be a path at all
            return ""
        if Path(os.path.realpath(path)).is_relative_to(folder):
            return ""
        return (
            f"{_shown(path)} lies outside {folder}, the task file's folder; move it there, or pass "
            "--allow-outside"
        )


def _shown(path: Path) -> str:
    """Return a path for a message, a long one cut."""
    return str(path) if len(str(path)) <= MAX_NAME else quoted(str(path))


def _end(end_s: float | None) -> str:
    return "end" if end_s is None else f"{end_s:g}"
