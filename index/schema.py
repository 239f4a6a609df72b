"""How an exemplar with its vector becomes a row of the table, and comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.index.exemplar import Exemplar

if TYPE_CHECKING:
    import pyarrow as pa

# Columns that make up an exemplar, in the order of the table.
EXEMPLAR_COLUMNS = (
    "id",
    "audio",
    "start_s",
    "end_s",
    "question",
    "answer",
    "labels",
    "task",
    "split",
    "group",
    "licence",
    "meta",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One exemplar with its vector, ready to be stored.

    Attributes:
        exemplar: The labelled stretch; ``audio`` is relative to ``root``.
        root: Corpus root, a resolved folder.
        duration_s: Length of the stretch, in seconds.
        file_sha256: Hex digest of the audio file's bytes.
        content_sha256: Hex digest of the stretch's decoded audio.
        vector: float32, shape ``(dim,)``, unit norm.
    """

    exemplar: Exemplar
    root: Path
    duration_s: float
    file_sha256: str
    content_sha256: str
    vector: NDArray[np.float32]


def table_schema(dim: int) -> pa.Schema:
    """Return the Arrow schema of an index's table.

    Args:
        dim: Length of a vector.
    """
    import pyarrow as pa

    def text(name: str) -> pa.Field:
        return pa.field(name, pa.string(), nullable=False)

    # Without this mark two writers can both insert the same new id, silently.
    primary = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=primary),
            text("audio"),
            pa.field("start_s", pa.float64(), nullable=False),
            pa.field("end_s", pa.float64()),
            text("question"),
            text("answer"),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            text("task"),
            text("split"),
            text("group"),
            text("licence"),
            text("meta"),
            pa.field("root", pa.int32(), nullable=False),
            pa.field("duration_s", pa.float64(), nullable=False),
            text("file_sha256"),
            text("content_sha256"),
            text("exemplar_sha256"),
            text("row_sha256"),
            pa.field("vector", pa.list_(pa.float32(), dim), nullable=False),
        ]
    )


def exemplar_digest(exemplar: Exemplar) -> str:
    """Return the hex SHA-256 over every field of an exemplar.

    >>> a = Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",))
    >>> exemplar_digest(a) == exemplar_digest(a)
    True
    """
    return hashlib.sha256(json.dumps(_plain(exemplar), sort_keys=True).encode()).hexdigest()


def row_digest(row: Row) -> str:
    """Return the hex SHA-256 over an exemplar, its audio's digests and its vector."""
    digest = hashlib.sha256(exemplar_digest(row.exemplar).encode())
    digest.update(row.file_sha256.encode())
    digest.update(row.content_sha256.encode())
    digest.update(np.ascontiguousarray(row.vector, dtype="<f4").tobytes())
    return digest.hexdigest()


def _plain(exemplar: Exemplar) -> dict[str, Any]:
    return {
        "id": exemplar.id,
        "audio": str(exemplar.audio),
        "start_s": exemplar.start_s,
        "end_s": exemplar.end_s,
        "question": exemplar.question,
        "answer": exemplar.answer,
        "labels": list(exemplar.labels),
        "task": exemplar.task,
        "split": exemplar.split,
        "group": exemplar.group,
        "licence": exemplar.licence,
        "meta": json.dumps(dict(exemplar.meta), sort_keys=True, ensure_ascii=False),
    }


def to_arrow(rows: Sequence[Row], roots: Sequence[int], dim: int) -> pa.RecordBatch:
    """Turn rows into one batch.

    Args:
        rows: What to store.
        roots: Number of each row's corpus root.
        dim: Length of a vector.
    """
    import pyarrow as pa

    schema = table_schema(dim)
    plain = [_plain(row.exemplar) for row in rows]
    columns: dict[str, Any] = {name: [p[name] for p in plain] for name in EXEMPLAR_COLUMNS}
    columns["root"] = list(roots)
    columns["duration_s"] = [row.duration_s for row in rows]
    columns["file_sha256"] = [row.file_sha256 for row in rows]
    columns["content_sha256"] = [row.content_sha256 for row in rows]
    columns["exemplar_sha256"] = [exemplar_digest(row.exemplar) for row in rows]
    columns["row_sha256"] = [row_digest(row) for row in rows]
    flat = np.concatenate([row.vector for row in rows]) if rows else np.empty(0, np.float32)
    arrays = [
        pa.array(columns[field.name], type=field.type) for field in schema if field.name != "vector"
    ]
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat, type=pa.float32()), dim))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def exemplars_of(table: pa.Table) -> Iterator[Exemplar]:
    """Read the exemplars of a table that has at least ``EXEMPLAR_COLUMNS``."""
    columns = [table.column(name).to_pylist() for name in EXEMPLAR_COLUMNS]
    for values in zip(*columns, strict=True):
        fields: dict[str, Any] = dict(zip(EXEMPLAR_COLUMNS, values, strict=True))
        fields["audio"] = PurePosixPath(fields["audio"])
        fields["labels"] = tuple(fields["labels"])
        fields["meta"] = MappingProxyType(json.loads(fields["meta"]))
        yield Exemplar(**fields)


def vectors_of(table: pa.Table, dim: int) -> NDArray[np.float32]:
    """Read the vectors of a table as float32, shape ``(n, dim)``."""
    column = table.column("vector").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), dim)
