"""Dataset corpus: the data of a published dataset below a folder, as a stream of exemplars."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from earful.errors import AudioError, CorpusError
from earful.index.corpus import (
    Corpus,
    CorpusRow,
    Exemplar,
    as_text,
    exemplar_fault,
    to_nfc,
)
from earful.index.datasets.declaration import Dataset, Emit
from earful.index.datasets.locate import Locator, Segment, Segmenter
from earful.index.datasets.readers import (
    UNPACK,
    PlacedRow,
    RawRow,
    absent_files,
    find_base,
    find_files,
    find_sources,
    passed_over_files,
    read_source,
)
from earful.index.datasets.row_faults import (
    MOST_LISTED,
    BadCell,
    RowCounts,
    RowError,
    RowFaults,
    WholeSplit,
)
from earful.index.datasets.splits import Splitter
from earful.index.datasets.steps import read_rows
from earful.index.datasets.templates import cell, fill, meets, placeholders
from earful.wording import quoted

# Publishers write these for an id that they do not have.
_UNKNOWN = frozenset({"", "NA", "Not found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A row of the split and task that were asked for.

    Attributes:
        where: Its place.
        row: Its columns.
        split: Its split.
        id: Its key within the data set.
        emits: Rules that it meets, each with the labels and the answer that it gives.
    """

    where: str
    row: RawRow
    split: str
    id: str
    emits: tuple[tuple[Emit, tuple[str, ...], str], ...]


class DatasetCorpus(Corpus):
    """Rows of a dataset whose recordings are there; ``counts`` counts the others.

    Attributes:
        dataset: The declaration.
        task: Name of the task that rows are read for.
        split: The only split that is read; empty for all.
        counts: Counts from the last pass over the rows.
        absent: Files of the dataset that are not there, or only as pointers of Git LFS, by part
            or split.
        unread_files: Files that are there and not read, each with the one read in its place.
        on_missing: Called with place and reason of each row without a recording.
        on_unreadable: Called with place and reason of each row that cannot be read.
        counts_whole: Whether recordings are counted in all tasks, those known as broken
            included, as official sizes count them; to find no row is no error then.
    """

    # Publishers' tables in old encodings are read as Latin-1, where curly quotes become
    # control characters.
    check_characters = False

    def __init__(
        self,
        dataset: Dataset,
        root: Path,
        *,
        split: str = "",
        task: str = "",
        part: str = "",
        allow_outside: bool = False,
    ) -> None:
        """Call ``load_dataset`` instead."""
        self.dataset = dataset
        self.task = task or dataset.tasks[0]
        _require_known("task", self.task, dataset.tasks, dataset)
        if part:
            _require_known("part", part, dataset.parts, dataset)
        self._base = find_base(dataset, root)
        self._sources = find_sources(dataset, self._base, part)
        self.split = split
        self._part = part
        self.absent = tuple(absent_files(dataset, self._base, part))
        self.unread_files = tuple(passed_over_files(self._sources, self._base))
        if split:
            _require_known("split", split, _split_names(dataset), dataset)
        super().__init__(
            root=self._base.resolve(),
            source=root,
            kind=dataset.name,
            allow_outside=allow_outside,
        )
        self._locator = Locator(self._base, dataset.audio, top=root, allow_outside=allow_outside)
        self._segmenter = Segmenter(self._base, dataset.span, dataset.window)
        self._splitter = Splitter(dataset.split, self._base, self._all_rows)
        self.counts = RowCounts()
        self.on_missing: Callable[[str, str], None] | None = None
        self.on_unreadable: Callable[[str, str], None] | None = None
        self.counts_whole = False

    @property
    def n_recordings(self) -> int:
        """Number of recordings below the root, whether or not rows name them."""
        return self._locator.n_recordings

    @property
    def passed_by(self) -> set[int]:
        """Hashes of files that rows name and do not use, such as Git LFS pointers and copies."""
        return self._locator.passed_by

    @property
    def is_whole(self) -> bool:
        """Whether neither a split nor a part was chosen."""
        return not (self.split or self._part)

    def why_empty(self) -> str:
        """Explain why the last pass met no row of the split and task; empty when it met some."""
        if any(self.counts.n_rows.values()):
            return ""
        sizes = {name: split.n_rows for name, split in self.counts.whole.items()}
        name = self.dataset.name
        if not self.split or self.split in sizes:
            n = sizes[self.split] if self.split else sum(sizes.values())
            tasks = ", ".join(self.dataset.tasks)
            return f"none of the {n:,} rows of {name} here is for {self.task!r}; it has {tasks}"
        here = ", ".join(f"{split or '(none)'} {n:,}" for split, n in sizes.items()) or "none"
        absent = f"; not here: {', '.join(self.absent)}" if self.absent else ""
        return f"no row of {name} here is of split {self.split!r}; found {here}{absent}"

    # --- rows ------------------------------------------------------------------------------

    def _all_rows(self) -> Iterator[PlacedRow]:
        """Read the rows of all parts and tasks; unreadable ones are not counted here."""
        sources = find_sources(self.dataset, self._base, "")
        return read_rows(self.dataset, self._base, sources, RowFaults())

    def _read_rows(self) -> Generator[CorpusRow, None, None]:
        counts = self.counts = RowCounts(faults=RowFaults(self.on_unreadable))
        place_of: dict[str, str] = {}
        for chosen in self._chosen_rows(counts):
            key = to_nfc(chosen.id)
            if (first := place_of.get(key)) is not None:
                again = f"id {quoted(f'{self.dataset.name}:{key}')} already occurs at"
                why = f"{again} {first}; the first of them counts"
                counts.faults.pass_over(RowError(chosen.where, why))
                continue
            place_of[key] = chosen.where
            try:
                yield from self._rows_of(chosen, counts)
            except RowError as error:
                counts.faults.pass_over(error)
        counts.faults.refuse_too_many(self.dataset.name)
        if not self.counts_whole and (why := self.why_empty()):
            raise CorpusError(why)

    def _chosen_rows(self, counts: RowCounts) -> Iterator[_Chosen]:
        """Leave out rows of other splits and tasks, those known as broken, and those of no use."""
        for where, row in read_rows(self.dataset, self._base, self._sources, counts.faults):
            try:
                chosen = self._choose(where, row, counts)
            except RowError as error:
                counts.faults.pass_over(error)
                continue
            if chosen is not None:
                yield chosen

    def _choose(self, where: str, row: RawRow, counts: RowCounts) -> _Chosen | None:
        split = self._splitter.split_of(row, where)
        if split is None:
            counts.unlisted.add(where, "is named by no list of a split")
            return None
        whole = counts.whole.setdefault(split, WholeSplit())
        whole.n_rows += 1
        if self.split and split != self.split:
            return None
        id_ = fill(self.dataset.id, row, where)
        why_bad = self.dataset.known_bad.get(id_, "")
        if not why_bad and id_ in self.dataset.bad_copies:
            why_bad = self._why_bad_copy(id_, row, where, split)
        if why_bad:
            counts.known_bad[id_] = why_bad
            whole.known_bad.add(id_)
        if self.counts_whole and (audio := self._locator.find(row, where, split).path):
            whole.found.add(hash(audio))
            if not why_bad:
                whole.clips.add(hash(audio))
        if why_bad:
            return None
        rules = [emit for emit in self.dataset.emits if emit.task == self.task]
        met = [emit for emit in rules if all(meets(row, one, where) for one in emit.where)]
        emits: list[tuple[Emit, tuple[str, ...], str]] = []
        for emit in met:
            labels = self._labels_of(emit, row, where)
            answer = fill(emit.answer, {**row, "_labels": labels}, where).strip()
            if answer or labels or not (emit.answer or emit.labels):
                emits.append((emit, labels, answer))
        if met and not emits:
            counts.empty.add(where, f"has no {'label' if met[0].labels else 'answer'}")
        return (
            _Chosen(where=where, row=row, split=split, id=id_, emits=tuple(emits))
            if emits
            else None
        )

    def _why_bad_copy(self, id_: str, row: RawRow, where: str, split: str) -> str:
        audio = self._locator.find(row, where, split).path
        try:
            if audio:
                self._segmenter.duration_s(audio)
        except AudioError:
            return self.dataset.bad_copies[id_]
        return ""

    def _rows_of(self, chosen: _Chosen, counts: RowCounts) -> list[CorpusRow]:
        """Find a row's recording and its segments, and make its exemplars."""
        row, where, split = chosen.row, chosen.where, chosen.split
        audio, why, is_ambiguous = self._locator.find(row, where, split)
        segments: tuple[Segment, ...] = ()
        if audio:
            try:
                segments = tuple(self._segmenter.segments(row, where, audio))
            except AudioError as error:
                # One broken recording among a million is no reason to stop.
                counts.whole[split].clips.discard(hash(audio))
                audio, why = "", str(error)
        elif UNPACK in row:
            why += f"; unpack it: {row[UNPACK]}"
        made = [
            one
            for emit, labels, answer in chosen.emits
            for one in self._exemplars(emit, labels, answer, chosen, audio, segments)
        ]
        counts.n_rows[split] = counts.n_rows.get(split, 0) + 1
        if audio:
            counts.n_found[split] = counts.n_found.get(split, 0) + 1
            return made
        if is_ambiguous:
            counts.ambiguous.add(where, why)
        elif len(counts.missing) < MOST_LISTED:
            counts.missing.append((where, why))
        if self.on_missing is not None:
            self.on_missing(where, why)
        return []

    def _exemplars(
        self,
        emit: Emit,
        labels: tuple[str, ...],
        answer: str,
        chosen: _Chosen,
        audio: str,
        segments: tuple[Segment, ...],
    ) -> Iterator[CorpusRow]:
        """Make the exemplars of a row by one rule, one for each segment of its recording."""
        dataset, row, where = self.dataset, chosen.row, chosen.where
        named = f"{dataset.name}:{chosen.id}"
        if len(dataset.tasks) > 1:
            named += f":{emit.task}"
        meta = {name: _meta_text(row.get(name), where, name) for name in dataset.meta}
        if origin := self._origin(row, where):
            meta["origin"] = origin
        question = fill(emit.question, row, where).strip()
        group, licence = fill(dataset.group, row, where), fill(dataset.licence, row, where)
        for start_s, end_s in segments:
            cut = f"@{start_s:g}" if dataset.window else ""
            try:
                exemplar = Exemplar(
                    id=to_nfc(named + cut),
                    audio=PurePosixPath(Path(audio).as_posix()),
                    start_s=start_s,
                    end_s=end_s,
                    question=question,
                    answer=answer,
                    labels=labels,
                    task=emit.task,
                    split=chosen.split,
                    group=group,
                    licence=licence,
                    meta=meta,
                )
            except CorpusError as error:
                raise RowError(where, str(error)) from error
            if fault := exemplar_fault(exemplar, check_characters=self.check_characters):
                raise RowError(where, fault)
            yield CorpusRow(exemplar=exemplar, where=where)

    def _origin(self, row: RawRow, where: str) -> str:
        """Return where a recording first came from; empty when its row does not tell."""
        template = self.dataset.origin
        names = placeholders(template)
        known = [str(cell(row, name, where) or "") if name in row else "" for name in names]
        return "" if any(x in _UNKNOWN for x in known) else fill(template, row, where)

    def _labels_of(self, emit: Emit, row: RawRow, where: str) -> tuple[str, ...]:
        if not emit.labels:
            return ()
        found = cell(row, emit.labels, where)
        texts = (
            [str(x) for x in found]
            if isinstance(found, list)
            else ["" if found is None else str(found)]
        )
        labels: dict[str, None] = {}
        for text in filter(None, map(str.strip, texts)):
            if self._vocabulary and text not in self._vocabulary:
                known = ", ".join(sorted(self._vocabulary)[:30])
                of = f"the {len(self._vocabulary)} labels of {self.dataset.name}"
                raise RowError(where, f"label {text!r} is none of {of}: {known}")
            worded = text
            if emit.words and text not in emit.keep:
                spaced = text.replace("_", " ")
                worded = (spaced if emit.hyphens else spaced.replace("-", " ")).lower()
            labels[to_nfc(worded)] = None
        return tuple(labels)

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        if self.dataset.vocabulary_from is None:
            return frozenset(self.dataset.vocabulary)
        source, column = self.dataset.vocabulary_from
        if not find_files(self._base, source):
            return frozenset()
        rows = read_source(self._base, source)
        return frozenset(str(cell(row, column, where)).strip() for where, row in rows)


def _require_known(what: str, name: str, known: tuple[str, ...], dataset: Dataset) -> None:
    if name not in known:
        names = ", ".join(known) or "none"
        raise CorpusError(f"dataset {dataset.name!r} has no {what} {name!r}; it has {names}")


def _split_names(dataset: Dataset) -> tuple[str, ...]:
    rule = dataset.split
    named = [*dataset.splits, *rule.map.values(), *rule.lists, *rule.shares]
    named += [str(source.set["split"]) for source in dataset.sources if "split" in source.set]
    return tuple(dict.fromkeys(named))


def _meta_text(value: Any, where: str, name: str) -> str:
    if isinstance(value, BadCell):
        return value.text
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    try:
        return as_text(value, where, name)
    except CorpusError as error:
        raise RowError(where, str(error).removeprefix(f"{where}: ")) from error
