"""Clips of events: a short recording each, and a table that ``earful index build`` takes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from earful.errors import AudioError, CorpusError
from earful.files import write_atomically
from earful.index.annotations.event import Event
from earful.index.annotations.writers.cells import csv_line, csv_text, number, seconds
from earful.index.annotations.writers.clip_choice import ClipChoice, choose_events
from earful.index.annotations.writers.clip_files import clip_ending, label_folders, write_clip
from earful.index.annotations.writers.file_names import names_of_recordings
from earful.index.corpus import CLIP_COLUMNS, Record, listed_labels, read_rows
from earful.model.audio import STRETCH_OF_LONG, AudioInfo, Clip, load_isolated, probe_isolated
from earful.read_only import ReadOnlyDict
from earful.values import short_repr

_TABLE: Final = "clips.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOptions:
    """Which events become clips, and how they are cut and named.

    Attributes:
        pad_s: How much is kept before and after each event, in seconds.
        most: Clips of each label at most; ``None`` for all.
        choose: ``"top"``, ``"random"``, ``"balanced"`` (equally many of ten ranges of scores) or
            ``"uncertain"`` (next to the threshold).
        threshold: The scan's, for ``"uncertain"``.
        thresholds: By label, instead of ``threshold``.
        name: ``"earful"``, or ``"birdnet"`` for BirdNET-Analyzer's names, and WAV as it writes.
        seed: Of what is random.

    Raises:
        CorpusError: A value is outside its range; the message names it.
    """

    pad_s: float = 1.0
    most: int | None = None
    choose: ClipChoice = "top"
    threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=ReadOnlyDict, hash=False)
    name: Literal["earful", "birdnet"] = "earful"
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 0 <= self.pad_s <= 600:
            raise CorpusError(f"pad_s={self.pad_s}: expected 0 to 600 seconds")
        if self.most is not None and self.most < 1:
            raise CorpusError(f"most={self.most}: expected 1 or more clips")
        if self.name not in ("earful", "birdnet"):
            raise CorpusError(f"name={self.name!r}: expected 'earful' or 'birdnet'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """What ``write_clips`` wrote.

    Attributes:
        table: ``clips.csv``, which also lists clips of earlier calls that are still there.
        paths: The clips of this call, in the order of the table.
        failed: Name of an event's recording and why its clip could not be cut, one each.
    """

    table: Path
    paths: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...] = ()

    __repr__ = short_repr


def write_clips(
    events: Iterable[Event],
    folder: Path,
    *,
    root: Path | None = None,
    find_recording: Callable[[str], Path] | None = None,
    options: ClipOptions = ClipOptions(),
) -> ClipsReport:
    """Cut clips of events out of their recordings, and write a table of them.

    Only the stretches are decoded, in a process of its own. A clip has the mean of the
    recording's channels at its rate and bit depth, as FLAC, or as WAV where FLAC has none such.
    It is called by its score, recording and times, in a folder named by its label, so that
    sorting by name is sorting by score. In ``clips.csv`` ``start_s`` and ``end_s`` say where the
    event lies in the clip, without what was added around it, and ``group`` is the recording.

    Args:
        events: In any order.
        folder: Made if it is not there; clips of the same names are replaced.
        root: Folder that relative paths of recordings are relative to; default: the present one.
        find_recording: Says where a recording is, in place of ``root``.
        options: Which events, and how clips are cut and named.

    Raises:
        CorpusError: Two labels would share a folder, or the clips that are there have another
            kind of table.
        OSError: A file cannot be written.
    """
    by_label: dict[str, list[Event]] = {}
    for event in events:
        by_label.setdefault(event.label, []).append(event)
    folders = label_folders(sorted(by_label))
    chosen = [event for label in sorted(by_label) for event in _chosen(by_label[label], options)]
    table = folder / _TABLE
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows_of_before(table)
    cutter = _Cutter(find_recording or (root or Path()).joinpath, options.pad_s)
    names = _ClipNames(chosen, folders, is_birdnet=options.name == "birdnet")
    written, failed = list[str](), list[tuple[str, str]]()
    try:
        for event in chosen:
            try:
                info, clip = cutter.cut(event)
            except AudioError as error:
                failed.append((event.recording, str(error)))
                continue
            name = names.name(event, info)
            (folder / name).parent.mkdir(exist_ok=True)
            write_clip(folder / name, clip, info)
            rows[name] = _cells(name, event, clip)
            written.append(name)
    finally:
        # Interrupted, too: each clip that is there has its row.
        lines = [csv_line(CLIP_COLUMNS), *(csv_line(rows[name]) for name in sorted(rows))]
        write_atomically(table, "".join(lines))
    paths = tuple(folder / name for name in sorted(written))
    return ClipsReport(table=table, paths=paths, failed=tuple(failed))


def _chosen(events: list[Event], options: ClipOptions) -> list[Event]:
    threshold = options.thresholds.get(events[0].label, options.threshold)
    found = choose_events(
        events, options.choose, options.most, threshold=threshold, seed=options.seed
    )
    return sorted(found, key=lambda event: (-event.score, event.event_id))


class _Cutter:
    """Cuts clips out of recordings, each of whose headers is read once."""

    def __init__(self, find_recording: Callable[[str], Path], pad_s: float) -> None:
        self._find, self._pad_s = find_recording, pad_s
        self._probed: dict[str, AudioInfo] = {}

    def cut(self, event: Event) -> tuple[AudioInfo, Clip]:
        """Return what is known of an event's recording, and the clip.

        Raises:
            AudioError: The recording cannot be read there.
        """
        name = event.recording
        source = self._find(name)
        if name not in self._probed:
            self._probed[name] = probe_isolated(source, limits=STRETCH_OF_LONG)
        info = self._probed[name]
        start_s = max(0.0, event.start_s - self._pad_s)
        end_s = min(info.duration_s, event.end_s + self._pad_s)
        clip = load_isolated(source, start_s=start_s, end_s=end_s, limits=STRETCH_OF_LONG)
        return info, clip


class _ClipNames:
    """Names clips so that their names sort as their scores and times do."""

    def __init__(
        self, events: list[Event], folders: Mapping[str, str], *, is_birdnet: bool
    ) -> None:
        self._folders, self._is_birdnet = folders, is_birdnet
        self._recordings = names_of_recordings(sorted({event.recording for event in events}))
        self._n_time = max([4, *(len(str(int(event.end_s))) for event in events)])
        self._n_score = max([1, *(len(str(int(event.score))) for event in events)])
        self._counts: Counter[tuple[str, str]] = Counter()
        self._taken: set[str] = set()

    def name(self, event: Event, info: AudioInfo) -> str:
        """Return the path of a clip below the folder of all."""
        recording = self._recordings[event.recording]
        if self._is_birdnet:
            self._counts[event.label, recording] += 1
            stem = self._of_birdnet(event, recording, self._counts[event.label, recording])
        else:
            score = f"{event.score:0{self._n_score + 4}.3f}"
            times = (f"{at:0{self._n_time + 4}.3f}s" for at in (event.start_s, event.end_s))
            stem = "_".join([score, recording, *times])
        stem = f"{self._folders[event.label]}/{stem}"
        stem = f"{stem}_{event.event_id}" if stem in self._taken else stem
        self._taken.add(stem)
        return stem + clip_ending(info, is_wav=self._is_birdnet)

    def _of_birdnet(self, event: Event, recording: str, count: int) -> str:
        confidence = min(1.0, max(0.0, event.score))
        start_s, end_s = round(float(event.start_s), 3), round(float(event.end_s), 3)
        return f"{confidence:.3f}_{count}_{recording}_{start_s}s_{end_s}s"


def _cells(name: str, event: Event, clip: Clip) -> list[str]:
    """Return the row of a clip in the order of ``CLIP_COLUMNS``."""
    in_clip = (event.start_s - clip.start_s, event.end_s - clip.start_s)
    return [
        csv_text(name),
        csv_text(_one_label(event.label)),
        csv_text(event.recording),
        csv_text(event.recording),
        *(seconds(min(at, clip.samples.size / clip.sample_rate)) for at in in_clip),
        number(event.score),
        csv_text(event.review),
        seconds(event.start_s),
        seconds(event.end_s),
        event.event_id,
    ]


def _one_label(label: str) -> str:
    """Return a label for a cell that may hold several: as a list where it looks like several."""
    if "|" in label or listed_labels(label) is not None:
        return json.dumps([label], ensure_ascii=False)
    return label


def _rows_of_before(table: Path) -> dict[str, list[str]]:
    """Return the rows of clips of earlier calls that are still there, by the clip's name."""
    if not os.path.lexists(table):
        return {}
    found = {}
    with closing(read_rows(table, frozenset(CLIP_COLUMNS), kind="csv")) as rows:
        for where, record in rows:
            if tuple(record) != CLIP_COLUMNS:
                raise CorpusError(
                    f"{where}: has other columns than clips have; choose another folder, or move "
                    "the table away"
                )
            name = record["file_name"]
            if (table.parent / name).is_file():
                found[name] = _as_written(record)
    return found


def _as_written(record: Record) -> list[str]:
    """Return a row as it was: texts guarded, numbers as they are."""
    texts = {"file_name", "labels", "group", "recording", "review"}
    return [csv_text(str(cell)) if name in texts else str(cell) for name, cell in record.items()]
