"""Exemplars from table rows: which column holds each field, and what its cells may say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from earful.errors import CorpusError
from earful.index.corpus.columns import (
    ALIASES,
    DASHES,
    MAY_BE_MISSING,
    TRANSCRIPT,
    MovedPaths,
    TimeForm,
    add_times,
    is_missing,
    listed_labels,
    looks_like_time,
    scale_of,
    time_form,
    unused_times,
)
from earful.index.corpus.delimited import Record, SemicolonRecord, TabRecord
from earful.index.corpus.exemplar import Exemplar, default_id, to_nfc
from earful.index.corpus.folders import require_inside
from earful.index.corpus.limits import MAX_PATH
from earful.index.corpus.parquet import NestedCell
from earful.index.corpus.stretches import TOLERANCE_S
from earful.index.corpus.tables import as_text
from earful.model.audio import is_clock_time, parse_time_s
from earful.wording import listed, quoted

# Columns of Raven's tables: in a table of several files, time runs on from file to file, and
# the offset is the time in the file.
_RAVEN_PATH, _RAVEN_OFFSET, _RAVEN_BEGIN, _RAVEN_END = (
    *("begin path", "file offset (s)"),
    *("begin time (s)", "end time (s)"),
)

# A scheme and a slash; one letter would be a drive of another system.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:|.*://", re.IGNORECASE | re.DOTALL)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
# A folder and a file in it, as Kaleidoscope names a recording, and where all of them lay.
_IN_FILE, _FOLDER, _IN_FOLDER = "in file", "folder", "indir"
# Of earful's own exports, whose rows tell how long each was, not where it ended.
_OF_AN_EXPORT = frozenset({"content_sha256", "duration_s"})
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DIGITS_OF_TIME = 9


class ExemplarReader:
    """Turns the rows of one corpus's tables into exemplars.

    Args:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        columns: Column of a field, where it is none of ``ALIASES``; empty to leave a field out.
        label_separator: Separates several labels in one text cell.
        drop_missing: Whether labels that say that there is none are left out.
        advise_options: Whether messages may name options of commands.
        allow_outside: Whether audio may lie outside the root.
    """

    def __init__(
        self,
        *,
        root: Path,
        columns: Mapping[str, str],
        label_separator: str,
        drop_missing: bool = False,
        advise_options: bool = True,
        allow_outside: bool,
    ) -> None:
        self._root = root
        self._advise_options = advise_options
        self._drop_missing = drop_missing
        self._names: tuple[str, ...] = ()
        self._found: dict[str, str] = {}
        self._forms: dict[str, TimeForm] = {}
        self._perhaps_times: list[str] = []
        self._unused_times: dict[str, None] = {}
        self._left_out: dict[str, None] = {}
        self._moved = MovedPaths(root)
        self._columns = columns
        self._label_separator = label_separator
        self._allow_outside = allow_outside

    @property
    def leaves_out_labels(self) -> bool:
        """Whether it was said that there are no labels."""
        return self._columns.get("labels") == ""

    @property
    def chose_labels(self) -> bool:
        """Whether it was said which column holds the labels."""
        return "labels" in self._columns

    @property
    def unused_times(self) -> tuple[str, ...]:
        """Columns of the rows so far that look like times and are not used."""
        return tuple(self._unused_times)

    def notes(self) -> list[str]:
        """Return what was found under another path, and which columns are not kept."""
        left_out = f"left out, as no text or number: {listed(self._left_out)}"
        return [*self._moved.notes(), *([left_out] if self._left_out else [])]

    def named_columns(
        self, names: Iterable[str], where: str, *, names_audio: bool = True
    ) -> dict[str, str]:
        """Return the column of each field that a header names as we know it.

        Args:
            names: The columns.
            where: Place of the header, for messages.
            names_audio: Whether one has to name the audio.

        Raises:
            CorpusError: A column that was named is not there, or none names the audio.
        """
        record, found = list(names), dict[str, str]()
        folded = {name.lower(): name for name in reversed(record)}
        for field, column in self._columns.items():
            if field not in ALIASES:
                raise CorpusError(
                    f"no field {field!r} to map a column to; expected one of {', '.join(ALIASES)}"
                )
            if column and column not in record:
                raise CorpusError(
                    f"{where}: has no column {column!r} for {field}; found {listed(record)}"
                )
            found[field] = column
        for field, aliases in ALIASES.items():
            spelt = [a if a in record or field == "id" else folded.get(a, a) for a in aliases]
            present = [name for name in spelt if name in record]
            if field not in found and present:
                found[field] = present[0]
        if TRANSCRIPT in record and not found.keys() & {"labels", "answer"}:
            found["answer"] = TRANSCRIPT
        if not found.get("audio") and names_audio:
            raise CorpusError(
                f"{where}: has no column that names the audio; found {listed(record)}, expected "
                f"one of {', '.join(ALIASES['audio'])}"
                + (", or pass --column audio=COLUMN" if self._advise_options else "")
            )
        return found

    def find_columns(
        self, record: Record, where: str, *, names_audio: bool = True
    ) -> dict[str, str]:
        """Return the column of each field that a row has.

        Args:
            record: The row.
            where: Its place, for messages.
            names_audio: Whether one has to name the audio.

        Raises:
            CorpusError: A column that was named is not there, or none names the audio.
        """
        names = tuple(record)
        if names == self._names:  # as in most tables
            return self._found

        def holds(name: str) -> TimeForm:
            return self._forms.setdefault(name, time_form(str(record[name]).strip()))

        found = self.named_columns(names, where, names_audio=names_audio)
        left_out = set(found) | (_OF_AN_EXPORT if record.keys() >= _OF_AN_EXPORT else set())
        add_times(found, left_out, names, holds)
        found = {field: column for field, column in found.items() if column}
        self._perhaps_times = unused_times(names, found, self._columns)
        self._names, self._found = names, found
        return found

    def read(
        self,
        record: Record,
        columns: Mapping[str, str],
        *,
        folder: Path,
        split: str,
        where: str,
        recording: str = "",
    ) -> tuple[Exemplar, str]:
        """Make the exemplar of a row, and say why its audio cannot be used, or ``""``.

        Args:
            record: The row.
            columns: From ``find_columns``.
            folder: Folder that the row's paths are relative to.
            split: Split of a row that names none.
            where: The row's place, for messages.
            recording: Audio of a table without a column for it.

        Raises:
            CorpusError: A cell breaks a rule; the message begins with the place.
        """

        def text(field: str) -> str:
            column = columns.get(field)
            found = "" if column is None else as_text(record[column], where, column).strip()
            return "" if field in MAY_BE_MISSING and self._is_missing(found) else found

        column = columns.get("audio")
        if column is not None and isinstance(record[column], NestedCell | dict):
            raise CorpusError(
                f"{where}: {column} holds objects, such as recordings themselves; expected a path: "
                "write each recording to a file, and its path into the table"
            )
        named = recording if column is None else as_text(record[column], where, column)
        named = named if named.strip() else recording
        if (column or "").lower() == _IN_FILE:
            named = _of_kaleidoscope(record, named, folder)
        is_raven = (column or "").lower() == _RAVEN_PATH
        audio, fault = self._audio(named, folder, where, by_tail=is_raven)
        labels = self._labels(record, columns, where)
        start_s, end_s = self._times(record, columns, where)
        for name in self._perhaps_times:
            if looks_like_time(name, str(record[name])):
                self._unused_times[name] = None
        # Columns that hold no field are kept as text.
        used = set(columns.values())
        meta = {}
        for name, value in record.items():
            if name not in used:
                try:
                    meta[str(name)] = as_text(_joined(value), where, str(name))
                except CorpusError:
                    self._left_out[str(name)] = None
        try:
            exemplar = Exemplar(
                id=to_nfc(text("id")) or default_id(audio, start_s, end_s),
                audio=audio,
                start_s=start_s,
                end_s=end_s,
                question=text("question"),
                answer=text("answer"),
                labels=labels,
                task=text("task"),
                split=text("split") or split,
                group=text("group"),
                licence=text("licence"),
                meta=meta,
            )
        except CorpusError as error:
            raise CorpusError(f"{where}: {error}") from error
        return exemplar, fault

    def _labels(self, record: Record, columns: Mapping[str, str], where: str) -> tuple[str, ...]:
        column = columns.get("labels")
        if column is None or record[column] is None:
            return ()
        value = record[column]
        if isinstance(value, list):
            labels = [as_text(item, where, column).strip() for item in value]
        else:
            text = as_text(value, where, column)
            found = listed_labels(text)
            labels = text.split(self._label_separator) if found is None else found
            labels = [label.strip() for label in labels] if text.strip() else []
        return tuple(to_nfc(label) for label in labels if not self._is_missing(label))

    def _is_missing(self, text: str) -> bool:
        return self._drop_missing and is_missing(text)

    def _times(
        self, record: Record, columns: Mapping[str, str], where: str
    ) -> tuple[float, float | None]:
        """Return where a row's segment begins and ends, in seconds from the file's start."""

        def seconds(field: str, column: str | None) -> float | None:
            if column is None:
                return None
            text = as_text(record[column], where, column).strip()
            text = "" if self._is_missing(text) or (self._drop_missing and text in DASHES) else text
            advice = f", or leave the column out with --column {field}="
            scale = scale_of(column)
            if is_clock_time(text) and scale != 1:
                raise CorpusError(
                    f"{where}: {field} is {quoted(text)}, and the name of column {column!r} says "
                    "another unit than minutes and seconds; expected a number, or another name"
                )
            value = _seconds(
                _with_point(record, text, where, field),
                where,
                field,
                advice=advice if self._advise_options else "",
            )
            return value if value is None or scale == 1 else round(value * scale, _DIGITS_OF_TIME)

        start_column, end_column = columns.get("start_s"), columns.get("end_s")
        start_s, end_s = seconds("start_s", start_column) or 0.0, seconds("end_s", end_column)
        begin_column = next((name for name in record if name.lower() == _RAVEN_BEGIN), None)
        if (
            (start_column or "").lower() == _RAVEN_OFFSET
            and (end_column or "").lower() == _RAVEN_END
            and begin_column is not None
            and end_s is not None
        ):
            begin_s = seconds("start_s", begin_column) or 0.0
            end_s = round(start_s + end_s - begin_s, _DIGITS_OF_TIME)
        length_s = seconds("duration_s", columns.get("duration_s"))
        if length_s is None:
            return start_s, end_s
        if length_s <= 0:
            raise CorpusError(f"{where}: duration_s={length_s:g}: expected more than 0 seconds")
        by_length_s = round(start_s + length_s, _DIGITS_OF_TIME)
        if end_s is not None and abs(end_s - by_length_s) > TOLERANCE_S + 1e-6:
            advice = ", or leave one out with --column duration_s= or --column end_s="
            raise CorpusError(
                f"{where}: end_s={end_s:g} contradicts duration_s={length_s:g}, by which the "
                f"stretch from start_s={start_s:g} ends at {by_length_s:g}; correct one of them"
                + (advice if self._advise_options else "")
            )
        return start_s, by_length_s if end_s is None else end_s

    def _audio(
        self, text: str, folder: Path, where: str, *, by_tail: bool
    ) -> tuple[PurePosixPath, str]:
        """Return the path of a row's audio, relative to the root, and why it is not there.

        Blanks at its ends count where a file has them, as three names of Clotho's do.
        """
        stripped = text.strip()
        if text != stripped and not (stripped and os.path.isfile(folder / text)):
            text = stripped
        if not text:
            raise CorpusError(f"{where}: names no audio file; expected a path")
        if len(text) > MAX_PATH:
            raise CorpusError(
                f"{where}: audio {quoted(text)} is a path of {len(text)} characters; expected at "
                f"most {MAX_PATH}"
            )
        if _URL.match(text):
            raise CorpusError(f"{where}: audio {quoted(text)} is a URL; expected a local file")
        if "\0" in text or not _can_be_file_name(text):
            raise CorpusError(f"{where}: audio {quoted(text)} cannot be the path of a file")
        text, fault = self._moved.find(text, folder, where, by_tail=by_tail)
        path = Path(os.path.normpath(folder / text))
        fault = fault or require_inside(path, self._root, where, allow_outside=self._allow_outside)
        if not path.is_relative_to(self._root):
            return PurePosixPath(Path(os.path.relpath(path, self._root)).as_posix()), fault
        return PurePosixPath(path.relative_to(self._root).as_posix()), fault


def _with_point(record: Record, text: str, where: str, field: str) -> str:
    """Return a number with a decimal point, where the table may have commas for it."""
    if not (isinstance(record, SemicolonRecord | TabRecord) and _DECIMAL_COMMA.fullmatch(text)):
        return text
    if isinstance(record, TabRecord) and _THOUSANDS.fullmatch(text):
        raise CorpusError(
            f"{where}: {field} is {quoted(text)}, which may be {text.replace(',', '.')} or "
            f"{text.replace(',', '')}; expected seconds with a decimal point"
        )
    return text.replace(",", ".")


def _seconds(text: str, where: str, field: str, *, advice: str) -> float | None:
    if not text:
        return None
    try:
        return parse_time_s(text)
    except ValueError as error:
        raise CorpusError(f"{where}: {field} is {quoted(text)}; {error}{advice}") from None


def _of_kaleidoscope(record: Record, named: str, folder: Path) -> str:
    """Return the path of a recording that a row of Kaleidoscope's names by folder and file."""
    cells = {name.lower(): str(value).strip() for name, value in record.items() if value}
    below = "/".join(filter(None, (cells.get(_FOLDER, "").replace("\\", "/"), named.strip())))
    if _IN_FOLDER not in cells or os.path.exists(folder / below):
        return below
    return f"{cells[_IN_FOLDER]}/{below}"


def _can_be_file_name(text: str) -> bool:
    """Whether the file system can spell a text: JSON can hold halves of characters."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _joined(value: Any) -> object:
    """Return a list of texts as one text; anything else as it is."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "|".join(value)
    return value
