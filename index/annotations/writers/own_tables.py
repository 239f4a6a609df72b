"""Our own tables of events, recordings and examples: CSV, Parquet, JSON and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.files import replaced, write_atomically
from earful.index.annotations.annotation import Annotation
from earful.index.annotations.event import Event
from earful.index.annotations.readers import NOTE_SEPARATOR
from earful.index.annotations.recording import RecordingRow
from earful.index.annotations.writers.cells import (
    csv_line,
    csv_text,
    in_utc,
    moment,
    number,
    plain,
    seconds,
)
from earful.index.corpus import EVENT_COLUMNS, EXAMPLE_COLUMNS, RECORDING_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

_SECONDS: Final = frozenset({"start_s", "end_s", "duration_s"})
_SCORES: Final = frozenset({"score", "margin", "probability", "similarity"})
_DEGREES: Final = frozenset({"latitude", "longitude"})
_HERTZ: Final = frozenset({"low_hz", "high_hz"})
_MOMENTS: Final = ("starts_at", "reviewed_at")


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events by recording, start and label."""
    return sorted(events, key=lambda e: (e.recording, e.start_s, e.label, e.end_s, e.event_id))


def write_events_csv(path: Path, events: Iterable[Event]) -> None:
    """Write ``events.csv``: a row per event, and the header also without any.

    Args:
        path: The file; what is there is replaced at once.
        events: In any order; rows are sorted by recording, start and label.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    rows = ({name: getattr(each, name) for name in EVENT_COLUMNS} for each in in_order(events))
    _write_csv(path, EVENT_COLUMNS, rows)


def write_recordings_csv(path: Path, recordings: Iterable[RecordingRow]) -> None:
    """Write ``recordings.csv``: a row per recording, sorted by name, also of those that failed.

    Args:
        path: The file; what is there is replaced at once.
        recordings: In any order.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    found = sorted(recordings, key=lambda row: row.recording)
    rows = ({name: getattr(row, name) for name in RECORDING_COLUMNS} for row in found)
    _write_csv(path, RECORDING_COLUMNS, rows)


def write_examples_csv(path: Path, examples: Iterable[Annotation]) -> None:
    """Write ``examples.csv``: what was used as examples, with the row each came from.

    Args:
        path: The file; what is there is replaced at once.
        examples: Positive, negative and unknown ones, in any order.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    found = sorted(examples, key=lambda a: (a.recording, a.start_s, a.end_s, a.label))
    of_fields = [name for name in EXAMPLE_COLUMNS if name != "origin"]
    rows = ({name: getattr(a, name) for name in of_fields} | {"origin": a.where} for a in found)
    _write_csv(path, EXAMPLE_COLUMNS, rows)


def write_events_jsonl(path: Path, events: Iterable[Event]) -> None:
    """Write events as JSON Lines, an event a line, sorted as in ``events.csv``.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    write_atomically(path, "".join(f"{_json(_event(each))}\n" for each in in_order(events)))


def write_events_json(
    path: Path,
    events: Iterable[Event],
    recordings: Iterable[RecordingRow] = (),
    scan: Mapping[str, Any] | None = None,
) -> None:
    """Write one JSON object: ``{"scan": {...}, "recordings": [...], "events": [...]}``.

    Args:
        path: The file; what is there is replaced at once.
        events: In any order; sorted as in ``events.csv``.
        recordings: In any order; sorted by name.
        scan: What is known of the scan, as plain JSON values.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    rows = [_recording(row) for row in sorted(recordings, key=lambda row: row.recording)]
    found = [_event(event) for event in in_order(events)]
    parts = (f'"recordings":{_json_list(rows)}', f'"events":{_json_list(found)}')
    write_atomically(path, f'{{"scan":{_json(dict(scan or {}))},\n{parts[0]},\n{parts[1]}}}\n')


def write_events_parquet(
    path: Path, events: Iterable[Event], scan: Mapping[str, Any] | None = None
) -> None:
    """Write ``events.parquet``: the columns of ``events.csv`` with their types.

    Times in seconds are float64, scores float32, texts dictionaries. ``starts_at`` is a moment in
    UTC where the zones are known, and one without a zone where none is; of both it is text.

    Args:
        path: The file; what is there is replaced at once.
        events: In any order; sorted as in ``events.csv``.
        scan: What is known of the scan; kept in the file's metadata as ``earful:scan``.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    import pyarrow.parquet as pq

    table = _arrow_table(in_order(events), scan)
    with replaced(path) as beside:
        pq.write_table(table, beside)


def _arrow_table(events: list[Event], scan: Mapping[str, Any] | None) -> pa.Table:
    import pyarrow as pa

    texts, columns = pa.dictionary(pa.int32(), pa.string()), {}
    for name in EVENT_COLUMNS:
        values = [getattr(event, name) for event in events]
        if name in _MOMENTS:
            columns[name] = _arrow_moments(values)
        elif name in _SECONDS:
            columns[name] = pa.array([round(value, 3) for value in values], pa.float64())
        elif name in _DEGREES | _HERTZ:
            columns[name] = pa.array(values, pa.float64())
        elif name in _SCORES:
            columns[name] = pa.array(values, pa.float32())
        elif name == "n_reviewed":
            columns[name] = pa.array(values, pa.int64())
        else:
            columns[name] = pa.array([plain(value) for value in values], texts)
    kept = {"earful:scan": _json(dict(scan or {}))}
    return pa.table(columns).replace_schema_metadata(kept)


def _arrow_moments(values: list[datetime | None]) -> pa.Array:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    n_zoned = sum(value.tzinfo is not None for value in known)
    if 0 < n_zoned < len(known):
        return pa.array([moment(value) or None for value in values], pa.string())
    kind = pa.timestamp("ms", tz="UTC") if n_zoned or not known else pa.timestamp("ms")
    return pa.array([None if value is None else in_utc(value) for value in values], kind)


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    cells = ([_csv_cell(name, row[name]) for name in columns] for row in rows)
    write_atomically(path, "".join(map(csv_line, [columns, *cells])))


def _csv_cell(name: str, value: Any) -> str:
    """Return a field's value as a cell of CSV."""
    if value is None:
        return ""
    if name in _SECONDS:
        return seconds(value)
    if name in _SCORES:
        return number(value)
    if name in _DEGREES:
        return number(value, 6)
    if name in _HERTZ:
        return number(value, 1)
    if name == "time_expansion":
        return f"{value:g}"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, int):
        return str(value)
    if name == "notes":
        return csv_text(NOTE_SEPARATOR.join(value))
    if name == "extra":
        return csv_text(_json(dict(value))) if value else ""
    return csv_text(value)


def _event(event: Event) -> dict[str, Any]:
    return {name: _json_value(name, getattr(event, name)) for name in EVENT_COLUMNS}


def _recording(row: RecordingRow) -> dict[str, Any]:
    return {name: _json_value(name, getattr(row, name)) for name in RECORDING_COLUMNS}


def _json_value(name: str, value: Any) -> Any:
    """Return a field's value for JSON: numbers rounded as in CSV, moments as texts."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float):
        digits = 3 if name in _SECONDS else 6 if name in _DEGREES else 1 if name in _HERTZ else 4
        return round(value, digits)
    if name == "notes":
        return [plain(note) for note in value]
    if name == "extra":
        return {plain(key): plain(text) for key, text in value.items()}
    return plain(value) if isinstance(value, str) else value


def _json(value: object) -> str:
    return plain(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _json_list(rows: list[dict[str, Any]]) -> str:
    return "[\n" + ",\n".join(map(_json, rows)) + "\n]" if rows else "[]"
