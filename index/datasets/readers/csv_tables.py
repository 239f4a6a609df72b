"""CSV and TSV tables in all the forms that publishers ship."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source
from earful.index.datasets.readers.sources import Options, PlacedRow, first_file
from earful.wording import listed

# A reader of its own: corpus/tables.py only accepts UTF-8 with one header line, no comments.
_ENCODINGS = ["utf-8-sig", "latin-1"]
_PART = re.compile(r"[^0-9a-z]+")


def read_table(root: Path, source: Source) -> Iterator[PlacedRow]:
    """Read a table of text.

    Options: ``delimiter``, ``comment`` (lines that begin with it are skipped),
    ``skip_space`` (after a delimiter), ``quotes`` (false when quotes mean nothing),
    ``header`` (names, when the file has none), ``header_comment`` (number of the comment
    line that names the columns), ``header_rows`` (2 joins both with a slash; further rows
    may follow, see ``skip``), ``skip`` (lines after the header that are no rows),
    ``aliases`` (column to other spellings, compared without case and punctuation), ``rest``
    (column that takes all further fields as a list), ``encodings``.
    """
    # Options, and the lines of the file.
    path = first_file(root, source)
    options = Options(path, source)
    lines = _lines(path, options.get("encodings", _ENCODINGS))
    comment = options.get("comment", "")
    given: list[str] = options.get("header", [])
    named = given or None
    header_comment = options.get("header_comment", 0)
    delimiter = options.get("delimiter", "\t" if path.suffix == ".tsv" else ",")
    if len(delimiter) != 1:
        raise CorpusError(f"{path}: delimiter {delimiter!r}: expected one character")
    # Comments, one of which may name the columns.
    if comment:
        lines, comments = _split_comments(lines, comment)
        if header_comment:
            if len(comments) < header_comment:
                raise CorpusError(f"{path}: has no comment line {header_comment} with its columns")
            text = comments[header_comment - 1].lstrip(comment + " ")
            named = [name.strip() for name in text.split(delimiter)]
    # Header and rows.
    numbered = _NumberedLines(lines)
    reader = csv.reader(
        numbered,
        delimiter=delimiter,
        skipinitialspace=options.get("skip_space", False),
        quoting=csv.QUOTE_MINIMAL if options.get("quotes", True) else csv.QUOTE_NONE,
        strict=True,
    )
    aliases: dict[str, list[str]] = options.get("aliases", {})
    rest = options.get("rest", "")
    n_header, n_skipped = options.get("header_rows", 1), options.get("skip", 0)
    options.check_all_read()
    rows = _csv_rows(path, reader, numbered)
    if named is None:
        named = _header(path, [cells for _, cells in _first(rows, n_header)])
    names = _apply_aliases(named, aliases)
    for _ in _first(rows, n_skipped):
        pass
    for where, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if rest:
            fixed = len(names) - 1
            if len(cells) < fixed:
                raise CorpusError(f"{where}: has {len(cells)} fields; expected {fixed} or more")
            yield where, dict(zip(names, [*cells[:fixed], cells[fixed:]], strict=True))
            continue
        if len(cells) != len(names):
            raise CorpusError(
                f"{where}: has {len(cells)} fields; expected {len(names)}: {listed(names)}"
            )
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
    """Lines of a file, with the number of the last line that was read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line


def _csv_rows(path: Path, reader: Any, numbered: _NumberedLines) -> Iterator[tuple[str, list[str]]]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CorpusError(f"{path}:{numbered.number}: is not a row ({error})") from error
        if cells:
            yield f"{path}:{numbered.number}", cells


def _first(rows: Iterator[tuple[str, list[str]]], n: int) -> list[tuple[str, list[str]]]:
    return [row for _, row in zip(range(n), rows, strict=False)]


def _header(path: Path, rows: list[list[str]]) -> list[str]:
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


def _apply_aliases(names: list[str], aliases: Mapping[str, list[str]]) -> list[str]:
    spellings = {
        _without_punctuation(x): name for name, others in aliases.items() for x in (name, *others)
    }
    return [spellings.get(_without_punctuation(name), name.strip()) for name in names]


def _without_punctuation(name: str) -> str:
    return _PART.sub("", name.lower())
