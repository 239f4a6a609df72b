"""Rows: an exemplar with its vector and digests, written to the table and read back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.corpus import Exemplar
from earful.model import Fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

FINGERPRINT_KEY = "earful:fingerprint"
# The columns of an exemplar, in the order of the table.
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
# What a row's digest covers beside the exemplar and the vector, and the digest itself.
DIGEST_COLUMNS = ("duration_s", "file_sha256", "content_sha256", "row_sha256")
# All that makes a row and can be checked against its digest.
ROW_COLUMNS = (*EXEMPLAR_COLUMNS, "root", *DIGEST_COLUMNS, "vector")

UNIT_TOLERANCE: Final = 1e-3
"""How far the norm of a stored vector may be from 1."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One exemplar with its vector, ready to be stored.

    Attributes:
        exemplar: The labelled segment; ``audio`` is relative to ``root``.
        root: Corpus root, a resolved folder.
        duration_s: Length of the segment, in seconds.
        file_sha256: Hex digest of the audio file's bytes.
        content_sha256: Hex digest of the segment's decoded audio.
        vector: float32, shape ``(dim,)``, unit norm.
    """

    exemplar: Exemplar
    root: Path
    duration_s: float
    file_sha256: str
    content_sha256: str
    vector: NDArray[np.float32]

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


def require_unit_vectors(rows: Iterable[Row], dim: int) -> None:
    """Refuse rows whose vector is not finite, not of unit norm or of another length.

    Raises:
        ValueError: A vector is one of these.
    """
    for row in rows:
        norm = float(np.linalg.norm(row.vector))
        if row.vector.shape != (dim,) or not has_unit_norm(norm):
            raise ValueError(
                f"vector of {row.exemplar.id!r}: expected shape ({dim},) and norm 1, "
                f"got shape {row.vector.shape} and norm {norm}"
            )


def table_schema(fingerprint: Fingerprint) -> pa.Schema:
    """Return the Arrow schema of an index's table, which also names the embedder.

    Args:
        fingerprint: What makes the vectors.
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
            pa.field("vector", pa.list_(pa.float32(), fingerprint.dim), nullable=False),
        ],
        metadata={FINGERPRINT_KEY: json.dumps(fingerprint.to_dict(), sort_keys=True)},
    )


def exemplar_digest(exemplar: Exemplar) -> str:
    """Return the hex SHA-256 over every field of an exemplar.

    >>> a = Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",))
    >>> exemplar_digest(a) == exemplar_digest(Exemplar(id="a", audio=a.audio, labels=("cat",)))
    False
    """
    return _digest(_plain(exemplar))


def row_digest(row: Row) -> str:
    """Return the hex SHA-256 over an exemplar, its audio's digests and its vector."""
    return _row_digest(row, exemplar_digest(row.exemplar))


def changed_rows(
    table: pa.Table, exemplars: Sequence[Exemplar], vectors: NDArray[np.float32]
) -> list[int]:
    """Return the rows that do not match their own digests.

    Args:
        table: Has at least ``DIGEST_COLUMNS``.
        exemplars: Of its rows.
        vectors: Of its rows.
    """
    rows = _rows_with_digests(table, exemplars, vectors, [Path()] * table.num_rows)
    return [number for number, (row, wanted) in enumerate(rows) if row_digest(row) != wanted]


def to_arrow(rows: Sequence[Row], roots: Sequence[int], fingerprint: Fingerprint) -> pa.RecordBatch:
    """Turn rows into one batch.

    Args:
        rows: What to store; at least one.
        roots: Number of each row's corpus root.
        fingerprint: What made the vectors.

    Raises:
        IndexFolderError: A text is not Unicode, so no table can hold it.
    """
    import pyarrow as pa

    schema = table_schema(fingerprint)
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
    try:
        arrays = [pa.array(columns[f.name], type=f.type) for f in schema if f.name != "vector"]
    except UnicodeEncodeError as error:
        shown = error.object.encode("utf-8", "backslashreplace").decode()
        raise IndexFolderError(
            f"{shown!r} is not Unicode text, so no index can hold it; rename the file, or correct "
            "the table it comes from"
        ) from error
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), fingerprint.dim))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def exemplar_values(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Iterate over the rows of a table as ``exemplar_of`` takes them.

    Args:
        table: Has at least ``EXEMPLAR_COLUMNS``.
    """
    columns = [table.column(name).to_pylist() for name in EXEMPLAR_COLUMNS]
    return zip(*columns, strict=True)


def exemplar_of(values: tuple[Any, ...]) -> Exemplar:
    """Read one exemplar.

    Raises:
        CorpusError: A field is outside its range: the row is damaged.
        ValueError: ``meta`` is not a JSON object: the row is damaged.
    """
    fields: dict[str, Any] = dict(zip(EXEMPLAR_COLUMNS, values, strict=True))
    fields["audio"] = PurePosixPath(fields["audio"])
    fields["labels"] = tuple(fields["labels"])
    meta = json.loads(fields["meta"])
    if not isinstance(meta, dict):
        raise ValueError(f"meta: expected a JSON object, got {fields['meta']!r}")
    fields["meta"] = MappingProxyType(meta)
    return Exemplar(**fields)


def whole_rows(table: pa.Table, roots: Sequence[Path], dim: int) -> Iterator[Row]:
    """Read the rows of a table that match their own digests.

    Args:
        table: Has at least ``ROW_COLUMNS``.
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


def root_of(roots: Sequence[Path], number: int) -> Path:
    """Return the corpus root that a row names.

    Raises:
        IndexError: The header lacks it: header and table do not belong together.
    """
    if not 0 <= number < len(roots):
        raise IndexError(f"it names corpus root {number}; the header has {len(roots)}")
    return roots[number]


def audio_paths(table: pa.Table, roots: Sequence[Path]) -> list[Path]:
    """Resolve the audio path of each row of a table; each folder is looked at once.

    Args:
        table: Has at least ``audio`` and ``root``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """
    folders: dict[str, str] = {}
    paths: list[Path] = []
    numbers, names = (table.column(name).to_pylist() for name in ("root", "audio"))
    for number, name in zip(numbers, names, strict=True):
        folder, file = os.path.split(os.path.join(root_of(roots, number), name))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        path = os.path.join(folders[folder], file)
        paths.append(Path(os.path.realpath(path) if os.path.islink(path) else path))
    return paths


def vectors_of(table: pa.Table | pa.RecordBatch, dim: int) -> NDArray[np.float32]:
    """Read the vectors of a table as float32, shape ``(n, dim)``."""
    column = table.column("vector")
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), dim)


def label_names(table: pa.Table) -> set[str]:
    """Return the distinct labels of a table that has at least ``labels``."""
    return set(table.column("labels").combine_chunks().flatten().unique().to_pylist())


def _rows_with_digests(
    table: pa.Table,
    exemplars: Iterable[Exemplar],
    vectors: Iterable[NDArray[np.float32]],
    roots: Iterable[Path],
) -> Iterator[tuple[Row, str]]:
    """Yield the rows of a table, and the digest that each should have."""
    columns = [table.column(name).to_pylist() for name in DIGEST_COLUMNS]
    for exemplar, vector, root, duration_s, file_sha256, content_sha256, wanted in zip(
        exemplars, vectors, roots, *columns, strict=True
    ):
        row = Row(
            exemplar=exemplar,
            root=root,
            duration_s=duration_s,
            file_sha256=file_sha256,
            content_sha256=content_sha256,
            vector=vector,
        )
        yield row, wanted


def _plain(exemplar: Exemplar) -> dict[str, Any]:
    return {
        "id": exemplar.id,
        "audio": str(exemplar.audio),
        # Floats, as they come back: an int would have another digest.
        "start_s": float(exemplar.start_s),
        "end_s": None if exemplar.end_s is None else float(exemplar.end_s),
        "question": exemplar.question,
        "answer": exemplar.answer,
        "labels": list(exemplar.labels),
        "task": exemplar.task,
        "split": exemplar.split,
        "group": exemplar.group,
        "licence": exemplar.licence,
        "meta": json.dumps(dict(exemplar.meta), sort_keys=True, ensure_ascii=False),
    }


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _row_digest(row: Row, exemplar_sha256: str) -> str:
    digest = hashlib.sha256(exemplar_sha256.encode())
    digest.update(f"{float(row.duration_s)!r} {row.file_sha256} {row.content_sha256} ".encode())
    digest.update(np.ascontiguousarray(row.vector, dtype="<f4").tobytes())
    return digest.hexdigest()
