"""Delimited tables as people and programs write them: CSV, TSV, spreadsheets, label tracks.

Spreadsheets outside English write semicolons and decimal commas, some put ``sep=;`` first, and
people put a blank after a comma. What separates the columns is seen in the header; the ending
of the file's name only decides where the header does not. A label track of Audacity has no
header at all: start, end and label, with tabs between.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.corpus.limits import check_columns
from earful.index.corpus.tables.own_tables import is_guarded, unguarded
from earful.wording import counted, listed, quoted

Record = dict[str, Any]

_DELIMITERS = (",", ";", "\t")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[\s;,]*', re.IGNORECASE)
# So many lines may stand above the header for it to be found.
_MOST_TITLES = 20
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_LABEL_LINE = re.compile(rf"({_NUMBER})\t({_NUMBER})(?:\t(.*))?")
_BAND_LINE = re.compile(r"\\\t")
_BAND = re.compile(rf"\\\t(-?{_NUMBER})\t(-?{_NUMBER})")
# Raven writes tables with tabs and never a quote, and its labels may begin with one.
_RAVEN_COLUMN = "begin time (s)"


class SemicolonRecord(Record):
    """A row of a table with semicolons: commas are free for decimals, and 1,500 is 1.5."""

    __slots__ = ()


class TabRecord(Record):
    """A row of a table with tabs: 0,5 is a half, and 1,500 may be either."""

    __slots__ = ()


_RECORDS: dict[str, type[Record]] = {";": SemicolonRecord, "\t": TabRecord}


def read_delimited(
    lines: Iterator[str],
    path: Path,
    delimiter: str,
    known: Collection[str],
    check: Callable[[Iterable[str], str], object] | None = None,
) -> Iterator[tuple[str, Record]]:
    """Read the rows of a table whose columns are separated by a character.

    Args:
        lines: Its lines, with their ends.
        path: Its path, for messages.
        delimiter: What separates the columns if the header does not tell.
        known: Names of columns, in lower case, that such tables have.
        check: Called with the columns and the place of the header.

    Yields:
        ``("path:line", record)``; the record maps column names to texts.

    Raises:
        CorpusError: There is no header, or a title in its place; a row has too few or too many
            cells, or a quote is out of place.
    """
    n_before, first = _first_line(lines)
    if separator := _SEPARATOR_LINE.fullmatch(first):
        delimiter = separator[1]
        n_more, first = _first_line(lines)
        n_before += 1 + n_more
    else:
        delimiter = _delimiter_of(first, delimiter, known)
    ahead = list(itertools.islice(lines, _MOST_TITLES))
    _refuse_title(first, ahead, path, delimiter, known, n_before)
    lines = itertools.chain([first], ahead, lines)
    yield from _records(lines, path, delimiter, n_before, check)


def _refuse_title(
    first: str,
    ahead: list[str],
    path: Path,
    delimiter: str,
    known: Collection[str],
    n_before: int,
) -> None:
    """Refuse lines of text above the names of the columns, which are told by those we know."""

    def n_known(line: str) -> int:
        return sum(name.lower() in known for name in table_header(line, delimiter, known))

    if not first.strip() or n_known(first):
        return
    for n_more, line in enumerate(ahead, start=1):
        if n_known(line) > 1:
            title = first.strip().strip(",;\t")
            last = n_before + n_more
            lines = "this line" if n_more == 1 else f"lines {n_before + 1} to {last}"
            raise CorpusError(
                f"{path}:{n_before + 1}: {quoted(title)} is a title, and the names of the columns "
                f"stand in line {last + 1}; delete {lines}"
            )


def is_label_track(line: str) -> bool:
    r"""Whether a line is one of an Audacity label track.

    >>> is_label_track("0.5\t1.5\tdog\n"), is_label_track("file\tlabel\n")
    (True, False)
    """
    return _LABEL_LINE.fullmatch(line.rstrip("\r\n")) is not None


def read_label_track(lines: Iterator[str], path: Path) -> Iterator[tuple[str, Record]]:
    """Read an Audacity label track.

    Yields:
        ``("path:line", record)`` with the columns ``start_s``, ``end_s`` and ``label``, and with
        ``low_hz`` and ``high_hz`` where a band of frequencies was marked.

    Raises:
        CorpusError: A line is of another form, or a label is a point in time.
    """
    found: tuple[str, Record] | None = None
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if found is not None and (band := _BAND.fullmatch(text)):
            # A side that was not marked is -1.
            sides = zip(("low_hz", "high_hz"), band.groups(), strict=True)
            found[1].update({name: x.replace(",", ".") for name, x in sides if x[0] != "-"})
        if not text.strip() or _BAND_LINE.match(text):
            continue
        if found is not None:
            yield found
        found = _label(text, f"{path}:{number}")
    if found is not None:
        yield found


def _label(text: str, where: str) -> tuple[str, Record]:
    found = _LABEL_LINE.fullmatch(text)
    if found is None:
        raise CorpusError(
            f"{where}: is {quoted(text)}; expected start, end and label with tabs between, as "
            "in the lines before"
        )
    start_s, end_s = found[1].replace(",", "."), found[2].replace(",", ".")
    label = found[3] or ""
    if float(start_s) == float(end_s):
        raise CorpusError(
            f"{where}: the label {quoted(label)} is a point at {start_s} s; expected "
            "a stretch: draw its end apart in Audacity, or delete the line"
        )
    return where, {"start_s": start_s, "end_s": end_s, "label": label}


def table_header(line: str, delimiter: str, known: Collection[str]) -> list[str]:
    """Return the names of columns in a table's first line; a single one for what is no table."""
    return _cells(line, _delimiter_of(line, delimiter, known))


def _first_line(lines: Iterator[str]) -> tuple[int, str]:
    """Return the first line that is not blank, and how many are before it; ``""`` for none."""
    for n_before, line in enumerate(lines):
        if line.strip():
            return n_before, line
    return 0, ""


def _delimiter_of(header: str, default: str, known: Collection[str]) -> str:
    """Return what separates the columns of a header.

    That between names that are known; else what its file's ending says, if that separates
    anything; else whatever does.
    """
    tried = (default, *(each for each in _DELIMITERS if each != default))
    split = {each: _cells(header, each) for each in tried}
    several = [each for each in tried if len(split[each]) > 1]
    for each in several:
        if any(cell.lower() in known for cell in split[each]):
            return each
    if any(cell.lower() in known for cell in split[default]):
        return default
    return several[0] if several else default


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        cells = [line]
    return [cell.strip() for cell in cells]


def _records(
    lines: Iterator[str],
    path: Path,
    delimiter: str,
    n_before: int,
    check: Callable[[Iterable[str], str], object] | None,
) -> Iterator[tuple[str, Record]]:
    first = next(lines, "")
    is_raven = delimiter == "\t" and '"' not in first and _RAVEN_COLUMN in first.lower()
    # strict: a quote in the wrong place is an error, or it would swallow the cells after it.
    reader = csv.reader(
        itertools.chain([first], lines),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=True,
        quoting=csv.QUOTE_NONE if is_raven else csv.QUOTE_MINIMAL,
    )
    make = _RECORDS.get(delimiter, dict)
    header: list[str] | None = None
    is_ours = False
    while True:
        line = n_before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            hint = "; is a quote left open?" if "unexpected end" in str(error) else ""
            raise CorpusError(f"{path}:{line}: {error}{hint}") from error
        if not cells:
            continue
        where = f"{path}:{line}"
        if header is None:
            header = _without_blank_end([cell.strip() for cell in cells])
            check_columns(header, where)
            is_ours = is_guarded(header)
            if check is not None:
                check(header, where)
            continue
        if len(cells) > len(header) and not any(cell.strip() for cell in cells[len(header) :]):
            del cells[len(header) :]
        if len(cells) != len(header):
            raise CorpusError(_wrong_width(where, cells, header, delimiter))
        if is_ours:
            cells = [unguarded(cell) for cell in cells]
        yield where, make(zip(header, cells, strict=True))
    if header is None:
        raise CorpusError(f"{path}: is empty; expected a header row with the column names")


def _without_blank_end(header: list[str]) -> list[str]:
    """Drop the nameless columns that spreadsheets leave at the end."""
    n = len(header)
    while n > 1 and not header[n - 1]:
        n -= 1
    return header[:n]


def _wrong_width(where: str, cells: list[str], header: list[str], delimiter: str) -> str:
    found = f"{where}: has {len(cells)} fields; expected {len(header)} ({listed(header)})"
    for other in _DELIMITERS:
        if other != delimiter and len(cells) == 1 < len(_cells(cells[0], other)):
            n = counted(len(_cells(cells[0], other)), "field")
            return f"{found}; by {_NAMES[other]} it has {n}: separate all rows alike"
    return found
