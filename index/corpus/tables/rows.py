"""Table rows of every kind, each with its place for error messages.

CSV, TSV and text tables are read by ``delimited.py``, JSON by ``json_tables.py``, Parquet by
``parquet.py``.

Every reader streams: memory does not grow with the number of rows, nor with the size that
a small compressed file unpacks to.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from earful.errors import AudioError, CorpusError
from earful.index.corpus.limits import MAX_CELL
from earful.index.corpus.tables.class_columns import with_labels
from earful.index.corpus.tables.delimited import (
    Record,
    is_label_track,
    read_delimited,
    read_label_track,
    table_header,
)
from earful.index.corpus.tables.json_tables import read_json
from earful.index.corpus.tables.parquet import NestedCell, parquet_rows
from earful.index.corpus.tables.textgrid import is_textgrid, read_textgrid
from earful.model.audio import open_source
from earful.wording import quoted

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "txt",
    ".selections": "txt",
    ".textgrid": "textgrid",
}
_HEAD_BYTES = 1 << 14


def table_kind(path: Path) -> str | None:
    """Return a table's kind by its file's ending; ``None`` for one that no table has.

    ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"parquet"``, ``"txt"`` or ``"textgrid"``.

    ``.json`` counts as JSON Lines, as NeMo writes them; a list of objects is read as well.

    >>> table_kind(Path("labels.NDJSON"))
    'jsonl'
    """
    return KINDS.get(path.suffix.lower())


def content_kind(path: Path) -> str | None:
    """Return a table's kind by what it holds, whatever its name; ``None`` for what is no text.

    Any text counts as a table: its first line, the header, tells whether it is one.

    Raises:
        CorpusError: It cannot be read.
    """
    with open_table(path) as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return "parquet"
    if is_textgrid(head):
        return "textgrid"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in head:
        return None
    if start.startswith((b"{", b"[")):
        return "jsonl"
    return "txt" if b"\t" in start.split(b"\n", 1)[0] else "csv"


def read_rows(
    path: Path,
    known: Collection[str] = (),
    check: Callable[[Iterable[str], str], object] | None = None,
    *,
    kind: str | None = None,
    part: str = "events",
    notes: list[str] | None = None,
) -> Generator[tuple[str, Record], None, None]:
    """Read a table row by row.

    Args:
        path: A file whose ending ``table_kind`` knows.
        known: Names of columns, in lower case, by which a header is told from other text.
        check: Called with the columns and the place of the header, if the table has one; what it
            raises is about that.
        kind: What to read it as; by its ending if ``None``.
        part: Which list of our own JSON files of events is read.
        notes: Gets sentences about what is passed over.

    Yields:
        ``(where, record)``: ``where`` is ``"path:line"``, or ``"path:row n"`` for
        Parquet; the record maps column names to texts (CSV, TSV) or to values.

    Raises:
        CorpusError: The table or a row of it is broken; the message begins with the place.
    """
    kind = kind or table_kind(path)
    if kind is None:
        raise CorpusError(
            f"{path}: ends in {path.suffix!r}; expected one of {', '.join(sorted(KINDS))}"
        )
    # Opened here, so that an error in a row closes the file at once.
    try:
        with open_table(path) as file:
            if kind == "textgrid" or (kind == "txt" and _holds_textgrid(file)):
                yield from read_textgrid(file, path, notes)
            elif kind == "parquet":
                yield from parquet_rows(file, path)
            elif kind == "jsonl":
                yield from read_json(file, path, _text_lines, part)
            else:
                yield from _read_text_table(_text_lines(file, path), path, kind, known, check)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error


def is_text_table(path: Path, known: Collection[str]) -> bool:
    """Whether a ``.txt`` file is a table, a label track or a TextGrid, by how it begins.

    Raises:
        CorpusError: It cannot be read.
    """
    with open_table(path) as file:
        if _holds_textgrid(file):
            return True
        for line in _text_lines(file, path):
            if line.strip():
                names = table_header(line, "\t", known)
                is_table = len(names) > 1 and any(name.lower() in known for name in names)
                return is_table or is_label_track(line) or line.lower().startswith("sep=")
    return False


def _holds_textgrid(file: BufferedIOBase) -> bool:
    """Whether an open file begins like a TextGrid; it is left at its start."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return is_textgrid(head)


def _read_text_table(
    lines: Iterator[str],
    path: Path,
    kind: str,
    known: Collection[str],
    check: Callable[[Iterable[str], str], object] | None,
) -> Iterator[tuple[str, Record]]:
    first = next(lines, "")
    lines = itertools.chain([first], lines)
    if kind == "txt" and is_label_track(first):
        return read_label_track(lines, path)
    rows = read_delimited(lines, path, "," if kind == "csv" else "\t", known, check)
    return with_labels(rows, path)


@contextmanager
def open_table(path: Path) -> Iterator[BufferedIOBase]:
    """Open a regular file; a pipe would block the reader for ever.

    Raises:
        CorpusError: There is none, it is of another kind, or it may not be read.
    """
    try:
        # Tables are read as streams, so they may have any size.
        with open_source(path, max_bytes=sys.maxsize) as source:
            yield source.file
    except AudioError as error:
        raise CorpusError(str(error)) from error


def _text_lines(file: BufferedIOBase, path: Path) -> Iterator[str]:
    """Yield decoded lines with their ends; the error for a bad byte names its line."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_CELL + 1), b""), start=1):
        if len(line) > MAX_CELL:
            raise CorpusError(
                f"{path}:{number}: the line is longer than {MAX_CELL} bytes; expected one row"
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path}:{number}: byte {error.object[error.start]:#04x} is not UTF-8; "
                "save the table as UTF-8"
            ) from error
        if "\0" in text:
            raise CorpusError(f"{path}:{number}: holds a NUL character; expected text")
        if text.startswith("\ufeff"):
            raise CorpusError(
                f"{path}:{number}: begins with a byte-order mark, as when tables were "
                "joined end to end; remove it, and the header that may follow"
            )
        yield text


def as_text(value: object, where: str, column: str) -> str:
    """Write a cell as text, the same on every machine; ``None`` and not-a-number are empty.

    Raises:
        CorpusError: The cell is a list or a table, infinite, or bytes.

    >>> as_text(3.0, "t:1", "x"), as_text(True, "t:1", "x"), as_text(None, "t:1", "x")
    ('3', 'true', '')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise CorpusError(f"{where}: {column} is {_describe(value)}; expected text or a number")


def _describe(value: object) -> str:
    if isinstance(value, NestedCell):
        return quoted(value.kind)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float):
        return str(value)
    return f"{type(value).__name__} {quoted(value)}"
