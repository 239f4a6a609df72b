"""CSV and TSV tables in all the forms that publishers ship."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source
from earful.index.datasets.readers.sources import OnFault, Options, PlacedRow, first_file
from earful.index.datasets.row_faults import RowError
from earful.wording import listed

# A reader of its own: corpus/tables.py only accepts UTF-8 with one header line, no comments.
_ENCODINGS = ["utf-8-sig", "latin-1"]
_PART = re.compile(r"[^0-9a-z]+")

_Cells = tuple[str, list[str] | RowError]
"""The place of a line, and its cells, or why they cannot be read."""


def read_table(root: Path, source: Source, on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read a table of text.

    Options: ``delimiter``, ``comment`` (lines that begin with it are skipped),
    ``skip_space`` (after a delimiter), ``quotes`` (false when quotes mean nothing),
    ``header`` (names, when the file has none), ``names`` (columns of a header that copies
    keep in different places: a comment line or the first line that holds them all, and
    without one they are the columns), ``header_comment`` (number of the comment line that
    names the columns), ``header_rows`` (2 joins both with a slash; further rows may follow,
    see ``skip``), ``skip`` (lines after the header that are no rows), ``aliases`` (column to
    other spellings, compared without case and punctuation), ``rest`` (column that takes all
    further fields as a list), ``encodings``.
    """
    # Options, and the lines of the file.
    path = first_file(root, source)
    options = Options(path, source)
    lines = _lines(path, options.get("encodings", _ENCODINGS))
    comment = options.get("comment", "")
    given: list[str] = options.get("header", [])
    wanted: list[str] = options.get("names", [])
    aliases: dict[str, list[str]] = options.get("aliases", {})
    aliases = {**{name: [] for name in wanted}, **aliases}
    named = given or None
    header_comment = options.get("header_comment", 0)
    delimiter = options.get("delimiter", "\t" if path.suffix == ".tsv" else ",")
    if len(delimiter) != 1:
        raise CorpusError(f"{path}: delimiter {delimiter!r}: expected one character")
    # Comments, one of which may name the columns.
    if comment:
        lines, comments = _split_comments(lines, comment)
        headers = [
            [name.strip() for name in text.lstrip(comment + " ").split(delimiter)]
            for text in comments
        ]
        if header_comment:
            if len(headers) < header_comment:
                raise CorpusError(f"{path}: has no comment line {header_comment} with its columns")
            named = headers[header_comment - 1]
        elif wanted:
            named = next((one for one in headers if _holds(one, wanted, aliases)), named)
    # Header and rows.
    numbered = _NumberedLines(lines)
    reader = csv.reader(
        numbered,
        delimiter=delimiter,
        skipinitialspace=options.get("skip_space", False),
        quoting=csv.QUOTE_MINIMAL if options.get("quotes", True) else csv.QUOTE_NONE,
        strict=True,
    )
    rest = options.get("rest", "")
    n_header, n_skipped = options.get("header_rows", 1), options.get("skip", 0)
    options.check_all_read()
    rows = _csv_rows(path, reader, numbered)
    if named is None:
        first = _first(rows, n_header)
        named = _header(path, first)
        if wanted and not _holds(named, wanted, aliases):
            named, rows = wanted, chain(first, rows)
    names = _apply_aliases(named, aliases)
    for _ in _first(rows, n_skipped):
        pass
    for where, cells in rows:
        if isinstance(cells, RowError):
            on_fault(cells)
        elif not any(cell.strip() for cell in cells):
            continue
        elif rest and len(cells) < (fixed := len(names) - 1):
            on_fault(RowError(where, f"has {len(cells)} fields; expected {fixed} or more"))
        elif rest:
            yield where, dict(zip(names, [*cells[:fixed], cells[fixed:]], strict=True))
        elif len(cells) != len(names):
            expected = f"expected {len(names)}: {listed(names)}"
            on_fault(RowError(where, f"has {len(cells)} fields; {expected}"))
        else:
            yield where, dict(zip(names, cells, strict=True))


def _lines(path: Path, encodings: Iterable[str]) -> Iterator[str]:
    """Decode a file by the first encoding that fits all of it."""
    *others, last = encodings
    for encoding in others:
        try:
            with open(path, encoding=encoding, newline="") as file:
                for _ in file:
                    pass
        except UnicodeDecodeError:
            continue
        except LookupError as error:
            raise CorpusError(f"{path}: {error}; expected an encoding that Python knows") from error
        return _decoded(path, encoding)
    return _decoded(path, last)


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    with open(path, encoding=encoding, newline="") as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path}: is not {encoding} ({error.reason} at byte {error.start}); expected UTF-8"
            ) from error


def _split_comments(lines: Iterator[str], sign: str) -> tuple[Iterator[str], list[str]]:
    """Return a file's lines without comments, and the comment lines at its beginning."""
    comments: list[str] = []
    first: list[str] = []
    for line in lines:
        if not line.startswith(sign):
            first = [line]
            break
        comments.append(line.strip())

    def others() -> Iterator[str]:
        # Empty lines keep the numbers of the lines that follow.
        yield from ["\n"] * len(comments)
        yield from first
        for line in lines:
            yield "\n" if line.startswith(sign) else line

    return others(), comments


class _NumberedLines:
    """Lines of a file, numbered, of which those of a broken row can be read once more."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._row: list[str] = []
        self._again: deque[str] = deque()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self._row.append(line)
        return line

    def begin_row(self) -> None:
        self._row.clear()

    def give_back_all_but_first(self) -> None:
        """Go back to the second line of the row that was begun."""
        again = self._row[1:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)
        self._row.clear()


def _csv_rows(path: Path, reader: Any, numbered: _NumberedLines) -> Iterator[_Cells]:
    while True:
        numbered.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is left open swallows the lines that follow, which are rows.
            numbered.give_back_all_but_first()
            where = f"{path}:{numbered.number}"
            yield where, RowError(where, f"is not a row ({error})")
            continue
        if cells:
            yield f"{path}:{numbered.number}", cells


def _first(rows: Iterator[_Cells], n: int) -> list[_Cells]:
    return [row for _, row in zip(range(n), rows, strict=False)]


def _header(path: Path, lines: list[_Cells]) -> list[str]:
    rows: list[list[str]] = []
    for _, cells in lines:
        if isinstance(cells, RowError):
            raise CorpusError(str(cells)) from cells
        rows.append(cells)
    if not rows:
        raise CorpusError(f"{path}: is empty; expected a line that names its columns")
    widths = [len(cells) for cells in rows]
    if len(set(widths)) > 1:
        raise CorpusError(
            f"{path}: header lines of {' and '.join(map(str, widths))} fields; expected as many in "
            "each"
        )
    joined = ["/".join(filter(None, map(str.strip, cells))) for cells in zip(*rows, strict=True)]
    return [name or f"column {number}" for number, name in enumerate(joined, 1)]


def _holds(names: list[str], wanted: list[str], aliases: Mapping[str, list[str]]) -> bool:
    return set(wanted) <= set(_apply_aliases(names, aliases))


def _apply_aliases(names: list[str], aliases: Mapping[str, list[str]]) -> list[str]:
    """Rename columns to those of a declaration, by the first of its spellings found."""
    found = set(map(_without_punctuation, names))
    spellings: dict[str, str] = {}
    for name, others in aliases.items():
        known = [_without_punctuation(spelling) for spelling in (name, *others)]
        spellings[next((spelling for spelling in known if spelling in found), known[0])] = name
    return [spellings.get(_without_punctuation(name), name.strip()) for name in names]


def _without_punctuation(name: str) -> str:
    return _PART.sub("", name.lower())
