"""Rows out of CSV, TSV, JSON Lines and Parquet, each with its place for error messages.

Every reader streams: memory does not grow with the number of rows.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earful.errors import CorpusError

# A field or a line beyond this is a broken quote or not a table at all.
_MAX_FIELD = 1 << 20
_ROWS_AT_ONCE = 4096

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}

Record = dict[str, Any]


def table_kind(path: Path) -> str | None:
    """Return ``"csv"``, ``"tsv"``, ``"jsonl"`` or ``"parquet"`` by the file's ending.

    >>> table_kind(Path("labels.NDJSON"))
    'jsonl'
    """
    return KINDS.get(path.suffix.lower())


def read_rows(path: Path) -> Iterator[tuple[str, Record]]:
    """Read a table row by row.

    Args:
        path: A file whose ending ``table_kind`` knows.

    Yields:
        ``(where, record)``: ``where`` is ``"path:line"``, or ``"path:row n"`` for
        Parquet; the record maps column names to texts (CSV, TSV) or to values.

    Raises:
        CorpusError: The table or a row of it is broken; the message begins with the place.
    """
    kind = table_kind(path)
    if kind is None:
        raise CorpusError(
            f"{path}: ends in {path.suffix!r}; want one of {', '.join(sorted(KINDS))}"
        )
    try:
        if kind == "parquet":
            yield from _parquet(path)
        elif kind == "jsonl":
            yield from _jsonl(path)
        else:
            yield from _delimited(path, "," if kind == "csv" else "\t")
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error


def _text_lines(path: Path) -> Iterator[str]:
    """Yield decoded lines with their ends; a bad byte is told with its line."""
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MAX_FIELD + 1), b""), start=1):
            if len(line) > _MAX_FIELD:
                raise CorpusError(
                    f"{path}:{number}: the line is longer than {_MAX_FIELD} bytes; want one row"
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}:{number}: byte {error.object[error.start]:#04x} is not UTF-8; "
                    "save the table as UTF-8"
                ) from error
            if "\0" in text:
                raise CorpusError(f"{path}:{number}: holds a NUL character; want text")
            yield text


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[str, Record]]:
    # strict: a quote in the wrong place is an error instead of swallowing what follows.
    reader = csv.reader(_text_lines(path), delimiter=delimiter, strict=True)
    previous_limit = csv.field_size_limit(_MAX_FIELD)
    header: list[str] | None = None
    line = 1
    try:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            if not cells:
                continue
            where = f"{path}:{line}"
            if header is None:
                header = _header(cells, where)
                continue
            if len(cells) != len(header):
                raise CorpusError(
                    f"{where}: has {len(cells)} fields; want {len(header)} ({', '.join(header)})"
                )
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        hint = "; is a quote left open?" if "unexpected end" in str(error) else ""
        raise CorpusError(f"{path}:{line}: {error}{hint}") from error
    finally:
        csv.field_size_limit(previous_limit)
    if header is None:
        raise CorpusError(f"{path}: is empty; want a header row with the column names")


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CorpusError(f"{where}: column {twice[0]!r} stands twice; want distinct names")
    return names


def _jsonl(path: Path) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(_text_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(
                line, object_pairs_hook=_distinct_keys, parse_constant=_refuse_constant
            )
        except RecursionError as error:
            raise CorpusError(f"{where}: is nested too deeply; want one flat object") from error
        except ValueError as error:
            raise CorpusError(f"{where}: is not JSON ({error}); want one object a line") from error
        if not isinstance(value, dict):
            raise CorpusError(f"{where}: is {_kind_of(value)}; want one object a line")
        yield where, value


def _distinct_keys(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice")
    return record


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _parquet(path: Path) -> Iterator[tuple[str, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            row = 0
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                for record in batch.to_pylist():
                    row += 1
                    yield f"{path}:row {row}", record
    except pa.ArrowException as error:
        raise CorpusError(f"{path}: is not a readable Parquet file ({error})") from error


def as_text(value: object, where: str, column: str) -> str:
    """Write a cell as text, the same on every machine; ``None`` is empty.

    Raises:
        CorpusError: The cell is a list or a table, not finite, or bytes.

    >>> as_text(3.0, "t:1", "x"), as_text(True, "t:1", "x"), as_text(None, "t:1", "x")
    ('3', 'true', '')
    """
    if value is None:
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
    raise CorpusError(f"{where}: {column} is {_kind_of(value)}; want text or a number")


def _kind_of(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float):
        return str(value)
    return f"{type(value).__name__} {value!r}"
