"""Events and recordings read back from our own tables: CSV, Parquet, JSON, JSON Lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from earful.errors import CorpusError
from earful.index.annotations.event import Event
from earful.index.annotations.recording import RecordingRow, RecordingStatus
from earful.index.corpus import (
    EVENT_COLUMNS,
    RECORDING_COLUMNS,
    Record,
    as_text,
    content_kind,
    read_rows,
)
from earful.wording import listed, quoted

Row = TypeVar("Row", Event, RecordingRow)
PathLike = str | os.PathLike[str]

NOTE_SEPARATOR: Final = " | "
"""Stands between the notes of a recording in one cell."""
_FLOATS: Final = frozenset(
    {"start_s", "end_s", "score", "margin", "probability", "latitude", "longitude", "similarity"}
    | {"low_hz", "high_hz", "duration_s", "time_expansion"}
)
_INTEGERS: Final = frozenset(
    {"n_reviewed", "sample_rate", "channels", "bytes", "n_steps", "n_events"}
)
_MOMENTS: Final = frozenset({"starts_at", "reviewed_at"})
_EVENT_NEEDS: Final = ("event_id", "recording", "start_s", "end_s", "label", "score")
_STATUSES: Final = get_args(RecordingStatus)


def read_events(path: PathLike) -> list[Event]:
    """Read the events that ``write_events_csv`` and its like wrote, in the order of the rows.

    Args:
        path: A table of events, of any format that keeps all their columns.

    Raises:
        CorpusError: It is no such table, or a row is broken; the message begins with its place.
    """

    def make(values: Mapping[str, Any], where: str) -> Event:
        for column in _EVENT_NEEDS:
            if values.get(column) in (None, ""):
                raise CorpusError(f"{where}: {column} is empty; expected a value for each event")
        return Event(**values)

    return list(_read(Path(path), "events", EVENT_COLUMNS, _EVENT_NEEDS, make))


def read_recordings(path: PathLike) -> list[RecordingRow]:
    """Read the recordings that ``write_recordings_csv`` or a JSON export wrote.

    Args:
        path: ``recordings.csv``, or a JSON file with the list ``recordings``.

    Raises:
        CorpusError: It is no such table, or a row is broken; the message begins with its place.
    """

    def make(values: Mapping[str, Any], where: str) -> RecordingRow:
        if values["status"] not in _STATUSES:
            raise CorpusError(
                f"{where}: status is {quoted(values['status'])}; expected one of "
                f"{', '.join(_STATUSES)}"
            )
        filled = {"n_events": values["n_events"] or 0}
        # Tables of earlier releases do not have it.
        filled["time_expansion"] = values["time_expansion"] or 1.0
        return RecordingRow(**{**values, **filled})

    needs = ("recording", "status", "n_events")
    return list(_read(Path(path), "recordings", RECORDING_COLUMNS, needs, make))


def _read(
    path: Path,
    part: str,
    columns: tuple[str, ...],
    needs: tuple[str, ...],
    make: Callable[[Mapping[str, Any], str], Row],
) -> Iterator[Row]:
    if not path.is_file():
        raise CorpusError(f"{path}: there is no such file; expected a table of {part}")

    def check(names: Any, where: str) -> None:
        if missing := [name for name in needs if name not in names]:
            raise CorpusError(
                f"{where}: is no table of {part}: has no column {listed(missing)}; found "
                f"{listed(names)}"
            )

    kind = content_kind(path)
    if kind is None:
        raise CorpusError(f"{path}: is no text and no Parquet file; expected a table of {part}")
    if path.stat().st_size == 0:
        return  # JSON Lines without any
    known = frozenset(columns)
    with closing(read_rows(path, known, check, kind=kind, part=part)) as rows:
        for where, record in rows:
            check(record, where)
            values = {name: _value(record, name, where) for name in columns}
            yield make(values, where)


def _value(record: Record, name: str, where: str) -> Any:
    """Return a field's value from a cell, which is text in CSV, and a value in the others."""
    cell = record.get(name)
    if name in _FLOATS | _INTEGERS:
        text = as_text(cell, where, name).strip()
        try:
            value = float(text) if text else None
        except ValueError as error:
            raise CorpusError(f"{where}: {name} is {quoted(text)}; expected a number") from error
        return int(value) if name in _INTEGERS and value is not None else value
    if name in _MOMENTS:
        return _moment(cell, where, name)
    if name == "notes":
        if isinstance(cell, list):
            return tuple(as_text(note, where, name) for note in cell)
        return tuple(filter(None, as_text(cell, where, name).split(NOTE_SEPARATOR)))
    if name == "extra":
        return _extra(cell, where)
    return as_text(cell, where, name)


def _moment(cell: object, where: str, name: str) -> datetime | None:
    if isinstance(cell, datetime):
        return cell if cell.tzinfo is None else cell.astimezone(UTC)
    text = as_text(cell, where, name).strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise CorpusError(
            f"{where}: {name} is {quoted(text)}; expected a date and time such as "
            "2026-05-03T04:30:00+02:00"
        ) from error


def _extra(cell: object, where: str) -> Mapping[str, str]:
    if isinstance(cell, str):
        try:
            cell = json.loads(cell or "{}")
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{where}: extra is {quoted(cell)}; expected JSON") from error
    if not isinstance(cell, dict | None):
        raise CorpusError(f"{where}: extra is {quoted(cell)}; expected a JSON object")
    found = cast("dict[str, object]", cell or {})
    return {name: as_text(value, where, name) for name, value in found.items()}
