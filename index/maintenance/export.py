"""Export: an index's rows as CSV or Parquet, for other programs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import IndexFolderError
from earful.index.storage import CLASS_SCORES
from earful.system import replace_file

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.index import Index

_COLUMNS = ("root", "duration_s", "file_sha256", "content_sha256")
# Characters that a spreadsheet reads as the beginning of a formula: some accept full-width
# signs, too, and some skip a line end.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def export_index(index: Index, target: str | os.PathLike[str]) -> int:
    """Write every row, ordered by id, to CSV or Parquet.

    CSV has no vectors and no class scores; labels are joined with ``|``, and a text that a
    spreadsheet would read as a formula gets a ``'`` in front. Parquet has every column as
    stored. ``root`` is the folder that ``audio`` is relative to.

    Args:
        index: An open index.
        target: A path that ends in ``.csv`` or ``.parquet``; an existing file is replaced.

    Returns:
        How many rows were written.

    Raises:
        IndexFolderError: The path ends in something else, or the file cannot be written.
    """
    target = Path(target)
    kind = target.suffix.lower()
    if kind not in {".csv", ".parquet"}:
        raise IndexFolderError(f"{target}: expected .csv or .parquet, got {kind or 'no ending'}")
    names = [*index.exemplar_columns, *_COLUMNS]
    if kind == ".parquet":
        names += ["vector", *([CLASS_SCORES] if index.n_classes else [])]
    table = _with_root_paths(index, index.read_table(names))
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if kind == ".csv":
            _write_csv(table, beside)
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, beside)
        replace_file(beside, target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise IndexFolderError(
            f"{target}: cannot be written ({error.strerror or error})"
        ) from error
    return int(table.num_rows)


def formula_safe(text: str) -> str:
    """Prefix a text that a spreadsheet would read as a formula with ``'``.

    >>> formula_safe("=1+1"), formula_safe("rain")
    ("'=1+1", 'rain')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _with_root_paths(index: Index, table: pa.Table) -> pa.Table:
    import pyarrow as pa

    roots = [str(root) for root in index.roots()]
    paths = pa.array([roots[n] for n in table.column("root").to_pylist()], type=pa.string())
    return table.set_column(table.schema.get_field_index("root"), "root", paths)


def _write_csv(table: pa.Table, path: Path) -> None:
    import csv

    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        for batch in table.to_batches():
            writer.writerows([_cell(value) for value in row.values()] for row in batch.to_pylist())


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = "|".join(value)
    return formula_safe(value) if isinstance(value, str) else value
