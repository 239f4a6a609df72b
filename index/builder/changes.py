"""What a build changed, and what it left in doubt: new labels of known rows, labels that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.index.storage import AudioKey, IndexedRow, IndexFolder, Row

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A row that took the place of one with its id.

    Attributes:
        id: Its id.
        before: The labels that the row had.
        after: Those that it has now.
        same_audio: Whether its audio is what it was.
    """

    id: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    same_audio: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "id": self.id,
            "before": list(self.before),
            "after": list(self.after),
            "same_audio": self.same_audio,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """Recordings of an index that stand in several rows whose labels differ.

    Attributes:
        n: How many recordings.
        rows: Ids and labels of the rows of the first ten, by recording.
    """

    n: int = 0
    rows: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        named = [[{"id": id_, "labels": list(own)} for id_, own in rows] for rows in self.rows]
        return {"n": self.n, "first": named}


def find_replaced(
    index: IndexFolder, indexed: Mapping[str, IndexedRow], rows: Sequence[Row]
) -> list[Replaced]:
    """Compare rows that are about to be stored with those of the same ids.

    Args:
        index: The index.
        indexed: Its rows by id.
        rows: About to be stored.

    Returns:
        One for each known id, in the order of the rows; a stored row that is damaged is passed
        over, because it is mended by being replaced.
    """
    audio_of: dict[str, AudioKey] = {}
    for row in rows:
        if (known := indexed.get(row.exemplar.id)) is not None:
            audio_of[row.exemplar.id] = known.audio_key
    if not audio_of:
        return []
    stored = index.rows(audio_of)
    return [
        Replaced(
            id=row.exemplar.id,
            before=before.exemplar.labels,
            after=row.exemplar.labels,
            same_audio=audio_of[row.exemplar.id] == row.audio_key,
        )
        for row in rows
        if (before := stored.get(row.exemplar.id)) is not None
    ]


def find_contested(index: IndexFolder) -> Contested:
    """Find the recordings of an index that stand in several rows whose labels differ.

    Rows without labels, such as captions, contest nothing. Sixteen bytes a row are held.
    """
    contents, labels = index.table.consume(("content_sha256", "labels"), _hashes)
    order = np.lexsort((labels, contents))
    contents, labels = contents[order], labels[order]
    differs = (contents[1:] == contents[:-1]) & (labels[1:] != labels[:-1])
    found = np.unique(contents[1:][differs])
    if not found.size:
        return Contested()
    named = set(found[:_MOST_NAMED].tolist())

    def name(batches: Iterator[pa.RecordBatch]) -> list[tuple[str, str, tuple[str, ...]]]:
        return [
            (content, id_, tuple(own))
            for batch in batches
            for content, own, id_ in _columns(batch, "content_sha256", "labels", "id")
            if own and _hash(content) in named
        ]

    together: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for content, id_, own in index.table.consume(("content_sha256", "labels", "id"), name):
        together.setdefault(content, []).append((id_, own))
    return Contested(
        n=int(found.size), rows=tuple(sorted(tuple(sorted(rows)) for rows in together.values()))
    )


def _hashes(
    batches: Iterator[pa.RecordBatch],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a hash of the audio and one of the labels of each row that has both."""
    parts = [np.empty((0, 2), dtype=np.int64)]
    for batch in batches:
        pairs = [
            (_hash(content), hash(frozenset(labels)))
            for content, labels in _columns(batch, "content_sha256", "labels")
            if content and labels
        ]
        if pairs:
            parts.append(np.array(pairs, dtype=np.int64))
    both = np.concatenate(parts)
    return both[:, 0], both[:, 1]


def _columns(batch: pa.RecordBatch, *names: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _hash(content: str) -> int:
    return hash(content)
