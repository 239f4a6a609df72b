"""Rows: an exemplar with its vector and digests, written to the table and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.corpus import Exemplar
from earful.index.storage.header import NOT_LABELS, root_of
from earful.model import Fingerprint
from earful.values import short_repr

if TYPE_CHECKING:
    import pyarrow as pa

FINGERPRINT_KEY = "earful:fingerprint"
# The columns of an exemplar, in the order of the table.
EXEMPLAR_COLUMNS = (
    "id", "audio", "start_s", "end_s", "question", "answer", "labels", "task", "split", "group",
    "licence", "meta",
)  # fmt: skip
# What a row's digest covers beside the exemplar and the vector, and the digest itself.
DIGEST_COLUMNS = ("duration_s", "file_sha256", "content_sha256", "row_sha256")
# All that makes a row and can be checked against its digest.
ROW_COLUMNS = (*EXEMPLAR_COLUMNS, "root", *DIGEST_COLUMNS, "vector")
# One more column of rows whose embedder scores classes: part of the row, and of its digest.
CLASS_SCORES: Final = "class_scores"

UNIT_TOLERANCE: Final = 1e-3  # how far the norm of a stored vector may be from 1


class AudioKey(NamedTuple):
    """The audio that a vector was made of: rows with equal keys can share one vector.

    Attributes:
        file_sha256: Hex digest of the audio file's bytes.
        start_s: Where the segment begins, in seconds.
        end_s: Where it ends; ``None`` for the end of the file.
    """

    file_sha256: str
    start_s: float
    end_s: float | None

    @classmethod
    def of(cls, file_sha256: str, exemplar: Exemplar) -> Self:
        """Make the key of an exemplar whose file has a digest."""
        return cls(file_sha256, exemplar.start_s, exemplar.end_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One exemplar with its vector, ready to be stored.

    Attributes:
        exemplar: The labelled segment; ``audio`` is relative to ``root``.
        root: Corpus root, a resolved folder.
        duration_s: Length of the segment, in seconds.
        file_sha256: Hex digest of the audio file's bytes.
        content_sha256: Hex digest of the segment's decoded audio.
        vector: float32, shape ``(dim,)``, unit norm.
        class_scores: float16, shape ``(n_classes,)``, finite logits; ``None`` without any.
    """

    exemplar: Exemplar
    root: Path
    duration_s: float
    file_sha256: str
    content_sha256: str
    vector: NDArray[np.float32]
    class_scores: NDArray[np.float16] | None = None

    __repr__ = short_repr

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row) or self._plain() != other._plain():
            return False
        arrays: Any = ((self.vector, other.vector), (self.class_scores, other.class_scores))
        return all(np.array_equal(one, its) for one, its in arrays)

    def __hash__(self) -> int:
        return hash(self._plain())

    def _plain(self) -> tuple[object, ...]:
        return self.exemplar, self.root, self.duration_s, self.file_sha256, self.content_sha256

    @property
    def audio_key(self) -> AudioKey:
        """The audio that the vector was made of."""
        return AudioKey.of(self.file_sha256, self.exemplar)


@overload
def has_unit_norm(norm: float) -> bool: ...
@overload
def has_unit_norm(norm: NDArray[np.floating]) -> NDArray[np.bool_]: ...
def has_unit_norm(norm: Any) -> Any:
    """Tell whether vectors of these norms can be stored and compared.

    >>> has_unit_norm(1.0004), has_unit_norm(1.1), has_unit_norm(float("nan"))
    (True, False, False)
    """
    # Written so that NaN is refused, too.
    return abs(norm - 1.0) <= UNIT_TOLERANCE


def to_float16(scores: NDArray[np.floating]) -> NDArray[np.float16]:
    """Round class scores to what an index keeps; what float16 cannot hold becomes its limit.

    >>> to_float16(np.array([-3.0001, 1e6, np.nan])).tolist()
    [-3.0, 65504.0, nan]
    """
    limit = float(np.finfo(np.float16).max)
    return np.asarray(np.clip(scores, -limit, limit), dtype=np.float16)


def require_storable(rows: Iterable[Row], dim: int, n_classes: int) -> None:
    """Refuse rows whose vector or class scores an index cannot hold.

    Args:
        rows: About to be stored.
        dim: Length of a vector, which must be finite and of unit norm.
        n_classes: Number of class scores, which must be finite; 0 for none at all.

    Raises:
        ValueError: A vector or scores are otherwise.
    """
    for row in rows:
        norm = float(np.linalg.norm(row.vector))
        if row.vector.shape != (dim,) or not has_unit_norm(norm):
            raise ValueError(
                f"vector of {row.exemplar.id!r}: expected shape ({dim},) and norm 1, "
                f"got shape {row.vector.shape} and norm {norm}"
            )
        if fault := _scores_fault(row.class_scores, n_classes):
            raise ValueError(f"class scores of {row.exemplar.id!r}: expected {fault}")


def table_schema(
    fingerprint: Fingerprint, n_classes: int = 0, *, not_labels: bool = False
) -> pa.Schema:
    """Return the Arrow schema of an index's table, which also names the embedder.

    Args:
        fingerprint: What makes the vectors.
        n_classes: Number of class scores of a row; 0 for none.
        not_labels: Whether there is a column for what is not there, which is the last one.
    """
    import pyarrow as pa

    def text(name: str) -> pa.Field:
        return pa.field(name, pa.string(), nullable=False)

    # Without this mark two writers can both insert the same new id, silently.
    primary = {"lance-schema:unenforced-primary-key": "true"}
    scores = pa.field(CLASS_SCORES, pa.list_(pa.float16(), n_classes), nullable=False)
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
            pa.field("vector", pa.list_(pa.float32(), fingerprint.dim), nullable=False),
            *([scores] if n_classes else []),
            *([pa.field(NOT_LABELS, pa.list_(pa.string()), nullable=False)] if not_labels else []),
        ],
        metadata={FINGERPRINT_KEY: embedder_text(fingerprint)},
    )


def embedder_text(fingerprint: Fingerprint) -> str:
    """Return the text by which a table names its embedder."""
    return json.dumps(fingerprint.to_dict(), sort_keys=True)


def n_classes_of(schema: pa.Schema) -> int:
    """Return how many class scores a row of a table has; 0 for none."""
    return int(schema.field(CLASS_SCORES).type.list_size) if CLASS_SCORES in schema.names else 0


def exemplar_digest(exemplar: Exemplar) -> str:
    """Return the hex SHA-256 over every field of an exemplar.

    >>> a = Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",))
    >>> exemplar_digest(a) == exemplar_digest(Exemplar(id="a", audio=a.audio, labels=("cat",)))
    False
    """
    return _digest(_plain(exemplar))


def row_digest(row: Row) -> str:
    """Return the hex SHA-256 over an exemplar, its audio's digests, vector and class scores."""
    return _row_digest(row, exemplar_digest(row.exemplar))


def changed_rows(
    table: pa.Table, exemplars: Sequence[Exemplar], vectors: NDArray[np.float32]
) -> list[int]:
    """Return the rows that do not match their own digests.

    Args:
        table: Has at least ``DIGEST_COLUMNS``, and class scores where the index keeps them.
        exemplars: Of its rows.
        vectors: Of its rows.
    """
    rows = _rows_with_digests(table, exemplars, vectors, [Path()] * table.num_rows)
    return [number for number, (row, wanted) in enumerate(rows) if row_digest(row) != wanted]


def to_arrow(
    rows: Sequence[Row],
    roots: Sequence[int],
    fingerprint: Fingerprint,
    n_classes: int = 0,
    *,
    not_labels: bool = False,
) -> pa.RecordBatch:
    """Turn rows into one batch.

    Args:
        rows: What to store; at least one.
        roots: Number of each row's corpus root.
        fingerprint: What made the vectors.
        n_classes: Number of class scores of each row; 0 for none.
        not_labels: Whether the table has a column for what is not there.

    Raises:
        IndexFolderError: A text is not Unicode, so no table can hold it.
    """
    import pyarrow as pa

    schema = table_schema(fingerprint, n_classes, not_labels=not_labels)
    plain = [_plain(row.exemplar) for row in rows]
    digests = [_digest(values) for values in plain]
    columns: dict[str, Any] = {name: [p[name] for p in plain] for name in EXEMPLAR_COLUMNS}
    columns["root"] = list(roots)
    columns["duration_s"] = [float(row.duration_s) for row in rows]
    columns["file_sha256"] = [row.file_sha256 for row in rows]
    columns["content_sha256"] = [row.content_sha256 for row in rows]
    columns["exemplar_sha256"] = digests
    columns["row_sha256"] = [_row_digest(*pair) for pair in zip(rows, digests, strict=True)]
    flat = np.concatenate([row.vector for row in rows]).astype(np.float32, copy=False)
    denied = [list(row.exemplar.not_labels) for row in rows]
    try:
        arrays = [pa.array(columns[f.name], type=f.type) for f in schema if f.name in columns]
        last = [pa.array(denied, type=schema.field(NOT_LABELS).type)] if not_labels else []
    except UnicodeEncodeError as error:
        shown = error.object.encode("utf-8", "backslashreplace").decode()
        raise IndexFolderError(
            f"{shown!r} is not Unicode text, so no index can hold it; rename the file, or correct "
            "the table it comes from"
        ) from error
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), fingerprint.dim))
    if n_classes:
        scores = np.concatenate([row.class_scores for row in rows if row.class_scores is not None])
        arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(scores), n_classes))
    return pa.RecordBatch.from_arrays([*arrays, *last], schema=schema)


def exemplar_columns(table: pa.Table) -> tuple[str, ...]:
    """Return the columns of a table that make an exemplar."""
    has_more = NOT_LABELS in table.schema.names
    return (*EXEMPLAR_COLUMNS, NOT_LABELS) if has_more else EXEMPLAR_COLUMNS


def exemplar_values(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Iterate over the rows of a table as ``exemplar_of`` takes them.

    Args:
        table: Has at least ``EXEMPLAR_COLUMNS``.
    """
    columns = [table.column(name).to_pylist() for name in exemplar_columns(table)]
    return zip(*columns, strict=True)


def exemplar_of(values: tuple[Any, ...]) -> Exemplar:
    """Read one exemplar.

    Raises:
        CorpusError: A field is outside its range: the row is damaged.
        ValueError: ``meta`` is not a JSON object: the row is damaged.
    """
    # The last one is only there where the table has it.
    fields: dict[str, Any] = dict(zip((*EXEMPLAR_COLUMNS, NOT_LABELS), values, strict=False))
    fields["audio"] = PurePosixPath(fields["audio"])
    fields["labels"] = tuple(fields["labels"])
    meta = json.loads(fields["meta"])
    if not isinstance(meta, dict):
        raise ValueError(f"meta: expected a JSON object, got {fields['meta']!r}")
    return Exemplar(**{**fields, "meta": meta})


def whole_rows(table: pa.Table, roots: Sequence[Path], dim: int) -> Iterator[Row]:
    """Read the rows of a table that match their own digests.

    Args:
        table: Has at least ``ROW_COLUMNS``, and class scores where the index keeps them.
        roots: Corpus roots, as rows number them.
        dim: Length of a vector.

    Raises:
        CorpusError: A field is outside its range: the row is damaged.
        ValueError: ``meta`` is not a JSON object: the row is damaged.
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """
    exemplars = map(exemplar_of, exemplar_values(table))
    places = (root_of(roots, number) for number in table.column("root").to_pylist())
    rows = _rows_with_digests(table, exemplars, vectors_of(table, dim), places)
    return (row for row, wanted in rows if row_digest(row) == wanted)


def numbers_of(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return an array of numbers without a null; ``to_numpy`` would import pandas, if there is."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    found = [
        np.frombuffer(one.buffers()[1], dtype)[one.offset : one.offset + len(one)]
        for one in getattr(column, "chunks", [column])
        if len(one)
    ]
    return found[0] if len(found) == 1 else np.concatenate([np.empty(0, dtype), *found])


def vectors_of(table: pa.Table | pa.RecordBatch, dim: int) -> NDArray[np.float32]:
    """Read the vectors of a table as float32, shape ``(n, dim)``."""
    column = _in_one_piece(table.column("vector"))
    if not (column.offset or column.null_count):
        # As they lie, which for a mapped file means unread.
        values = np.asarray(numbers_of(column.values), dtype=np.float32)
        return values[: len(column) * dim].reshape(-1, dim)
    return np.asarray(numbers_of(column.flatten()), dtype=np.float32).reshape(len(column), dim)


def class_scores_of(table: pa.Table | pa.RecordBatch) -> NDArray[np.float16] | None:
    """Read the class scores of a table as float16, shape ``(n, n_classes)``.

    Those of a row that has none are NaN; a table without the column gives ``None``.
    """
    if CLASS_SCORES not in table.schema.names:
        return None
    column = _in_one_piece(table.column(CLASS_SCORES))
    n_classes = column.type.list_size
    if not (column.offset or column.null_count or column.values.null_count):
        values: NDArray[np.float16] = numbers_of(column.values)
        return values[: len(column) * n_classes].reshape(-1, n_classes)
    # A missing row is no part of what flatten gives.
    flat = column.flatten().fill_null(np.float16(np.nan)).to_numpy(zero_copy_only=False)
    found = np.asarray(flat, dtype=np.float16).reshape(-1, n_classes)
    if not column.null_count:
        return found
    scores = np.full((len(column), n_classes), np.nan, dtype=np.float16)
    scores[column.is_valid().to_numpy(zero_copy_only=False)] = found
    return scores


def _in_one_piece(column: Any) -> Any:
    """Return a column of a table or a batch as one array."""
    if not hasattr(column, "chunks"):
        return column
    # Joining the pieces loads Arrow's functions, which takes longer than an answer.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def label_names(table: pa.Table) -> set[str]:
    """Return the distinct labels of a table that has at least ``labels``."""
    return set(table.column("labels").combine_chunks().flatten().unique().to_pylist())


def _scores_fault(scores: NDArray[np.float16] | None, n_classes: int) -> str:
    expected = f"float16 of shape ({n_classes},)" if n_classes else "none"
    got = "none" if scores is None else f"{scores.dtype} of shape {scores.shape}"
    if got != expected:
        return f"{expected}, got {got}"
    return "" if scores is None or np.isfinite(scores).all() else "finite numbers"


def _rows_with_digests(
    table: pa.Table,
    exemplars: Iterable[Exemplar],
    vectors: Iterable[NDArray[np.float32]],
    roots: Iterable[Path],
) -> Iterator[tuple[Row, str]]:
    """Yield the rows of a table, and the digest that each should have."""
    columns = [table.column(name).to_pylist() for name in DIGEST_COLUMNS]
    known = class_scores_of(table)
    scores = [None] * table.num_rows if known is None else known
    for exemplar, vector, own, root, duration_s, file_sha256, content_sha256, wanted in zip(
        exemplars, vectors, scores, roots, *columns, strict=True
    ):
        row = Row(
            exemplar=exemplar,
            root=root,
            duration_s=duration_s,
            file_sha256=file_sha256,
            content_sha256=content_sha256,
            vector=vector,
            class_scores=own,
        )
        yield row, wanted


def _plain(exemplar: Exemplar) -> dict[str, Any]:
    # A row that denies nothing keeps the digest that it had before there was such a field.
    denied = {NOT_LABELS: list(exemplar.not_labels)} if exemplar.not_labels else {}
    return (
        denied
        | {name: getattr(exemplar, name) for name in EXEMPLAR_COLUMNS}
        | {
            "audio": str(exemplar.audio),
            # Floats, as they come back: an int would have another digest.
            "start_s": float(exemplar.start_s),
            "end_s": None if exemplar.end_s is None else float(exemplar.end_s),
            "labels": list(exemplar.labels),
            "meta": json.dumps(dict(exemplar.meta), sort_keys=True, ensure_ascii=False),
        }
    )


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _row_digest(row: Row, exemplar_sha256: str) -> str:
    digest = hashlib.sha256(exemplar_sha256.encode())
    digest.update(f"{float(row.duration_s)!r} {row.file_sha256} {row.content_sha256} ".encode())
    digest.update(np.ascontiguousarray(row.vector, dtype="<f4").tobytes())
    if row.class_scores is not None:
        digest.update(np.ascontiguousarray(row.class_scores, dtype="<f2").tobytes())
    return digest.hexdigest()
