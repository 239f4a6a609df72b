"""Dataset corpus: the data of a published dataset below a folder, as a stream of exemplars."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np

from earful.errors import AudioError, CorpusError
from earful.index.corpus import Corpus, CorpusRow, Exemplar, as_text, to_nfc
from earful.index.datasets.declaration import Dataset, Emit, Source
from earful.index.datasets.locate import Locator
from earful.index.datasets.readers import UNPACK, RawRow, find_files, read_source, read_text
from earful.index.datasets.steps import read_rows
from earful.index.datasets.templates import fill, meets, placeholders
from earful.model.audio import load_isolated, probe_isolated
from earful.wording import listed

_Segment = tuple[float, float | None]
"""Start and end in seconds; no end for the rest of the file."""

_MOST_LISTED = 1000
# A file that was cut before may be a little longer than its segment.
_CUT_SLACK_S = 1.0
_LEVEL_RATE = 16_000
# Publishers write these for an id that they do not have.
_UNKNOWN = frozenset({"", "NA", "Not found"})


@dataclass(slots=True)
class RowCounts:
    """Counts of a dataset's rows, from one pass over them.

    Attributes:
        n_rows: Rows in the dataset's files, by split.
        n_found: Rows whose recording is there, by split.
        missing: Place and reason of rows without a recording, the first thousand.
        known_bad: Ids that were left out as broken, and why.
    """

    n_rows: dict[str, int] = field(default_factory=dict)
    n_found: dict[str, int] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    known_bad: dict[str, str] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        """Number of rows without a recording."""
        return sum(self.n_rows.values()) - sum(self.n_found.values())


class DatasetCorpus(Corpus):
    """Rows of a dataset whose recordings are there; ``counts`` counts the others.

    Attributes:
        dataset: The declaration.
        task: Name of the task that rows are read for.
        counts: Counts from the last pass over the rows.
        absent: Files of the dataset that are not there, by part or split.
        on_missing: Called with place and reason of each row without a recording.
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
        self._base = _find_base(dataset, root)
        self._sources = _find_sources(dataset, self._base, part)
        self._split = split
        self._part = part
        self.absent = tuple(
            " or ".join(source.files)
            for source in dataset.sources
            if (not part or source.part == part) and not find_files(self._base, source)
        )
        if split:
            _require_known("split", split, _split_names(dataset), dataset)
        super().__init__(
            root=self._base.resolve(),
            source=root,
            kind=dataset.name,
            allow_outside=allow_outside,
        )
        self._locator = Locator(self._base, dataset.audio, allow_outside=allow_outside)
        self.counts = RowCounts()
        self.on_missing: Callable[[str, str], None] | None = None

    @property
    def n_recordings(self) -> int:
        """Number of recordings below the root, whether or not rows name them."""
        return self._locator.n_recordings

    @property
    def n_unusable(self) -> int:
        """Number of files that rows name and that are no recordings, such as Git LFS pointers."""
        return len(self._locator.unusable)

    @property
    def account(self) -> RowCounts:
        """Old name of ``counts``."""
        warnings.warn(
            "DatasetCorpus.account is now DatasetCorpus.counts; the old name goes with the next "
            "release",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.counts

    @property
    def is_whole(self) -> bool:
        """Whether neither a split nor a part was chosen."""
        return not (self._split or self._part)

    def _read_rows(self) -> Generator[CorpusRow, None, None]:
        counts = self.counts = RowCounts()
        emits = [emit for emit in self.dataset.emits if emit.task == self.task]
        for where, row in read_rows(self.dataset, self._base, self._sources):
            # Leave out rows of other splits, rows known as broken, and rows without an exemplar.
            split = self._split_of(row, where)
            if self._split and split != self._split:
                continue
            id_ = fill(self.dataset.id, row, where)
            if id_ in self.dataset.known_bad:
                counts.known_bad[id_] = self.dataset.known_bad[id_]
                continue
            met = [e for e in emits if all(meets(row, one, where) for one in e.where)]
            if not met:
                continue
            # Find the recording and its segments.
            counts.n_rows[split] = counts.n_rows.get(split, 0) + 1
            audio, why = self._locator.find(row, where)
            segments: tuple[_Segment, ...] = ()
            if audio:
                try:
                    segments = tuple(self._segments(row, where, audio))
                except AudioError as error:
                    # One broken recording among a million is no reason to stop.
                    audio, why = "", str(error)
            elif UNPACK in row:
                why += f"; unpack it: {row[UNPACK]}"
            if not audio:
                if len(counts.missing) < _MOST_LISTED:
                    counts.missing.append((where, why))
                if self.on_missing is not None:
                    self.on_missing(where, why)
                continue
            # Make its exemplars.
            counts.n_found[split] = counts.n_found.get(split, 0) + 1
            for emit in met:
                yield from self._exemplars(emit, row, where, id_, split, audio, segments)

    def _exemplars(
        self,
        emit: Emit,
        row: RawRow,
        where: str,
        id_: str,
        split: str,
        audio: str,
        segments: tuple[_Segment, ...],
    ) -> Iterator[CorpusRow]:
        """Make the exemplars of a row by one rule, one for each segment of its recording."""
        dataset = self.dataset
        labels = self._labels_of(emit, row, where)
        named = f"{dataset.name}:{id_}"
        if len(dataset.tasks) > 1:
            named += f":{emit.task}"
        meta = {name: _meta_text(row.get(name), where, name) for name in dataset.meta}
        if origin := self._origin(row, where):
            meta["origin"] = origin
        for start_s, end_s in segments:
            cut = f"@{start_s:g}" if dataset.window else ""
            try:
                exemplar = Exemplar(
                    id=to_nfc(named + cut),
                    audio=PurePosixPath(Path(audio).as_posix()),
                    start_s=start_s,
                    end_s=end_s,
                    question=fill(emit.question, row, where).strip(),
                    answer=fill(emit.answer, {**row, "_labels": labels}, where).strip(),
                    labels=labels,
                    task=emit.task,
                    split=split,
                    group=fill(dataset.group, row, where),
                    licence=fill(dataset.licence, row, where),
                    meta=MappingProxyType(meta),
                )
            except CorpusError as error:
                raise CorpusError(f"{where}: {error}") from error
            yield CorpusRow(exemplar=exemplar, where=where)

    def _origin(self, row: RawRow, where: str) -> str:
        """Return where a recording first came from; empty when its row does not tell."""
        template = self.dataset.origin
        known = [str(row.get(name) or "") for name in placeholders(template)]
        return "" if any(x in _UNKNOWN for x in known) else fill(template, row, where)

    def _labels_of(self, emit: Emit, row: RawRow, where: str) -> tuple[str, ...]:
        if not emit.labels:
            return ()
        found = row.get(emit.labels)
        if emit.labels not in row:
            raise CorpusError(f"{where}: has no column {emit.labels!r}; found {listed(row)}")
        texts = (
            [str(x) for x in found]
            if isinstance(found, list)
            else ["" if found is None else str(found)]
        )
        labels: dict[str, None] = {}
        for text in filter(None, map(str.strip, texts)):
            if self._vocabulary and text not in self._vocabulary:
                raise CorpusError(
                    f"{where}: label {text!r} is none of the {len(self._vocabulary)} labels of "
                    f"{self.dataset.name}: {', '.join(sorted(self._vocabulary)[:30])}"
                )
            worded = text
            if emit.words and text not in emit.keep:
                worded = text.replace("_", " ").replace("-", " ").lower()
            labels[to_nfc(worded)] = None
        return tuple(labels)

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        if self.dataset.vocabulary_from is None:
            return frozenset(self.dataset.vocabulary)
        source, column = self.dataset.vocabulary_from
        if not find_files(self._base, source):
            return frozenset()
        return frozenset(str(row[column]).strip() for _, row in read_source(self._base, source))

    # --- segments --------------------------------------------------------------------------

    def _segments(self, row: RawRow, where: str, audio: str) -> Iterator[_Segment]:
        """Yield the segments of a recording that become exemplars."""
        span, window = self.dataset.span, self.dataset.window
        if span is not None:
            start_s = _seconds(span.start, row, where)
            if span.length is not None:
                end_s = start_s + span.length
            else:
                end_s = _seconds(span.end if span.end is not None else 0.0, row, where)
            if self._duration_s(audio) > end_s - start_s + _CUT_SLACK_S:
                yield start_s, end_s
            else:
                yield 0.0, None
        elif window is not None:
            duration_s = self._duration_s(audio)
            n = max(1, int(duration_s / window.length_s + 0.5))
            for number in range(n):
                start_s = number * window.length_s
                end_s = min(start_s + window.length_s, duration_s)
                if not self._is_silent(audio, start_s, end_s):
                    yield start_s, end_s
        else:
            yield 0.0, None

    def _duration_s(self, audio: str) -> float:
        return probe_isolated(self._base / audio).duration_s

    def _is_silent(self, audio: str, start_s: float, end_s: float) -> bool:
        window = self.dataset.window
        if window is None or window.skip_below_dbfs is None:
            return False
        clip = load_isolated(
            self._base / audio, sample_rate=_LEVEL_RATE, start_s=start_s, end_s=end_s
        )
        level = float(np.sqrt(np.mean(np.square(clip.samples, dtype=np.float64))))
        return bool(level < 10.0 ** (window.skip_below_dbfs / 20.0))

    # --- splits ----------------------------------------------------------------------------

    def _split_of(self, row: RawRow, where: str) -> str:
        rule = self.dataset.split
        if rule.column:
            if rule.column not in row:
                raise CorpusError(f"{where}: has no column {rule.column!r}; found {listed(row)}")
            value = str(row[rule.column]).strip()
            if rule.map and value not in rule.map:
                raise CorpusError(
                    f"{where}: split {value!r}: expected one of {', '.join(rule.map)}"
                )
            return rule.map.get(value, value)
        if rule.lists:
            return self._split_lists.get(fill(rule.id, row, where), "")
        if rule.by:
            return _split_by_hash(fill(rule.by, row, where), rule.shares)
        return str(row.get("split", ""))

    @cached_property
    def _split_lists(self) -> Mapping[str, str]:
        """Id to split, from the files that list each split's ids."""
        found: dict[str, str] = {}
        for split, name in self.dataset.split.lists.items():
            path = self._base / name
            if path.is_file():
                for line in read_text(path).splitlines():
                    if line.strip():
                        found[line.strip()] = split
        return found


def _require_known(what: str, name: str, known: tuple[str, ...], dataset: Dataset) -> None:
    if name not in known:
        names = ", ".join(known) or "none"
        raise CorpusError(f"dataset {dataset.name!r} has no {what} {name!r}; it has {names}")


def _split_names(dataset: Dataset) -> tuple[str, ...]:
    rule = dataset.split
    named = [*dataset.splits, *rule.map.values(), *rule.lists, *rule.shares]
    named += [str(source.set["split"]) for source in dataset.sources if "split" in source.set]
    return tuple(dict.fromkeys(named))


def _find_base(dataset: Dataset, root: Path) -> Path:
    """Return the folder that files are named from: the root, or a folder directly in it."""
    if not root.is_dir():
        raise CorpusError(f"{root} is no folder; expected the one that holds {dataset.title}")
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in (root, *inside):
        if any(find_files(folder, source) for source in dataset.sources if not source.optional):
            return folder
    expected = "; ".join(" or ".join(s.files) for s in dataset.sources if not s.optional)
    found = ", ".join(sorted(os.listdir(root))[:12]) or "nothing"
    raise CorpusError(
        f"{root}: is not {dataset.title}: expected {expected}; found {found}. "
        f"`earful datasets show {dataset.name}` shows the tree"
    )


def _find_sources(dataset: Dataset, base: Path, part: str) -> tuple[Source, ...]:
    found = tuple(
        source
        for source in dataset.sources
        if (not part or source.part == part) and find_files(base, source)
    )
    if not found:
        raise CorpusError(f"{base}: holds nothing of part {part!r} of {dataset.title}")
    return found


def _seconds(value: str | float, row: Mapping[str, Any], where: str) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if value not in row:
        raise CorpusError(f"{where}: has no column {value!r}; found {listed(row)}")
    try:
        return float(row[value])
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{where}: {value} is {row[value]!r}; expected seconds") from error


def _split_by_hash(key: str, shares: Mapping[str, float]) -> str:
    """Assign a group to a split by its hash, the same on every machine."""
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8])
    edges = np.cumsum(list(shares.values()))
    place = int(np.searchsorted(edges, number / 2**64 * edges[-1], side="right"))
    return list(shares)[min(place, len(shares) - 1)]


def _meta_text(value: Any, where: str, name: str) -> str:
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return as_text(value, where, name)
