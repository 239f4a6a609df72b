"""Batches of finished rows: their digests computed again, and columns fitted to a table.

A row that was made elsewhere counts only when its own digests match. Whole columns are compared
where they can be, and of each row only its text and its vector are hashed: objects as
``earful.index.storage.schema`` makes them would take several times as long.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.storage import (
    CLASS_SCORES,
    EXEMPLAR_COLUMNS,
    NOT_LABELS,
    IndexFolder,
    class_scores_of,
    has_unit_norm,
    table_schema,
    vectors_of,
)
from earful.wording import counted, quoted

if TYPE_CHECKING:
    import pyarrow as pa

# As json.dumps(..., sort_keys=True), without an encoder made for each row.
_ENCODE = json.JSONEncoder(sort_keys=True).encode
_SHA256 = ("file_sha256", "content_sha256")


def require_whole(batch: pa.RecordBatch, *, where: str) -> None:
    """Compare every row of a batch with its own digests.

    Args:
        batch: Of ``table_schema``, from anywhere.
        where: What it is of, for the error.

    Raises:
        IndexFolderError: A row is not what was once made, or no index can hold it.
    """
    if not batch.num_rows:
        return
    if gaps := [f.name for f in batch.schema if not f.nullable and batch.column(f.name).null_count]:
        raise IndexFolderError(f"{where}: column {gaps[0]} has gaps; expected a value in each row")
    vectors, scores = vectors_of(batch, _dim(batch)), class_scores_of(batch)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    whole = has_unit_norm(norms) & (np.isfinite(scores).all(axis=1) if scores is not None else True)
    exemplars = exemplar_digests(batch)
    wanted = batch.column("exemplar_sha256").to_pylist()
    whole &= np.array([found == one for found, one in zip(exemplars, wanted, strict=True)])
    found = row_digests(batch, exemplars, vectors, scores)
    wanted = batch.column("row_sha256").to_pylist()
    whole &= np.array([one == other for one, other in zip(found, wanted, strict=True)])
    if not whole.all():
        first = batch.column("id")[int(np.argmin(whole))].as_py()
        n = int((~whole).sum())
        raise IndexFolderError(
            f"{where}: {counted(n, 'row does', 'rows do')} not match their own digests, the first "
            f"is {quoted(first)}: expected what was once written. Make this part anew"
        )


def exemplar_digests(batch: pa.RecordBatch) -> list[str]:
    """Return the hex SHA-256 over each row's exemplar, as ``exemplar_digest`` does."""
    columns = [batch.column(name).to_pylist() for name in EXEMPLAR_COLUMNS]
    rows = [
        dict(zip(EXEMPLAR_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    if NOT_LABELS in batch.schema.names:
        for row, denied in zip(rows, batch.column(NOT_LABELS).to_pylist(), strict=True):
            # A row that denies nothing has the digest that it had before there was such a field.
            if denied:
                row[NOT_LABELS] = denied
    return [hashlib.sha256(_ENCODE(row).encode()).hexdigest() for row in rows]


def row_digests(
    batch: pa.RecordBatch,
    exemplars: Sequence[str],
    vectors: NDArray[np.float32],
    scores: NDArray[np.float16] | None,
) -> list[str]:
    """Return the hex SHA-256 over each row, as ``row_digest`` does.

    Args:
        batch: Has at least the length of the audio and its digests.
        exemplars: Digest of each row's exemplar.
        vectors: float32, shape ``(n, dim)``.
        scores: float16, shape ``(n, n_classes)``; ``None`` without any.
    """
    lengths = batch.column("duration_s").to_pylist()
    files, contents = (batch.column(name).to_pylist() for name in _SHA256)
    numbers = np.ascontiguousarray(vectors, dtype="<f4")
    own = None if scores is None else np.ascontiguousarray(scores, dtype="<f2")
    digests = []
    for row, (exemplar, length_s, file, content) in enumerate(
        zip(exemplars, lengths, files, contents, strict=True)
    ):
        digest = hashlib.sha256(f"{exemplar}{length_s!r} {file} {content} ".encode())
        digest.update(numbers[row].data)
        if own is not None:
            digest.update(own[row].data)
        digests.append(digest.hexdigest())
    return digests


def denies_any(batch: pa.RecordBatch) -> bool:
    """Tell whether a row of a batch says what is not there."""
    return NOT_LABELS in batch.schema.names and bool(len(batch.column(NOT_LABELS).flatten()))


def fitted(batch: pa.RecordBatch, schema: pa.Schema, *, root: int | None = None) -> pa.RecordBatch:
    """Return a batch with the columns of a table, in their order.

    Args:
        batch: May lack the column for what is not there, or have it empty.
        schema: Of the table.
        root: Number of the corpus root of all rows; ``None`` to keep what they have.
    """
    import pyarrow as pa

    def column(field: pa.Field) -> Any:
        if field.name == "root" and root is not None:
            return pa.array(np.full(batch.num_rows, root, dtype=np.int32))
        if field.name == NOT_LABELS and NOT_LABELS not in batch.schema.names:
            return pa.array([[]] * batch.num_rows, type=field.type)
        return batch.column(field.name)

    return pa.RecordBatch.from_arrays([column(field) for field in schema], schema=schema)


def schema_of(index: IndexFolder) -> pa.Schema:
    """Return the columns that the table of an index has now."""
    return table_schema(index.fingerprint, index.n_classes, not_labels=index.table.has_not_labels)


def add_fitted(
    index: IndexFolder,
    batches: Sequence[pa.RecordBatch],
    *,
    root: int | None = None,
    replaces_any: bool,
) -> None:
    """Insert batches into a table in one commit, with the column for what is not there if need be.

    Args:
        index: The index, whose writer lock is held.
        batches: Whole rows.
        root: As for ``fitted``.
        replaces_any: As for ``IndexFolder.add_batches``.

    Raises:
        IndexFolderError: The index cannot be written; no row is changed.
    """
    if any(map(denies_any, batches)):
        index.take_not_labels()
    schema = schema_of(index)
    index.add_batches(
        [fitted(batch, schema, root=root) for batch in batches], replaces_any=replaces_any
    )


def with_column(batch: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    """Return a batch with other values in one column."""
    import pyarrow as pa

    at = batch.schema.get_field_index(name)
    columns = list(batch.columns)
    columns[at] = pa.array(values, type=batch.schema.field(at).type)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _dim(batch: pa.RecordBatch) -> int:
    return int(batch.schema.field("vector").type.list_size)


def n_classes_in(batch: pa.RecordBatch) -> int:
    """Return how many class scores a row of a batch has; 0 for none."""
    names = batch.schema.names
    return int(batch.schema.field(CLASS_SCORES).type.list_size) if CLASS_SCORES in names else 0
