"""Corpus surveys: rows, files, labels and seconds, counted without embedding anything.

``earful index build --dry-run`` shows one. What a corpus's owner should know of its labels,
columns and names are remarks, which a build makes, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from earful.errors import AudioError, CorpusError, MissingExtraError
from earful.index.corpus.columns import (
    ALIASES,
    LabelCounts,
    channels_note,
    is_missing,
    scale_of,
    times_note,
)
from earful.index.corpus.corpus import Corpus
from earful.index.corpus.exemplar import CorpusRow, Exemplar, Rejection
from earful.index.corpus.folders import FirstFiles, tables_near
from earful.index.corpus.stretches import TOLERANCE_S, TimesBeyond
from earful.model.audio import AudioInfo, AudioLimits, file_sha256, probe_isolated
from earful.plain import plain_fields
from earful.wording import as_argument, counted, listed, quoted

_MOST_NAMED = 5
# Stems are remembered of this many names; of a larger corpus the first rows tell enough.
_MOST_STEMS = 100_000
_MOST = 0.5
_MOST_CHANNELS = 100
_TIMES = ("start_s", "end_s", "duration_s")
_NUMBERED = re.compile(r"(?:.*/)?(.+?)([-_. ]+)[0-9]+\.[^./]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Contents of a corpus, as its tables and audio headers declare them.

    Attributes:
        n: Rows, the rejected ones included.
        n_files: Distinct audio files.
        total_s: Length of all usable segments, in seconds; several rows of one segment, such as
            its captions, count once.
        shortest_s: The shortest usable segment, in seconds; 0 when there is none.
        longest_s: The longest usable segment, in seconds; 0 when there is none.
        labels: Label to number of rows, most frequent first, ties by name.
        splits: Split to number of rows, by name; rows without one under ``""``.
        rejected: Rows that a build would reject by their header or their segment. Damage
            further inside a file is only found when it is decoded.
        columns: Column of each field; ``None`` without a table.
        other_columns: The other columns, which are kept as text.
        passed_over: Files of a folder that are no audio, by their endings.
        unlabelled: Rows that say of no label whether it is there.
        missing: Labels that look like missing values, with their rows.
        notes: What the corpus's owner should know, a sentence each.
        not_labels: How many rows say of a label that it is not there.
    """

    n: int
    n_files: int
    total_s: float
    shortest_s: float
    longest_s: float
    labels: Mapping[str, int] = field(hash=False)
    splits: Mapping[str, int] = field(hash=False)
    rejected: tuple[Rejection, ...]
    columns: Mapping[str, str] | None = field(default=None, hash=False)
    other_columns: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict, hash=False)
    unlabelled: int = 0
    missing: Mapping[str, int] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    not_labels: Mapping[str, int] = field(default_factory=dict, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; ``not_labels`` where there are any."""
        return plain_fields(self, digits=3, without=() if self.not_labels else ("not_labels",))


def survey_corpus(
    corpus: Corpus,
    *,
    limits: AudioLimits = AudioLimits(),
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Read a whole corpus and the header of every audio file in it.

    Args:
        corpus: The corpus to count.
        limits: Limits of the audio that a build would accept.
        progress: Called with the number of rows done.

    Raises:
        CorpusError: A table or a row of it is broken, or no column of it gives labels.
    """
    remarks, beyond = Remarks(corpus=corpus), TimesBeyond()
    equal = _EqualFiles()
    headers: dict[Path, AudioInfo | str] = {}
    labels: Counter[str] = Counter()
    denied: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    rejected: list[Rejection] = []
    lengths: dict[tuple[Path, float, float | None], float] = {}
    n = 0
    for row in corpus:
        n += 1
        exemplar = row.exemplar
        remarks.add(row)
        labels.update(exemplar.labels)
        denied.update(exemplar.not_labels)
        splits[exemplar.split] += 1
        path = corpus.path(exemplar)
        if path not in headers:
            headers[path] = row.fault or _read_header(path, limits)
        header = headers[path]
        if not isinstance(header, str):
            equal.add(path, exemplar)
            beyond.add(exemplar.start_s, exemplar.end_s, header.duration_s, header.sample_rate)
        length = _segment_length(headers[path], exemplar.start_s, exemplar.end_s, limits)
        if isinstance(length, str):
            rejected.append(Rejection(audio=str(exemplar.audio), where=row.where, error=length))
        else:
            lengths[path, exemplar.start_s, exemplar.end_s] = length
        if progress is not None:
            progress(n)
    remarks.require_labels()
    return Survey(
        n=n,
        n_files=len(headers),
        total_s=sum(lengths.values()),
        shortest_s=min(lengths.values(), default=0.0),
        longest_s=max(lengths.values(), default=0.0),
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        not_labels=dict(sorted(denied.items(), key=lambda item: (-item[1], item[0]))),
        splits=dict(sorted(splits.items())),
        rejected=tuple(rejected),
        columns=corpus.columns,
        other_columns=corpus.other_columns,
        passed_over=dict(sorted(corpus.passed_over.items())),
        unlabelled=remarks.n_unlabelled,
        missing=dict(sorted(remarks.labels.missing.items())),
        notes=tuple(filter(None, (beyond.note(), equal.note(), *remarks.notes()))),
    )


class _EqualFiles:
    """Rows of equal files under labels that differ, found by size first and then by content."""

    def __init__(self) -> None:
        self._rows: dict[Path, list[tuple[tuple[float, float | None], frozenset[str]]]] = {}

    def add(self, path: Path, exemplar: Exemplar) -> None:
        """Remember a row."""
        if exemplar.labels:
            stretch = (exemplar.start_s, exemplar.end_s)
            self._rows.setdefault(path, []).append((stretch, frozenset(exemplar.labels)))

    def note(self) -> str:
        """Count the stretches that stand in several rows whose labels differ."""
        of_size: dict[int, list[Path]] = {}
        for path in self._rows:
            of_size.setdefault(path.stat().st_size, []).append(path)
        labels_of: dict[tuple[object, ...], list[tuple[Path, frozenset[str]]]] = {}
        for paths in of_size.values():
            for path in paths:
                content = file_sha256(path) if len(paths) > 1 else str(path)
                for stretch, labels in self._rows[path]:
                    labels_of.setdefault((content, stretch), []).append((path, labels))
        differ = [rows for rows in labels_of.values() if len({own for _, own in rows}) > 1]
        if not differ:
            return ""
        names = ", ".join(sorted({path.name for path, _ in differ[0]})[:_MOST_NAMED])
        each = ", ".join(sorted({repr(x) for _, own in differ[0] for x in own})[:_MOST_NAMED])
        return (
            f"{counted(len(differ), 'recording stands', 'recordings stand')} in several rows "
            f"whose labels differ ({names}: {each}); each votes once, for all of its labels"
        )


def _read_header(path: Path, limits: AudioLimits) -> AudioInfo | str:
    try:
        return probe_isolated(path, limits=limits)
    except (AudioError, MissingExtraError) as error:
        return str(error)


def _segment_length(
    header: AudioInfo | str, start_s: float, end_s: float | None, limits: AudioLimits
) -> float | str:
    """Return the length of a segment in seconds, or why it cannot be used."""
    if isinstance(header, str):
        return header
    if start_s >= header.duration_s:
        return f"start_s={start_s:g} is not before the end, {header.duration_s:.3f} s"
    if end_s is not None and end_s > header.duration_s + TOLERANCE_S:
        return f"end_s={end_s:g} lies after the end, {header.duration_s:.3f} s"
    length = min(end_s or header.duration_s, header.duration_s) - start_s
    if length > limits.max_duration_s:
        return f"is {length:.1f} s long; expected at most {limits.max_duration_s:g} s"
    return length


@dataclass(slots=True, kw_only=True)
class _Stem:
    """Names that are alike but for a number at the end."""

    first: str
    second: str = ""
    n: int = 1


@dataclass(slots=True, kw_only=True)
class Remarks:
    """Counts over the rows of a corpus, each given to ``add`` once.

    Attributes:
        corpus: The corpus.
        n: Rows so far.
        n_labelled: Rows with a label.
        n_unlabelled: Rows that say of no label whether it is there.
        n_answered: Rows with a label or an answer, or that say what is not there.
        unlabelled: Places of the first rows without a label.
        labels: Their labels, and what is odd about them.
        n_in_missing_group: Rows whose group looks like a missing value.
        n_endless: Rows that have no end.
        n_starting: Rows of those that begin after the start of their recording.
    """

    corpus: Corpus
    n: int = 0
    n_labelled: int = 0
    n_unlabelled: int = 0
    n_answered: int = 0
    unlabelled: list[str] = field(default_factory=list)
    labels: LabelCounts = field(default_factory=LabelCounts)
    n_in_missing_group: int = 0
    n_endless: int = 0
    n_starting: int = 0
    _channels: set[str] = field(default_factory=set)
    _worded: dict[str, None] = field(default_factory=dict)
    _n_ungrouped: int = 0
    _stems: dict[tuple[str, str], _Stem] = field(default_factory=dict)
    _last_audio: str = ""
    _first_files: FirstFiles = field(init=False)

    def __post_init__(self) -> None:
        corpus = self.corpus
        self._first_files = FirstFiles(
            corpus.root, corpus.source, advise_options=corpus.advise_options
        )

    @classmethod
    def of(cls, corpus: Corpus) -> Self:
        """Count the rows of a whole corpus.

        Raises:
            CorpusError: A table or a row of it is broken, or no column of it gives labels.
        """
        remarks = cls(corpus=corpus)
        for row in corpus:
            remarks.add(row)
        remarks.require_labels()
        return remarks

    def add(self, row: CorpusRow) -> None:
        """Count a row."""
        exemplar = row.exemplar
        if self.corpus.columns is not None:
            self._first_files.add(exemplar.audio)
        self.n += 1
        self.n_labelled += bool(exemplar.labels)
        if not (exemplar.labels or exemplar.not_labels):
            self.n_unlabelled += 1
            if len(self.unlabelled) < _MOST_NAMED:
                self.unlabelled.append(row.where)
        self.n_answered += bool(exemplar.labels or exemplar.answer or exemplar.not_labels)
        self.labels.add(exemplar.labels)
        self.n_in_missing_group += is_missing(exemplar.group)
        self.n_endless += exemplar.end_s is None
        self.n_starting += exemplar.end_s is None and exemplar.start_s > 0
        for column, text in exemplar.meta.items():
            if column.lower() == "channel" and len(self._channels) < _MOST_CHANNELS:
                self._channels.add(text.strip())
            elif column.lower() in ALIASES["labels"] and any(map(str.isalpha, text)):
                self._worded[column] = None
        if not exemplar.group:
            self._n_ungrouped += 1
            self._add_stem(str(exemplar.audio), exemplar.labels)

    def _add_stem(self, audio: str, labels: tuple[str, ...]) -> None:
        if audio == self._last_audio or len(self._stems) >= _MOST_STEMS:
            return
        self._last_audio = audio
        if (found := _NUMBERED.fullmatch(audio)) is None:
            return
        # Names such as dog_1.wav number the recordings of a label, not the parts of a recording.
        folders = {part.lower() for part in audio.split("/")[:-1]}
        if found[1].lower() in folders | {label.lower() for label in labels}:
            return
        stem = self._stems.setdefault((labels[0] if labels else "", found[1]), _Stem(first=audio))
        if stem.first != audio:
            stem.n += 1
            stem.second = stem.second or audio

    def require_labels(self) -> None:
        """Refuse a table in which no column gives labels or answers.

        Raises:
            CorpusError: There is none, and it was not said that there is to be none.
        """
        self._first_files.require_one()
        fault = "" if self.n_answered else self.corpus.no_labels_fault()
        if fault:
            raise CorpusError(f"{self.corpus.source}: {fault}")

    def notes(self) -> tuple[str, ...]:
        """Return what the corpus's owner should know, a sentence each."""
        return tuple(
            filter(
                None,
                (
                    *self._about_labels(),
                    self._about_groups(),
                    *self._about_times(),
                    *self.corpus.reading_notes(),
                    *self._about_rest(),
                ),
            )
        )

    def _about_labels(self) -> list[str]:
        notes = []
        n_without = self.n_unlabelled
        has_labels = self.n_labelled or "labels" in (self.corpus.columns or {})
        if n_without and has_labels and not self.corpus.leaves_out_labels:
            places = ", ".join(self.unlabelled) + (" and more" if n_without > _MOST_NAMED else "")
            note = f"{counted(n_without, 'row has', 'rows have')} no label: {places}"
            likely = self.corpus.likely_labels
            if not self.n_labelled and likely:
                note += f"; for those of another column: --column labels={as_argument(likely)}"
            notes.append(note)
        notes += self.labels.notes(kind=self.corpus.kind)
        column = (self.corpus.columns or {}).get("labels", "")
        if column and not self.corpus.chose_labels:
            notes.append(self.labels.about_numbers(column, self._worded))
        if self.n_in_missing_group:
            notes.append(
                f"{counted(self.n_in_missing_group, 'row is', 'rows are')} of a group that looks "
                "like a missing value, and so of one group; --drop-missing takes it for none"
            )
        return notes

    def _about_groups(self) -> str:
        """Hint at groups where most names are numbered parts of something."""
        several = [stem for stem in self._stems.values() if stem.n > 1]
        per_label = Counter(label for label, _ in self._stems)
        n_in_several = sum(stem.n for stem in several)
        n_names = len({name for _, name in self._stems})
        if not several or n_in_several <= _MOST * self._n_ungrouped:
            return ""
        if n_names < 2 or max(per_label.values()) < 2:
            return ""  # with one stem a label, no other recording of it would be left to answer
        first, second = (name.rsplit("/", 1)[-1] for name in (several[0].first, several[0].second))
        return (
            f"every file is a group of its own, though names such as {first} and {second} share a "
            "stem; if those are parts of one recording, make it a group, so that no part answers "
            "for another: --group-pattern '([^/]+)[-_. ]+[0-9]+[.][^.]+$'"
        )

    def _about_times(self) -> list[str]:
        columns = self.corpus.columns or {}
        notes = [times_note(self.corpus.unused_times)]
        for unit, scale in (("milliseconds", 1e-3), ("minutes", 60.0), ("hours", 3600.0)):
            of_unit = [columns[x] for x in _TIMES if x in columns and scale_of(columns[x]) == scale]
            if of_unit:
                notes.append(f"converted from {unit} to seconds: {listed(of_unit)}")
        has_end = columns.keys() & {"end_s", "duration_s"}
        if has_end and 0 < self.n_endless < self.n:
            one = "row has no end and reaches to the end of its recording"
            many = "rows have no end and reach to the ends of their recordings"
            notes.append(counted(self.n_endless, one, many))
        elif "start_s" in columns and not has_end and self.n_starting:
            n = counted(self.n_starting, "row begins", "rows begin")
            notes.append(
                f"{n} after the start, and no column gives an end or a duration: each reaches to "
                "the end of its recording"
            )
        if "labels" in columns and self.n_labelled:
            notes.append(channels_note(self._channels))
        return notes

    def _about_rest(self) -> list[str]:
        corpus, notes = self.corpus, []
        if corpus.n_merged:
            notes.append(
                f"{counted(corpus.n_merged, 'row was', 'rows were')} merged into another of the "
                "same stretch"
            )
        if corpus.n_further:
            notes.append(
                f"{counted(corpus.n_further, 'row gives', 'rows give')} a further question or "
                "answer to a stretch of another row; the table has no ids, so theirs end in #2, #3"
            )
        if corpus.n_views:
            notes.append(
                f"{counted(corpus.n_views, 'row', 'rows')} of a second view of a selection passed "
                "over: it counts once"
            )
        if corpus.n_without_group:
            notes.append(
                f"{counted(corpus.n_without_group, 'row does', 'rows do')} not match "
                "--group-pattern, and each file of those is a group of its own"
            )
        if corpus.kind == "folder" and self.n > 1 and (label := self.labels.only_one):
            notes.append(_about_only_label(corpus, label, self._last_audio))
        if corpus.passed_over:
            notes.append(f"passed over, as no audio: {describe_endings(corpus.passed_over)}")
        return notes


def _about_only_label(corpus: Corpus, label: str, audio: str) -> str:
    """Point to the table near a folder of recordings that all have one label."""
    folder = corpus.source / label
    for table in tables_near(corpus.source, [audio.rsplit("/", 1)[-1]])[:1]:
        return (
            f"all recordings are labelled {quoted(label)}, by the name of their folder; if their "
            f"labels stand in {table.name}: "
            f"`earful index build {as_argument(str(table))} --root {as_argument(str(folder))}`"
        )
    return ""


def describe_endings(endings: Mapping[str, int]) -> str:
    """Count files by their endings, the most frequent first.

    >>> describe_endings({".txt": 2, "": 1})
    '3 files (2 .txt, 1 without ending)'
    """
    ranked = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    each = listed(f"{n:,} {ending or 'without ending'}" for ending, n in ranked)
    return f"{counted(sum(endings.values()), 'file')} ({each})"
