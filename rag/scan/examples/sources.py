"""ExampleSources: where a scan's examples come from, gathered by the recordings that hold them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from earful.errors import CorpusError
from earful.index.annotations import Annotation, read_annotations
from earful.index.corpus import annotation_format, open_corpus
from earful.index.labels import Stretches, read_marks
from earful.rag.scan.examples.marked import MarkedRecording, OpenStretch
from earful.rag.scan.examples.naming import RecordingNames
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import counted, known_names, listed, quoted

if TYPE_CHECKING:
    from earful.index import Index
    from earful.index.corpus import Exemplar
    from earful.rag.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSources:
    """Sources of a scan's examples; all that are given count.

    Attributes:
        annotations: Files of annotations in any format, folders of them, or corpora as for an
            index.
        label_column: Column of the annotations that names the sound; ``None`` for the usual.
        columns: Column of a field, such as ``{"start_s": "von"}``.
        index: An index, or its folder.
        where: SQL over the index's columns that its exemplars have to fulfil.
        task: A task, its file or its name: its own examples, and its labels.
        labels: Labels to look for; empty for all that have an example.
        first: Only so many positive events of each recording and label are examples, from the
            ``reference``; each recording is scanned with its own.
        reference: Files of annotations that know all events.
        complete_until_s: Before this time all that is not marked is known to be something else;
            ``None`` for the end of the last example with ``first``, else 0.
        journal: What reviewers said: ``labels.jsonl``, or the folder of a scan that it lies in;
            its positives and negatives are further examples.
        whole_clips: Whether a clip without marks is an example as a whole; else what stands out
            from its own background is.

    Raises:
        CorpusError: There is no source, or two exclude each other.
    """

    annotations: tuple[str | os.PathLike[str], ...] = ()
    label_column: str | None = None
    columns: Mapping[str, str] = field(default_factory=ReadOnlyDict, hash=False)
    index: Index | str | os.PathLike[str] | None = None
    where: str = ""
    task: Task | str | os.PathLike[str] | None = None
    labels: tuple[str, ...] = ()
    first: int | None = None
    reference: tuple[str | os.PathLike[str], ...] = ()
    complete_until_s: float | None = None
    journal: str | os.PathLike[str] | None = None
    whole_clips: bool = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", ReadOnlyDict(self.columns))
        others = bool(self.annotations) or self.index is not None or self.task is not None
        others = others or self.journal is not None
        if (self.first is None) != (not self.reference):
            raise CorpusError(
                "the first events are taken of a reference: give both --first N and --reference "
                "FILE, or neither"
            )
        if self.first is not None and self.first < 1:
            raise CorpusError(f"first={self.first}: expected 1 or more events of each recording")
        if self.first is not None and others:
            raise CorpusError(
                "--first takes its examples from the --reference: leave out --examples, --index, "
                "--task and --with-labels"
            )
        if self.first is None and not others:
            raise CorpusError(
                "no examples are given; expected --examples FILE, --index DIR, a --task with "
                "examples, --with-labels, or --first N with --reference FILE"
            )
        if self.where and self.index is None:
            raise CorpusError("--where is about an index: give --index, too")
        if self.complete_until_s is not None and not self.complete_until_s >= 0:
            raise CorpusError(
                f"complete_until_s={self.complete_until_s}: expected 0 or more seconds"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredExamples:
    """All examples of a scan.

    Attributes:
        marked: By recording, in the order in which they were met.
        labels: To look for.
        each_by_itself: Whether a recording is scanned with its own examples only.
        notes: What a reader should know, a sentence each.
        whole_clips: See ``ExampleSources``.
    """

    marked: tuple[MarkedRecording, ...]
    labels: tuple[str, ...]
    each_by_itself: bool = False
    notes: tuple[str, ...] = ()
    whole_clips: bool = False

    __repr__ = short_repr


def gather_examples(sources: ExampleSources, recordings: Sequence[str]) -> GatheredExamples:
    """Read all sources, and find the recording of each example.

    Args:
        sources: What is given.
        recordings: Paths of the recordings that are scanned.

    Raises:
        CorpusError: A source cannot be read, no recording is found for any example of a label,
            or a label that is looked for has no example.
        TaskError: The task has mistakes.
        IndexFolderError: The index cannot be read.
    """
    names = RecordingNames(recordings)
    gathering = _Gathering(sources, names)
    if sources.first is not None:
        gathering.add_annotations(sources.reference)
        gathering.place_nameless()
        gathering.keep_first(sources.first)
    for path in sources.annotations:
        if _is_annotated(Path(path), sources.columns):
            gathering.add_annotations([path])
        else:
            gathering.add_corpus(path)
    gathering.place_nameless()
    task = gathering.add_task()
    if sources.index is not None:
        gathering.add_index(task)
    if sources.journal is not None:
        gathering.add_journal(sources.journal)
    return gathering.finish(task)


def _is_annotated(path: Path, columns: Mapping[str, str]) -> bool:
    """Whether a path is of annotations, rather than a corpus of clips."""
    if not path.is_dir():
        # What is not there is said best by who reads annotations.
        return (
            not path.exists() or bool(annotation_format(path, columns)) or not path.stat().st_size
        )
    for parent, _, files in os.walk(path):
        for name in files:
            if not name.startswith(".") and annotation_format(Path(parent, name), columns):
                return True
    return False


class _Gathering:
    """Examples as they are gathered."""

    def __init__(self, sources: ExampleSources, names: RecordingNames) -> None:
        self._sources, self._names = sources, names
        self._marked: dict[str, MarkedRecording] = {}
        # Labels of an index, also of exemplars that are not wanted.
        self._offered: dict[str, None] = {}
        # Places that name a recording which is not here: the first of each label, and of each name.
        self._lost: dict[str, str] = {}
        self._nameless: dict[str, list[Annotation]] = {}
        self._nameless_files: set[str] = set()
        self._lost_names: dict[str, str] = {}
        self._n_lost = 0
        self._notes: list[str] = []

    def add_annotations(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        sources = self._sources
        read = read_annotations(
            list(paths), label_column=sources.label_column, columns=sources.columns
        )
        self._notes += read.notes
        for one in read:
            file = one.where.rpartition(":")[0]
            path = self._names.find(one.recording, Path(file).parent)
            if path is None and file in read.nameless:
                self._nameless.setdefault(file, []).append(one)
            elif path is None:
                self._lose(one)
            else:
                self._add(path, annotations=(one,))

    def place_nameless(self) -> None:
        """Take a file that names no recording for the only one, where there are no others."""
        files, recordings = self._nameless, self._names.paths
        if len(files) == len(recordings) == 1:
            ((file, rows),) = files.items()
            self._notes.append(
                f"{file} names no recording; taken for {recordings[0]}, the only one"
            )
            self._add(recordings[0], annotations=tuple(rows))
        else:
            for row in (row for rows in files.values() for row in rows):
                self._lose(row)
        self._nameless_files |= files.keys()
        self._nameless = {}

    def keep_first(self, n: int) -> None:
        """Keep of each recording what is marked up to the n-th event of each label."""
        for path, marked in self._marked.items():
            in_order = sorted(marked.annotations, key=lambda one: (one.start_s, one.end_s))
            kept: list[Annotation] = []
            ends: list[float] = []
            few: list[str] = []
            for label in dict.fromkeys(one.label for one in in_order):
                own = [one for one in in_order if one.label == label]
                positive = [one for one in own if one.polarity == "positive"][:n]
                if not positive:
                    continue
                if len(positive) < n:
                    few.append(f"{len(positive)} of {quoted(label)}")
                end_s = max(one.end_s for one in positive)
                ends.append(end_s)
                kept += positive
                kept += [one for one in own if one.polarity != "positive" and one.start_s < end_s]
            if few:
                self._notes.append(f"{path}: has fewer than {n} events: {listed(few)}")
            until_s = self._sources.complete_until_s
            self._marked[path] = replace(
                marked,
                annotations=tuple(kept),
                complete_until_s=min(ends, default=0.0) if until_s is None else until_s,
            )
        self._marked = {path: one for path, one in self._marked.items() if one.annotations}

    def add_corpus(self, source: str | os.PathLike[str]) -> None:
        # Groups play no part in a scan.
        corpus = open_corpus(source, columns=self._sources.columns, group_by="none")
        n_endless = 0
        for row in corpus:
            n_endless += bool(row.exemplar.start_s) and row.exemplar.end_s is None
            if row.fault:
                self._notes.append(row.fault)
            elif row.exemplar.labels or row.exemplar.not_labels:
                self._add_exemplar(str(corpus.path(row.exemplar)), row.exemplar, row.where)
        self._notes += corpus.reading_notes()
        if n_endless:
            begins = counted(n_endless, "example begins", "examples begin")
            self._notes.append(
                f"{begins} after the start and {'has' if n_endless == 1 else 'have'} no end: each "
                "reaches to the end of its recording; if a column gives the end, name it: --column "
                "end_s=COLUMN"
            )

    def add_task(self) -> Task | None:
        if self._sources.task is None:
            return None
        from earful.rag.task import Task, load_task

        given = self._sources.task
        if isinstance(given, Task):
            task = given
        else:
            task = load_task(os.fspath(given), takes_one_label=True)
        for example in task.examples:
            self._add_exemplar(str(example.path), example.exemplar, example.where)
        return task

    def add_index(self, task: Task | None) -> None:
        from earful.index import Index

        given = self._sources.index
        index = given if isinstance(given, Index) else Index.open(str(given))
        rows = index.vectors()
        ids = _ids_where(index, self._sources.where) if self._sources.where else None
        # Names of a task's labels, and their aliases.
        meant: dict[str, str] = {}
        for name, label in ({} if task is None else task.labels).items():
            meant |= {alias: name for alias in label.aliases} | {name: name}
        for exemplar, path in zip(rows.exemplars, rows.paths, strict=True):
            if ids is not None and exemplar.id not in ids:
                continue
            labels = _in_words_of_task(exemplar.labels, meant)
            denied = _in_words_of_task(exemplar.not_labels, meant)
            self._offered |= dict.fromkeys(labels)
            wanted = set(self._sources.labels)
            if (labels or denied) and (not wanted or wanted.intersection((*labels, *denied))):
                own = exemplar.relabelled(labels)
                own = replace(own, not_labels=tuple(x for x in denied if x not in labels))
                self._add_exemplar(str(path), own, exemplar.id)

    def add_journal(self, journal: str | os.PathLike[str]) -> None:
        """Add what reviewers said, but for what was given as an example already."""
        marks, notes = read_marks(journal)
        self._notes += notes
        given = Stretches(
            (path, f"{one.polarity} {one.label}", one.start_s, one.end_s)
            for path, marked in self._marked.items()
            for one in marked.annotations
        )
        for one in marks:
            path = self._names.find(one.recording, Path(one.where).parent)
            if path is None:
                self._lose(one)
                continue
            name = f"{one.polarity} {one.label}"
            if not given.near(self._names.as_given(path), name, one.start_s, one.end_s):
                # Nobody has said that all else of this recording is something else.
                self._add(path, annotations=(one,), is_complete=False)

    def finish(self, task: Task | None) -> GatheredExamples:
        """Check that each label has an example."""
        there = dict.fromkeys(
            label for marked in self._marked.values() for label in _positive_labels(marked)
        )
        given = self._sources.labels
        of_task = tuple(task.labels) if task is not None else ()
        wanted = given or of_task or tuple(sorted(there))
        for label in wanted:
            if label not in there:
                raise self._no_example(label, sorted({*there, *self._offered}))
        if not wanted:
            if self._lost:
                raise self._no_recording(next(iter(self._lost.values())))
            files = [str(path) for path in self._sources.annotations]
            raise CorpusError(
                f"{listed(files) if files else 'the examples'}: no positive example is there; "
                "expected one or more of each sound to look for"
            )
        if self._lost_names:
            first, n_others = next(iter(self._lost_names.values())), len(self._lost_names) - 1
            nor = f", nor {counted(n_others, 'other')} that the examples name" if n_others else ""
            left = f"{counted(self._n_lost, 'example')} of {'them' if n_others else 'it'} left out"
            self._notes.append(f"{first}: no such recording is here{nor}; {left}")
        self._notes += _nearly_equal(wanted)
        return GatheredExamples(
            marked=tuple(self._marked.values()),
            labels=tuple(dict.fromkeys(wanted)),
            each_by_itself=self._sources.first is not None,
            notes=tuple(self._notes),
            whole_clips=self._sources.whole_clips,
        )

    def _lose(self, one: Annotation) -> None:
        """Count an example whose recording is not here."""
        place = f"{one.where}: {one.recording}"
        self._lost.setdefault(one.label, place)
        self._lost_names.setdefault(one.recording, place)
        self._n_lost += 1

    def _no_example(self, label: str, there: list[str]) -> CorpusError:
        if label in self._lost:
            return self._no_recording(self._lost[label])
        return CorpusError(
            f"label {quoted(label)} has no example; give --examples, an --index that holds it, or "
            f"drop it; {known_names(label, there)}"
        )

    def _no_recording(self, lost: str) -> CorpusError:
        where, _, name = lost.rpartition(": ")
        file = where.rpartition(":")[0]
        if file in self._nameless_files:
            first = min(self._names.paths)
            return CorpusError(
                f"{where}: names no recording, and none of "
                f"{counted(len(self._names), 'recording')} is called {quoted(name)}; begin the "
                f"file's name with that of its recording, such as "
                f"{PurePath(first).stem}.{PurePath(file).name}"
            )
        return CorpusError(
            f"{where}: names the recording {quoted(name)}, which is not here; looked for that "
            f"path, and among {counted(len(self._names), 'recording')} for one recording of that "
            "name, with any ending; name its folder among the recordings, or mend the name"
        )

    def _add_exemplar(self, path: str, exemplar: Exemplar, where: str) -> None:
        stretch = OpenStretch(
            start_s=exemplar.start_s,
            end_s=exemplar.end_s,
            labels=exemplar.labels,
            where=where,
            not_labels=exemplar.not_labels,
        )
        self._add(path, stretches=(stretch,), name=str(exemplar.audio))

    def _add(
        self,
        path: str,
        *,
        annotations: tuple[Annotation, ...] = (),
        stretches: tuple[OpenStretch, ...] = (),
        name: str = "",
        is_complete: bool = True,
    ) -> None:
        known = self._names.as_given(path)
        until_s = self._sources.complete_until_s if annotations and is_complete else None
        marked = self._marked.get(known) or MarkedRecording(path=known, name=name or known)
        self._marked[known] = replace(
            marked,
            annotations=marked.annotations + annotations,
            stretches=marked.stretches + stretches,
            complete_until_s=max(marked.complete_until_s, until_s or 0.0),
        )


def _nearly_equal(labels: Iterable[str]) -> list[str]:
    """Return a note for each label that is spelt in several ways."""
    spelt: dict[str, list[str]] = {}
    for label in labels:
        spelt.setdefault(" ".join(label.split()).casefold(), []).append(label)
    return [
        f"labels {' and '.join(map(quoted, ways))} differ in case or blanks only, and are looked "
        "for apart; spell them alike if they are one"
        for ways in spelt.values()
        if len(ways) > 1
    ]


def _in_words_of_task(labels: tuple[str, ...], meant: Mapping[str, str]) -> tuple[str, ...]:
    """Return labels by the names that a task has for them, without others; all without a task."""
    known = (label for label in labels if not meant or label in meant)
    return tuple(dict.fromkeys(meant.get(label, label) for label in known))


def _positive_labels(marked: MarkedRecording) -> Iterator[str]:
    yield from (one.label for one in marked.annotations if one.polarity == "positive")
    for stretch in marked.stretches:
        yield from stretch.labels


def _ids_where(index: Index, where: str) -> frozenset[str]:
    """Return the ids of the rows that fulfil a condition."""
    from earful.index.search import SearchFilter

    rows = index.vectors()
    if not len(rows):
        return frozenset()
    hits = index.search(rows.vectors[0], k=len(rows), filter=SearchFilter(where=where))
    return frozenset(hit.exemplar.id for hit in hits)
