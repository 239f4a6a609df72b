"""Parquet rows in bounded memory, whatever size a file declares or unpacks to.

Compression lets two kilobytes become gigabytes. The sizes that the footer declares are
checked first. Texts are then read as Arrow dictionaries, in which a text that occurs in a
million rows exists once, so that every cell's size is known before any row is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.index.corpus.limits import MAX_CELL, check_columns
from earful.wording import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_AT_ONCE = 1024
# As dictionaries rows are small, and each batch costs a pass over the whole dictionary.
_ROWS_OF_TEXTS_AT_ONCE = 1 << 16
# Of one row group, uncompressed: the million rows that most writers put there, of 2 kB each.
_MAX_GROUP_BYTES = 1 << 31
# Rows that together hold more than this are made in several steps.
_MAX_BYTES_AT_ONCE = 1 << 26
# Cost of a list's item, on top of its text.
_ITEM_BYTES = 8


@dataclass(frozen=True, slots=True)
class NestedCell:
    """A cell that was not read, since its column holds objects.

    Attributes:
        kind: The column's type, such as ``"struct<a: int64>"``.
    """

    kind: str


def parquet_rows(
    file: BufferedIOBase, path: Path, *, nested: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read rows of a Parquet file.

    Args:
        file: The file, open.
        path: Its path, for messages.
        nested: Whether columns of objects are read, too; the size of such cells is not
            checked. Otherwise each cell of theirs is a ``NestedCell``.

    Yields:
        ``("path:row n", record)``, counted from 1.

    Raises:
        CorpusError: It is damaged, two columns have one name, or a column or a cell is too
            large or of a type that no table has.
    """
    number = 0
    for batch, unread in _batches(file, path, nested=nested):
        sizes = np.zeros(batch.num_rows, np.int64)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found = _cell_bytes(column)
            if (largest := int(found.max(initial=0))) > MAX_CELL and not nested:
                row = number + int(found.argmax()) + 1
                raise CorpusError(
                    f"{path}:row {row}: column {quoted(name)} holds {largest} bytes; "
                    f"expected at most {MAX_CELL} in a cell"
                )
            sizes += found
        fitting = _MAX_BYTES_AT_ONCE // max(1, int(sizes.max(initial=0)))
        step = min(max(fitting, 1), _ROWS_AT_ONCE)
        for start in range(0, batch.num_rows, step):
            for record in _records(batch.slice(start, step), path):
                number += 1
                yield f"{path}:row {number}", {**record, **unread} if unread else record


def _batches(
    file: BufferedIOBase, path: Path, *, nested: bool
) -> Iterator[tuple[pa.RecordBatch, dict[str, NestedCell]]]:
    """Yield batches of rows, each with the cells of the columns that are not read."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            _check(opened, path)
            schema = opened.schema_arrow
            unread = {} if nested else _columns_of_objects(schema)
            read = [name for name in schema.names if name not in unread] if unread else None
            if read == []:
                name, cell = next(iter(unread.items()))
                raise CorpusError(
                    f"{path}: column {quoted(name)} holds {quoted(cell.kind)}; expected text, "
                    "numbers, or lists of text"
                )
            metadata, texts = opened.metadata, _text_columns(opened)
            opened = pq.ParquetFile(file, metadata=metadata, read_dictionary=texts)
            n_rows = _ROWS_AT_ONCE if nested else _ROWS_OF_TEXTS_AT_ONCE
            for batch in opened.iter_batches(batch_size=n_rows, columns=read):
                # Until here, indices into dictionaries and characters are not checked.
                batch.validate(full=True)
                yield batch, unread
    except OSError as error:
        if error.errno is not None:  # an error of the disk, not of the content
            raise
        raise _unreadable(path, error) from error
    except _damage_errors() as error:
        raise _unreadable(path, error) from error


def _records(batch: pa.RecordBatch, path: Path) -> Sequence[dict[str, Any]]:
    import pyarrow as pa

    # Plain texts become Python's ten times faster than dictionaries do.
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    try:
        found: list[dict[str, Any]] = pa.record_batch(columns, batch.schema.names).to_pylist()
    except _damage_errors() as error:
        raise _unreadable(path, error) from error
    return found


def _check(opened: pq.ParquetFile, path: Path) -> None:
    """Check the names of the columns, and the sizes that the footer declares."""
    check_columns(opened.schema_arrow.names, str(path))
    # Not by column: with some damaged footers, asking pyarrow for one ends the process.
    for number in range(opened.metadata.num_row_groups):
        size = opened.metadata.row_group(number).total_byte_size
        if size > _MAX_GROUP_BYTES:
            raise CorpusError(
                f"{path}: row group {number + 1} unpacks to {size} bytes; expected at "
                f"most {_MAX_GROUP_BYTES} (write smaller row groups)"
            )


def _columns_of_objects(schema: pa.Schema) -> dict[str, NestedCell]:
    import pyarrow as pa

    found = {}
    for field in schema:
        kind = field.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_nested(kind):
            found[field.name] = NestedCell(str(field.type))
    return found


def _text_columns(opened: pq.ParquetFile) -> list[str]:
    columns = (opened.schema.column(number) for number in range(len(opened.schema)))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _cell_bytes(array: pa.Array) -> NDArray[np.int64]:
    """Return how many bytes of text each cell of a column holds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type) and not pa.types.is_primitive(array.type.value_type):
        lengths = pc.fill_null(pc.binary_length(array.dictionary), 0)
        found = pc.fill_null(pc.take(lengths, array.indices), 0)
        return np.asarray(found, dtype=np.int64)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        ends = np.cumsum(np.append(0, _cell_bytes(array.values) + _ITEM_BYTES))
        sizes: NDArray[np.int64] = np.diff(ends[np.asarray(array.offsets)])
        return sizes
    return np.zeros(len(array), np.int64)


def _damage_errors() -> tuple[type[Exception], ...]:
    """Return the errors that pyarrow raises for damaged files, found by damaging some."""
    import pyarrow as pa

    return (pa.ArrowException, ValueError, OverflowError, LookupError, TypeError, MemoryError)


def _unreadable(path: Path, error: Exception) -> CorpusError:
    reason = quoted(" ".join(str(error).split()))
    return CorpusError(f"{path}: is not a readable Parquet file ({reason})")
