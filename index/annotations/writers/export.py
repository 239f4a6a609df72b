"""Exports: a scan's events in the formats of other programs, a file or one for each recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from earful.errors import CorpusError
from earful.index.annotations.event import Event
from earful.index.annotations.recording import RecordingRow
from earful.index.annotations.writers.audacity import write_audacity
from earful.index.annotations.writers.birdnet import (
    write_birdnet,
    write_birdnet_for_r,
    write_kaleidoscope,
)
from earful.index.annotations.writers.file_names import names_of_recordings
from earful.index.annotations.writers.own_tables import (
    in_order,
    write_events_csv,
    write_events_json,
    write_events_jsonl,
    write_events_parquet,
)
from earful.index.annotations.writers.raven import write_raven, write_raven_combined
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import unknown_name

EXPORT_FORMATS: Final = (
    *("csv", "parquet", "json", "jsonl", "raven", "raven-combined", "audacity", "birdnet"),
    *("birdnet-r", "kaleidoscope"),
)
"""Names of formats that ``export_events`` writes."""
_SAYS_REVIEWS: Final = ("csv", "parquet", "json", "jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Choices that single formats have.

    Attributes:
        audacity_score: Whether Audacity's labels end in the score.
        audacity_band: Whether Audacity's labels have the band of frequencies.
        scan: What is known of the scan, as plain JSON values, for JSON and Parquet.
    """

    audacity_score: bool = False
    audacity_band: bool = False
    scan: Mapping[str, Any] = field(default_factory=ReadOnlyDict, hash=False)

    __repr__ = short_repr


def export_events(
    events: Iterable[Event],
    recordings: Iterable[RecordingRow],
    folder: Path,
    formats: Sequence[str],
    *,
    denied: Iterable[Event] = (),
    options: ExportOptions = ExportOptions(),
) -> list[Path]:
    """Write events in formats of other programs into a folder.

    Formats with a file per recording have one for each that was read, also without events: tables
    with a header alone, and an empty label track. Files of these names are replaced.

    Args:
        events: In any order.
        recordings: All that were scanned, also those that failed.
        folder: Made if it is not there.
        formats: Names of ``EXPORT_FORMATS``; each is written once.
        denied: Stretches that reviewers denied and that are no events any more: only the tables
            that have a column of reviews hold them.
        options: Choices that single formats have.

    Returns:
        The files that were written, in the order of the formats and recordings.

    Raises:
        CorpusError: A format is unknown, or cannot hold these events.
        OSError: A file cannot be written.
    """
    for name in formats:
        if name not in EXPORT_FORMATS:
            raise CorpusError(unknown_name("format", name, EXPORT_FORMATS))
    found, denied = in_order(events), list(denied)
    rows = {row.recording: row for row in recordings}
    of_recording: dict[str, list[Event]] = {name: [] for name, row in rows.items() if row.was_read}
    for event in found:
        of_recording.setdefault(event.recording, []).append(event)
    names = names_of_recordings(sorted(of_recording))
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name in dict.fromkeys(formats):
        if name in _ENDINGS:
            for recording, stem in names.items():
                written.append(folder / f"{stem}{_ENDINGS[name]}")
                row = rows.get(recording, RecordingRow(recording=recording))
                _write_of_recording(name, written[-1], of_recording[recording], row, options)
        else:
            written.append(folder / _FILES[name])
            own = in_order([*found, *denied]) if name in _SAYS_REVIEWS else found
            _write_one(name, written[-1], own, list(rows.values()), options)
    return written


_FILES: Final[Mapping[str, str]] = {
    "csv": "events.csv",
    "parquet": "events.parquet",
    "json": "events.json",
    "jsonl": "events.jsonl",
    "raven-combined": "combined.selections.txt",
    "birdnet": "earful_CombinedTable.csv",
    "kaleidoscope": "kaleidoscope.csv",
}


_ENDINGS: Final[Mapping[str, str]] = {
    "raven": ".selections.txt",
    "audacity": ".audacity.txt",
    "birdnet-r": ".BirdNET.results.csv",
}


def _write_of_recording(
    name: str,
    path: Path,
    events: list[Event],
    recording: RecordingRow,
    options: ExportOptions,
) -> None:
    if name == "raven":
        write_raven(path, events, recording)
    elif name == "birdnet-r":
        write_birdnet_for_r(path, events)
    else:
        write_audacity(path, events, score=options.audacity_score, band=options.audacity_band)


def _write_one(
    name: str,
    path: Path,
    events: list[Event],
    recordings: list[RecordingRow],
    options: ExportOptions,
) -> None:
    if name == "csv":
        write_events_csv(path, events)
    elif name == "parquet":
        write_events_parquet(path, events, options.scan)
    elif name == "json":
        write_events_json(path, events, recordings, options.scan)
    elif name == "jsonl":
        write_events_jsonl(path, events)
    elif name == "raven-combined":
        write_raven_combined(path, events, recordings)
    elif name == "birdnet":
        write_birdnet(path, events)
    else:
        write_kaleidoscope(path, events)
