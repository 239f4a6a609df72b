"""Fields of table rows: which column holds each, and what its cell says of times and labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from earful.errors import CorpusError
from earful.index.corpus.columns import (
    ALIASES,
    DASHES,
    TRANSCRIPT,
    TimeForm,
    add_times,
    fields_meant,
    is_missing,
    listed_labels,
    scale_of,
    time_form,
    unused_times,
)
from earful.index.corpus.exemplar import to_nfc
from earful.index.corpus.stretches import TOLERANCE_S
from earful.index.corpus.tables import Record, SemicolonRecord, TabRecord, as_text
from earful.model.audio import is_clock_time, parse_time_s
from earful.wording import listed, quoted

# Columns of Raven's tables: in a table of several files, time runs on from file to file, and
# the offset is the time in the file.
_RAVEN_OFFSET, _RAVEN_BEGIN, _RAVEN_END = "file offset (s)", "begin time (s)", "end time (s)"
# Where people name the sound in them, the first first.
_RAVEN_LABELS = ("label", "species", "common name", "annotation", "tags")
# Names the recording in our own tables of events, and a group where another column names it.
_RECORDING = "recording"
# Whatever else float() accepts, such as 1_0 and digits of other scripts, is a typing error.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
# A folder and a file in it, as Kaleidoscope names a recording, and where all of them lay.
_IN_FILE, _FOLDER, _IN_FOLDER = "in file", "folder", "indir"
# Of earful's own exports, whose rows tell how long each was, not where it ended.
_OF_AN_EXPORT = frozenset({"content_sha256", "duration_s"})
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DIGITS_OF_TIME = 9


class FieldReader:
    """Finds the fields of a table's rows, and reads their times and labels.

    Args:
        columns: Column of a field, where it is none of ``ALIASES``; empty to leave a field out. A
            field may be called as its columns usually are: ``recording`` for ``audio``.
        label_separator: Separates several labels in one text cell; empty for one label a cell.
        drop_missing: Whether labels that say that there is none are left out.
        advise_options: Whether messages may name options of commands.

    Raises:
        CorpusError: A field is given two columns.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str],
        label_separator: str,
        drop_missing: bool = False,
        advise_options: bool = True,
    ) -> None:
        self._columns = fields_meant(columns)
        self._label_separator = label_separator
        self._drop_missing = drop_missing
        self._advise_options = advise_options
        self._names: tuple[str, ...] = ()
        self._found: dict[str, str] = {}
        self._forms: dict[str, TimeForm] = {}
        self._perhaps_times: list[str] = []

    @property
    def leaves_out_labels(self) -> bool:
        """Whether it was said that there are no labels."""
        return self._columns.get("labels") == ""

    @property
    def chose_labels(self) -> bool:
        """Whether it was said which column holds the labels."""
        return "labels" in self._columns

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
        if folded.keys() >= {_RAVEN_BEGIN, _RAVEN_END}:
            for name in _RAVEN_LABELS:
                if name in folded:
                    found.setdefault("labels", folded[name])
        for field, aliases in ALIASES.items():
            spelt = [a if a in record or field == "id" else folded.get(a, a) for a in aliases]
            present = [name for name in spelt if name in record]
            if field not in found and present:
                found[field] = present[0]
        if TRANSCRIPT in record and not found.keys() & {"labels", "answer"}:
            found["answer"] = TRANSCRIPT
        if not found.get("audio") and names_audio and _RECORDING in folded:
            found["audio"] = folded[_RECORDING]
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

    def labels(
        self, record: Record, columns: Mapping[str, str], where: str, field: str = "labels"
    ) -> tuple[str, ...]:
        """Return the labels of a row, in their order, or those of ``not_labels``.

        Raises:
            CorpusError: Its cell holds no text.
        """
        column = columns.get(field)
        if column is None or record[column] is None:
            return ()
        value = record[column]
        if isinstance(value, list):
            labels = [as_text(item, where, column).strip() for item in value]
        else:
            text = as_text(value, where, column)
            found = listed_labels(text)
            if found is None:
                found = text.split(self._label_separator) if self._label_separator else [text]
            labels = [label.strip() for label in found] if text.strip() else []
        return tuple(to_nfc(label) for label in labels if not self._means_nothing(label))

    def number(self, record: Record, column: str | None, where: str, field: str) -> float | None:
        """Return the number in a cell; ``None`` for an empty one, or without a column.

        Raises:
            CorpusError: The cell holds something else.
        """
        if column is None:
            return None
        text = _with_point(record, as_text(record[column], where, column).strip(), where, field)
        if not text or is_missing(text):
            return None
        if not _NUMBER.fullmatch(text):
            raise CorpusError(f"{where}: {field} is {quoted(text)}; expected a number")
        return float(text)

    def _means_nothing(self, text: str) -> bool:
        return self._drop_missing and is_missing(text)

    def times(
        self, record: Record, columns: Mapping[str, str], where: str
    ) -> tuple[float, float | None]:
        """Return where a row's segment begins and ends, in seconds from the file's start.

        Raises:
            CorpusError: A cell holds no number, or the row contradicts itself.
        """

        def seconds(field: str, column: str | None) -> float | None:
            if column is None:
                return None
            text = as_text(record[column], where, column).strip()
            text = (
                "" if self._means_nothing(text) or (self._drop_missing and text in DASHES) else text
            )
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


def is_of_kaleidoscope(column: str | None) -> bool:
    """Whether a column names recordings as Kaleidoscope does: without their folders."""
    return (column or "").lower() == _IN_FILE


def path_of_kaleidoscope(record: Record, named: str, folder: Path) -> str:
    """Return the path of a recording that a row of Kaleidoscope's names by folder and file."""
    cells = {name.lower(): str(value).strip() for name, value in record.items() if value}
    below = "/".join(filter(None, (cells.get(_FOLDER, "").replace("\\", "/"), named.strip())))
    if _IN_FOLDER not in cells or os.path.exists(folder / below):
        return below
    return f"{cells[_IN_FOLDER]}/{below}"
