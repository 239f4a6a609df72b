"""The table in which owners say when and where their recordings were made, for ``--recordings``.

It goes before all that is found in the files. A recording is named by its path, or by as much of
the end of it as tells it from the others.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from earful.errors import CorpusError
from earful.index.corpus.exemplar import to_nfc
from earful.index.corpus.limits import MAX_PATH, name_fault
from earful.index.corpus.tables import Record, SemicolonRecord, TabRecord, as_text, read_rows
from earful.model.audio.recorders import RecorderMetadata, parse_stamp
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import listed, quoted

SOURCE: Final = "recordings table"
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "recording": ("recording", "file_name", "file", "filename", "path", "audio", "begin file"),
    "starts_at": ("starts_at", "start", "started_at", "datetime", "timestamp"),
    "site": ("site", "location", "station", "plot"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "device": ("device", "recorder"),
}
_KNOWN: Final = frozenset(name for names in _COLUMNS.values() for name in names)
_SAYS: Final = ("starts_at", "site", "latitude", "longitude", "device")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_LIMITS: Final = {"latitude": 90.0, "longitude": 180.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsTable:
    """What the owner says of recordings, by their names in a table.

    Attributes:
        path: The table.
        rows: What each row says, by the name of its recording.
        places: Place of each row, such as ``"night.csv:17"``.
    """

    path: Path
    rows: Mapping[str, RecorderMetadata] = field(hash=False)
    places: Mapping[str, str] = field(default_factory=ReadOnlyDict, hash=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", ReadOnlyDict(self.rows))
        object.__setattr__(self, "places", ReadOnlyDict(self.places))

    def match(
        self, recordings: Iterable[str | os.PathLike[str]]
    ) -> tuple[dict[str, RecorderMetadata], tuple[str, ...]]:
        """Find the row of each recording.

        A row names the recording at that path, from here or from the table's folder; else the
        one whose path ends so; else the one whose path ends so but for its ending and for capitals.

        Args:
            recordings: Paths of all recordings that there are.

        Returns:
            What the table says, by the recordings' paths as given, and the names of rows that name
            none of them.

        Raises:
            CorpusError: A row names several recordings, or two rows one.
        """
        given = [os.fspath(recording) for recording in recordings]
        absolute = {os.path.abspath(path): path for path in given}
        by_name: dict[str, list[tuple[str, list[str]]]] = {}
        for path in given:
            parts = _parts(path)
            by_name.setdefault(_folded(parts)[-1], []).append((path, parts))
        found: dict[str, RecorderMetadata] = {}
        owner: dict[str, str] = {}
        unmatched = []
        for name, row in self.rows.items():
            parts = _parts(name)
            alike = by_name.get(_folded(parts)[-1], [])
            places = (os.path.abspath(place) for place in (name, self.path.parent / name))
            candidates = (
                [absolute[place] for place in places if place in absolute][:1]
                or [path for path, of_path in alike if _ends(of_path, parts)]
                or [path for path, of_path in alike if _ends(_folded(of_path), _folded(parts))]
            )
            where = self.places.get(name, str(self.path))
            if len(candidates) > 1:
                raise CorpusError(
                    f"{where}: {quoted(name)} names {len(candidates)} recordings, such as "
                    f"{listed(candidates[:2])}; put their folders before the name"
                )
            if not candidates:
                unmatched.append(name)
                continue
            path = candidates[0]
            if path in owner:
                raise CorpusError(
                    f"{where}: {quoted(name)} names {path}, as {quoted(owner[path])} at "
                    f"{self.places.get(owner[path], str(self.path))} does; leave one of them out"
                )
            found[path], owner[path] = row, name
        return found, tuple(unmatched)


def read_recordings_table(path: str | os.PathLike[str]) -> RecordingsTable:
    """Read when and where recordings were made from a table of any kind that corpora have.

    Columns are ``recording`` and one at least of ``starts_at`` (ISO 8601, with an offset if it is
    known), ``site``, ``latitude`` with ``longitude``, and ``device``; further ones are kept as
    text.

    Args:
        path: A .csv, .tsv, .txt, .json, .jsonl or .parquet file.

    Raises:
        CorpusError: A column is missing, or a cell cannot be read; the message begins with its
            place.
    """
    table = Path(path)
    rows: dict[str, RecorderMetadata] = {}
    places: dict[str, str] = {}
    with closing(read_rows(table, _KNOWN)) as records:
        for where, record in records:
            texts = {
                column: as_text(value, where, column).strip() for column, value in record.items()
            }
            if not any(texts.values()):
                continue  # a spreadsheet's empty row
            columns = _find_columns(list(record), where)
            name = texts[columns["recording"]]
            if not name:
                raise CorpusError(
                    f"{where}: {columns['recording']} is empty; expected the name of a recording"
                )
            if len(name) > MAX_PATH or "\0" in name or not name.strip("/\\"):
                raise CorpusError(f"{where}: {quoted(name)} is no name of a file")
            if name in rows:
                raise CorpusError(
                    f"{where}: {quoted(name)} has a row already, at {places[name]}; leave one of "
                    "them out"
                )
            rows[name], places[name] = _row(texts, columns, record, where), where
    if not rows:
        raise CorpusError(f"{table}: has no rows; expected one per recording")
    return RecordingsTable(path=table, rows=rows, places=places)


def _find_columns(names: Sequence[str], where: str) -> dict[str, str]:
    folded = {name.lower(): name for name in reversed(names)}
    columns: dict[str, str] = {}
    for meaning, aliases in _COLUMNS.items():
        if found := next((folded[alias] for alias in aliases if alias in folded), ""):
            columns[meaning] = found
    if "recording" not in columns or not columns.keys() & set(_SAYS):
        raise CorpusError(
            f"{where}: has the columns {listed(names)}; expected recording and one or more of "
            f"{', '.join(_SAYS)}"
        )
    return columns


def _row(
    texts: Mapping[str, str], columns: Mapping[str, str], record: Record, where: str
) -> RecorderMetadata:
    cells = {meaning: texts.get(column, "") for meaning, column in columns.items()}
    starts_at = parse_stamp(cells.get("starts_at", ""))
    if cells.get("starts_at") and starts_at is None:
        raise CorpusError(
            f"{where}: {columns['starts_at']} is {quoted(cells['starts_at'])}; expected a date and "
            "a time such as 2026-05-03T04:30:12+03:00, without the offset if it is unknown"
        )
    site = to_nfc(cells.get("site", ""))
    if fault := name_fault(site):
        raise CorpusError(f"{where}: {columns['site']} {fault}")
    place = {
        axis: _degrees(cells[axis], columns[axis], _LIMITS[axis], record, where)
        for axis in _LIMITS
        if cells.get(axis)
    }
    if len(place) == 1:
        (has,) = place
        (lacks,) = _LIMITS.keys() - place.keys()
        raise CorpusError(f"{where}: has a {has} and no {lacks}; expected both or none")
    return RecorderMetadata(
        starts_at=starts_at,
        time_source=SOURCE,
        site=site,
        latitude=place.get("latitude"),
        longitude=place.get("longitude"),
        device=cells.get("device", ""),
        extra={
            column: text
            for column, text in texts.items()
            if text and column not in columns.values()
        },
    )


def _degrees(text: str, column: str, limit: float, record: Record, where: str) -> float:
    if isinstance(record, SemicolonRecord | TabRecord) and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not abs(degrees) <= limit:
        raise CorpusError(
            f"{where}: {column} is {quoted(text)}; expected degrees from {-limit:g} to {limit:g}, "
            "such as 24.94"
        )
    return degrees


def _parts(path: str) -> list[str]:
    """Return the parts of a path, of Windows too."""
    return [to_nfc(part) for part in PurePosixPath(path.replace("\\", "/")).parts]


def _ends(parts: Sequence[str], end: Sequence[str]) -> bool:
    return list(parts[-len(end) :]) == list(end)


def _folded(parts: Sequence[str]) -> list[str]:
    """Return the parts of a path without the ending of its name and without capitals."""
    return [part.casefold() for part in (*parts[:-1], PurePosixPath(parts[-1]).stem)]
