"""Parsing of a task file's own examples: tables in the file, or a corpus beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from earful.errors import CorpusError
from earful.index.corpus import MAX_NAME, Exemplar
from earful.rag.task.file_tables import ExampleTable
from earful.rag.task.label_names import LabelNames
from earful.rag.task.task import Example, Kind
from earful.toml import TomlReader
from earful.wording import quoted


class ExampleParser:
    """Parses the examples of one task file; every mistake is reported with its line.

    Args:
        reader: Of the file.
        labels: The labels that it declares.
        name: The task's name, which begins the ids of its examples.
        kind: The task's kind.
        allow_outside: Whether examples may lie outside the file's folder.
    """

    def __init__(
        self, reader: TomlReader, labels: LabelNames, *, name: str, kind: Kind, allow_outside: bool
    ) -> None:
        self._reader = reader
        self._labels = labels
        self._name = name
        self._has_labels = kind in ("classify", "multilabel")
        self._needs_label = kind == "classify"
        self._allow_outside = allow_outside
        self._folder = reader.toml.path.parent
        self._segments: dict[tuple[Path, float, float | None], str] = {}  # segment -> its place

    def parse(self, found: Sequence[object] | str) -> list[Example]:
        """Return the examples of a file, those with mistakes left out."""
        if isinstance(found, str):
            return self._from_corpus(found)
        examples = (self._from_table(values, row) for row, values in enumerate(found))
        return [example for example in examples if example]

    # --- [[examples]] of the file ------------------------------------------------------

    def _from_table(self, values: object, row: int) -> Example | None:
        n_before = self._reader.n_problems
        at = ("examples", row)
        # Every field is checked, so that one pass reports all mistakes.
        table = self._reader.read(ExampleTable, values, *at)
        if table is None or not isinstance(values, dict):
            return None
        path = self._file(table.audio, *at, "audio") if table.audio else None
        if values.get("audio", "") == "":
            self._reader.report(
                "the example has no audio; expected a path relative to the file", *at
            )
        if table.end_s is not None and table.end_s <= table.start_s:
            what = f"end_s = {table.end_s} is not after start_s = {table.start_s}"
            self._reader.report(what, *at, "end_s")
        labels = self._solution(table, values, *at)
        if path is None or self._reader.n_problems > n_before:
            return None
        where = f"{self._reader.toml.path}:{self._reader.toml.line(*at)}"
        if earlier := self._earlier_place(path, table.start_s, table.end_s, where):
            what = f"{table.audio} is an example twice; it already occurs at {earlier}"
            self._reader.report(what, *at)
            return None
        end = "end" if table.end_s is None else f"{table.end_s:g}"
        segment = "" if not table.start_s and end == "end" else f"#{table.start_s:g}-{end}"
        exemplar = Exemplar(
            id=f"{self._name}:{table.audio}{segment}",
            audio=PurePosixPath(table.audio),
            start_s=table.start_s,
            end_s=table.end_s,
            question=table.question,
            answer=table.answer,
            labels=labels,
            task=self._name,
            group=table.group,
        )
        return Example(exemplar=exemplar, path=path, where=where)

    def _solution(
        self, table: ExampleTable, values: Mapping[str, object], *at: str | int
    ) -> tuple[str, ...]:
        """Return an example's labels; check that it has what its kind needs, and no more."""
        given = [key for key in ("label", "labels") if key in values]
        if not self._has_labels:
            for key in given:
                what = f"{key} goes with classify and multilabel; expected answer"
                self._reader.report(what, *at, key)
            if not table.answer.strip() and not given:
                self._reader.report("the example has no answer", *at)
            return ()
        if "answer" in values:
            self._reader.report("answer goes with ask and caption; expected label", *at, "answer")
        if len(given) != 1:
            self._reader.report("expected either label or labels", *at)
            return ()
        key = given[0]
        texts = table.labels if table.label is None else (table.label,)
        if texts == () and self._needs_label:
            self._reader.report("the example has no label", *at, key)
        labels: list[str] = []
        for row, text in enumerate(texts or ()):
            label, fault = self._labels.find(text)
            if not fault and label in labels:
                fault = f"label {quoted(label)} is given twice"
            if fault:
                self._reader.report(fault, *at, key, row)
            labels.append(label)
        return tuple(labels)

    # --- a table or a folder beside the file -------------------------------------------

    def _from_corpus(self, source: str) -> list[Example]:
        from earful.index.corpus import open_corpus

        path = self._folder / source
        if not source or not os.path.exists(path):
            self._reader.report(
                f"{_shown(path)} does not exist; expected a table, or a folder with a folder per "
                "label",
                "examples",
            )
            return []
        if fault := self._outside_fault(path):
            self._reader.report(fault, "examples")
            return []
        examples: list[Example] = []
        try:
            corpus = open_corpus(
                path, group_by="none", advise_options=False, allow_outside=self._allow_outside
            )
            for row in corpus:
                exemplar = row.exemplar
                if exemplar.is_negative:
                    continue  # it solves nothing; a scan takes it of --examples
                audio = Path(os.path.realpath(corpus.path(exemplar)))
                labels, faults = self._row_labels(exemplar.labels)
                if not os.path.isfile(audio):
                    faults.append(f"{_shown(audio)} does not exist")
                if not self._has_labels and not exemplar.answer:
                    faults.append("the row has no answer")
                earlier = self._earlier_place(audio, exemplar.start_s, exemplar.end_s, row.where)
                if earlier:
                    faults.append(f"{exemplar.audio} already occurs at {earlier}")
                for fault in faults:
                    self._reader.report(fault, "examples", where=row.where)
                if not faults:
                    own = replace(
                        exemplar,
                        id=f"{self._name}:{exemplar.id}",
                        labels=labels,
                        not_labels=(),
                        task=self._name,
                    )
                    examples.append(Example(exemplar=own, path=audio, where=row.where))
        except CorpusError as error:
            self._reader.report(str(error), "examples")
        return examples

    def _row_labels(self, found: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        """Return a row's labels in the task's own names, and what is wrong with them."""
        if not self._has_labels:
            return (), []
        faults = ["the row has no label"] if self._needs_label and not found else []
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
            self._reader.report(fault, *key)
        elif not os.path.isfile(path):
            found = "is a folder or a device" if os.path.exists(path) else "does not exist"
            self._reader.report(f"{_shown(path)} {found}; expected an audio file", *key)
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
