"""Scans of all rows that hold a batch of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.index.storage import (
    Table,
    changed_rows,
    exemplar_of,
    exemplar_values,
    has_unit_norm,
    vectors_of,
)

if TYPE_CHECKING:
    import pyarrow as pa


def check_rows(table: Table, dim: int) -> None:
    """Compare all rows with their own digests, unless their files were compared already.

    Args:
        table: Of any size: rows are read in batches.
        dim: Length of a vector.

    Raises:
        IndexFolderError: A row or a file of the table is damaged.
    """
    if table.check():
        return

    def take(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            checked_vectors(batch, dim, False)

    table.consume(table.row_columns, take)


def contents_among(table: Table, contents: Set[str]) -> set[str]:
    """Return which of some digests of audio are those of a row.

    Raises:
        IndexFolderError: A file of the table is damaged or gone.
    """
    if not contents:
        return set()
    return table.consume(
        ["content_sha256"],
        lambda batches: {
            content
            for batch in batches
            for content in batch.column("content_sha256").to_pylist()
            if content in contents
        },
    )


def checked_vectors(batch: pa.RecordBatch, dim: int, is_whole: bool) -> NDArray[np.float32]:
    """Return the vectors of rows, which are compared with their digests unless ``is_whole``.

    Raises:
        ValueError: A row is damaged.
    """
    import pyarrow as pa

    vectors = vectors_of(batch, dim)
    if not is_whole:
        rows = pa.Table.from_batches([batch])
        exemplars = [exemplar_of(values) for values in exemplar_values(rows)]
        if changed := changed_rows(rows, exemplars, vectors):
            raise ValueError(f"{exemplars[changed[0]].id!r} does not match its own digest")
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not has_unit_norm(norms).all():
        raise ValueError("a vector is not finite or not of unit norm")
    return vectors
