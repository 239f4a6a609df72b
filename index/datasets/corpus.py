"""A published dataset below a folder, as a stream of exemplars."""

from __future__ import annotations

import hashlib
import os
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
from earful.index.datasets.locate import Locator, placeholders
from earful.index.datasets.readers import UNPACK, Raw, find_files, read_source, read_text
from earful.index.datasets.steps import rows_of
from earful.index.datasets.templates import fill, holds
from earful.model.audio import load_isolated, probe_isolated
from earful.wording import listed

_MOST_LISTED = 1000
# A file that was cut already may be a little longer than its stretch.
_CUT_SLACK_S = 1.0
_LEVEL_RATE = 16_000
# What publishers write for an id that they do not have.
_UNKNOWN = frozenset({"", "NA", "Not found"})


@dataclass(slots=True)
class Account:
    """What became of the rows of the last pass.

    Attributes:
        n_rows: Rows that the dataset's files give, by split.
        n_found: Those among them whose recording is there.
        missing: Place and reason of rows without a recording, the first thousand.
        known_bad: Ids that were left out as broken, and why.
    """

    n_rows: dict[str, int] = field(default_factory=dict)
    n_found: dict[str, int] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    known_bad: dict[str, str] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        """Rows without a recording."""
        return sum(self.n_rows.values()) - sum(self.n_found.values())


class DatasetCorpus(Corpus):
    """Rows of a dataset whose recordings are there; the others are counted in ``account``.

    Attributes:
        dataset: The declaration.
        task: Name of the task that rows are read for.
        account: Of the last pass over the rows.
        absent: Files of the dataset that are not there, by part or split.
        on_missing: Called with place and reason of each row without a recording.
    """

    # Publishers' tables in old encodings are read as Latin-1, whose curly quotes are such.
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
        """Use ``load_dataset``."""
        self.dataset = dataset
        self.task = _chosen("task", task or dataset.tasks[0], dataset.tasks, dataset)
        if part:
            _chosen("part", part, dataset.parts, dataset)
        self._base = _base(dataset, root)
        self._sources = _sources(dataset, self._base, part)
        self._split = split
        self._part = part
        self.absent = tuple(
            " or ".join(source.files)
            for source in dataset.sources
            if (not part or source.part == part) and not find_files(self._base, source)
        )
        if split:
            _chosen("split", split, _splits(dataset), dataset)
        super().__init__(
            root=self._base.resolve(),
            source=root,
            kind=dataset.name,
            allow_outside=allow_outside,
        )
        self._locator = Locator(self._base, dataset.audio, allow_outside=allow_outside)
        self.account = Account()
        self.on_missing: Callable[[str, str], None] | None = None

    @property
    def n_recordings(self) -> int:
        """How many recordings lie below the root, whatever names them."""
        return self._locator.n_recordings

    @property
    def n_unusable(self) -> int:
        """How many files that rows name are no recordings, such as pointers of Git LFS."""
        return len(self._locator.unusable)

    @property
    def is_whole(self) -> bool:
        """Whether neither a split nor a part was chosen."""
        return not (self._split or self._part)

    def _read_rows(self) -> Generator[CorpusRow, None, None]:
        account = self.account = Account()
        emits = [emit for emit in self.dataset.emits if emit.task == self.task]
        for where, row in rows_of(self.dataset, self._base, self._sources):
            split = self._split_of(row, where)
            if self._split and split != self._split:
                continue
            id_ = fill(self.dataset.id, row, where)
            if id_ in self.dataset.known_bad:
                account.known_bad[id_] = self.dataset.known_bad[id_]
                continue
            wanted = [e for e in emits if all(holds(one, row, where) for one in e.where)]
            if not wanted:
                continue
            account.n_rows[split] = account.n_rows.get(split, 0) + 1
            audio, why = self._locator.find(row, where)
            stretches: tuple[tuple[float, float | None], ...] = ()
            if audio:
                try:
                    stretches = tuple(self._stretches(row, where, audio))
                except AudioError as error:
                    # One broken recording of a million is no reason to stop.
                    audio, why = "", str(error)
            elif UNPACK in row:
                why += f"; unpack it: {row[UNPACK]}"
            if not audio:
                if len(account.missing) < _MOST_LISTED:
                    account.missing.append((where, why))
                if self.on_missing is not None:
                    self.on_missing(where, why)
                continue
            account.n_found[split] = account.n_found.get(split, 0) + 1
            for emit in wanted:
                yield from self._emitted(emit, row, where, id_, split, audio, stretches)

    def _emitted(
        self,
        emit: Emit,
        row: Raw,
        where: str,
        id_: str,
        split: str,
        audio: str,
        stretches: tuple[tuple[float, float | None], ...],
    ) -> Iterator[CorpusRow]:
        dataset = self.dataset
        labels = self._labels_of(emit, row, where)
        named = f"{dataset.name}:{id_}"
        if len(dataset.tasks) > 1:
            named += f":{emit.task}"
        meta = {name: _cell(row.get(name), where, name) for name in dataset.meta}
        if origin := self._origin(row, where):
            meta["origin"] = origin
        for start_s, end_s in stretches:
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

    def _origin(self, row: Raw, where: str) -> str:
        """Return where a recording first came from; empty when its row does not know."""
        template = self.dataset.origin
        known = [str(row.get(name) or "") for name in placeholders(template)]
        return "" if any(x in _UNKNOWN for x in known) else fill(template, row, where)

    def _labels_of(self, emit: Emit, row: Raw, where: str) -> tuple[str, ...]:
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
                    f"{where}: label {text!r} is none of the {len(self._vocabulary)} of "
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

    # --- stretches -------------------------------------------------------------------------

    def _stretches(self, row: Raw, where: str, audio: str) -> Iterator[tuple[float, float | None]]:
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

    def _split_of(self, row: Raw, where: str) -> str:
        rule = self.dataset.split
        if rule.column:
            if rule.column not in row:
                raise CorpusError(f"{where}: has no column {rule.column!r}; found {listed(row)}")
            value = str(row[rule.column]).strip()
            if rule.map and value not in rule.map:
                raise CorpusError(f"{where}: split {value!r}; want one of {', '.join(rule.map)}")
            return rule.map.get(value, value)
        if rule.lists:
            return self._listed.get(fill(rule.id, row, where), "")
        if rule.by:
            return _dealt(fill(rule.by, row, where), rule.shares)
        return str(row.get("split", ""))

    @cached_property
    def _listed(self) -> Mapping[str, str]:
        """Id to split, out of the files that list them."""
        found: dict[str, str] = {}
        for split, name in self.dataset.split.lists.items():
            path = self._base / name
            if path.is_file():
                for line in read_text(path).splitlines():
                    if line.strip():
                        found[line.strip()] = split
        return found


def _chosen(what: str, name: str, known: tuple[str, ...], dataset: Dataset) -> str:
    if name not in known:
        listed = ", ".join(known) or "none"
        raise CorpusError(f"dataset {dataset.name!r} has no {what} {name!r}; it has {listed}")
    return name


def _splits(dataset: Dataset) -> tuple[str, ...]:
    rule = dataset.split
    named = [*dataset.splits, *rule.map.values(), *rule.lists, *rule.shares]
    named += [str(source.set["split"]) for source in dataset.sources if "split" in source.set]
    return tuple(dict.fromkeys(named))


def _base(dataset: Dataset, root: Path) -> Path:
    """Return the folder that the files' names start from: the root, or a folder just in it."""
    if not root.is_dir():
        raise CorpusError(f"{root} is no folder; want the one that holds {dataset.title}")
    inside = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in (root, *inside):
        if any(find_files(folder, source) for source in dataset.sources if not source.optional):
            return folder
    wanted = "; ".join(" or ".join(s.files) for s in dataset.sources if not s.optional)
    there = ", ".join(sorted(os.listdir(root))[:12]) or "nothing"
    raise CorpusError(
        f"{root}: is not {dataset.title}: want {wanted}; found {there}. "
        f"`earful datasets show {dataset.name}` shows the tree"
    )


def _sources(dataset: Dataset, base: Path, part: str) -> tuple[Source, ...]:
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
        raise CorpusError(f"{where}: {value} is {row[value]!r}; want seconds") from error


def _dealt(key: str, shares: Mapping[str, float]) -> str:
    """Deal a group to a split by its hash, the same on every machine."""
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8])
    edges = np.cumsum(list(shares.values()))
    place = int(np.searchsorted(edges, number / 2**64 * edges[-1], side="right"))
    return list(shares)[min(place, len(shares) - 1)]


def _cell(value: Any, where: str, name: str) -> str:
    if isinstance(value, (list, dict)):
        import json

        return json.dumps(value, ensure_ascii=False, default=str)
    return as_text(value, where, name)
