"""Row lookup: which rows are already indexed, so that a build can skip them.

An index may have millions of rows, so the lookup holds columns, some 130 bytes a row with
digests in binary, and finds rows by sorted hashes; a dictionary of objects takes four times
that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.storage.schema import AudioKey, Row, exemplar_digest, root_of

if TYPE_CHECKING:
    import pyarrow as pa

LOOKUP_COLUMNS = ("id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256")

# New rows are kept as objects until there are this many; then they become columns.
_MOST_RECENT: Final = 1024
_HEX_DIGITS: Final = 64
_NOT_HEX: Final = b"\xff" * 33


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedRow:
    """A stored row without its texts and its vector.

    Attributes:
        root: Corpus root the row came from, where it lies now.
        audio_key: The audio that was embedded.
        exemplar_sha256: Digest of all the exemplar's fields.
    """

    root: Path
    audio_key: AudioKey
    exemplar_sha256: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return what the lookup holds of a row once it is stored."""
        return cls(
            root=row.root,
            audio_key=row.audio_key,
            exemplar_sha256=exemplar_digest(row.exemplar),
        )


class IndexedRows(Mapping[str, IndexedRow]):
    """The rows of an index by id; grows, and may be read in other threads meanwhile.

    Args:
        rows: The rows that there are at first, with their ids.
    """

    def __init__(self, rows: Iterable[tuple[str, IndexedRow]] = ()) -> None:
        self._roots: list[Path] = []
        # Replaced as one, so that a reader never sees half of a change.
        self._state: tuple[tuple[_Columns, ...], dict[str, IndexedRow], dict[AudioKey, str]]
        some: list[tuple[str, IndexedRow]] = []
        parts: tuple[_Columns, ...] = ()
        for pair in rows:
            some.append(pair)
            if len(some) == _MOST_RECENT:
                parts = _with_part(parts, _Columns.of(some, self._roots))
                some = []
        self._state = (_with_part(parts, _Columns.of(some, self._roots)), {}, {})

    def __len__(self) -> int:
        parts, recent, _ = self._state
        return sum(map(len, parts)) + sum(_found(parts, id_) is None for id_ in recent)

    def __iter__(self) -> Iterator[str]:
        parts, recent, _ = self._state
        for part in parts:
            yield from part.ids()
        yield from [id_ for id_ in recent if _found(parts, id_) is None]

    def __getitem__(self, id_: str) -> IndexedRow:
        parts, recent, _ = self._state
        if id_ in recent:
            return recent[id_]
        if (found := _found(parts, id_)) is None:
            raise KeyError(id_)
        part, place = found
        return part.row(place, self._roots)

    def __contains__(self, id_: object) -> bool:
        parts, recent, _ = self._state
        return id_ in recent or (isinstance(id_, str) and _found(parts, id_) is not None)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every corpus root that a row has or had."""
        return tuple(self._roots)

    def holder(self, key: AudioKey) -> str | None:
        """Return the id of a row that holds the vector of some audio, or ``None``."""
        parts, recent, by_audio = self._state
        newest = by_audio.get(key)
        if newest is not None:
            if recent[newest].audio_key == key:
                return newest
            # That row was given other audio since; an earlier one may still have this.
            for id_, row in recent.items():
                if row.audio_key == key:
                    return id_
        for part in parts:
            for place in part.find_audio(key):
                id_ = part.id_at(place)
                if id_ not in recent:  # which would have other audio by now
                    return id_
        return None

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows that have been stored; a row with a known id replaces that one."""
        parts, recent, by_audio = self._state
        for row in rows:
            indexed = IndexedRow.of(row)
            if indexed.root not in self._roots:
                self._roots.append(indexed.root)
            recent[row.exemplar.id] = indexed
            by_audio[indexed.audio_key] = row.exemplar.id
        if len(recent) >= _MOST_RECENT:
            kept = tuple(part.without(recent) for part in parts)
            added = _Columns.of(list(recent.items()), self._roots)
            self._state = (_with_part(kept, added), {}, {})

    def require_no_clash(self, rows: Iterable[Row], folder: Path) -> None:
        """Accept rows whose ids are new, or replace a row of the same corpus.

        Args:
            rows: About to be stored.
            folder: The index folder, for the error.

        Raises:
            IndexFolderError: An id occurs twice, or belongs to another corpus root.
        """
        seen: set[str] = set()
        for row in rows:
            id_ = row.exemplar.id
            if id_ in seen:
                raise IndexFolderError(f"{folder}: id {id_!r} occurs twice among the new rows")
            seen.add(id_)
            if id_ in self and (root := self[id_].root) != row.root:
                raise IndexFolderError(
                    f"{folder}: id {id_!r} belongs to a row from {root}, and now comes from "
                    f"{row.root}; give it another id, or remove the old row first"
                )


def _with_part(parts: tuple[_Columns, ...], added: _Columns) -> tuple[_Columns, ...]:
    """Append a part; join parts so that each is more than twice as large as the next.

    This leaves few parts to search, and joining two seldom copies much beside all that
    there is.
    """
    while parts and len(parts[-1]) <= 2 * len(added):
        *others, last = parts
        parts, added = tuple(others), _Columns.joined([last, added])
    return (*parts, added)


def _found(parts: tuple[_Columns, ...], id_: str) -> tuple[_Columns, int] | None:
    """Return the part that holds a row and its place there, or ``None``."""
    for part in parts:
        if (place := part.find(id_)) is not None:
            return part, place
    return None


class _Columns:
    """Rows as columns, with sorted hashes of their ids and of their audio."""

    def __init__(self, table: pa.Table, ids: NDArray[np.uint64], audio: NDArray[np.uint64]) -> None:
        self._table = table.combine_chunks()
        names = ("id", "root", "file", "start_s", "end_s", "exemplar")
        # Reading one value from a chunked column is slow.
        self._id, self._root, self._file, self._start, self._end, self._exemplar = (
            self._table.column(name).chunk(0) if len(table) else self._table.column(name)
            for name in names
        )
        self._by_id, self._by_audio = _Order(ids), _Order(audio)

    @classmethod
    def of(cls, rows: Sequence[tuple[str, IndexedRow]], roots: list[Path]) -> _Columns:
        """Make columns of rows; a new root is appended to ``roots``."""
        import pyarrow as pa

        for _, row in rows:
            if row.root not in roots:
                roots.append(row.root)
        number = {root: place for place, root in enumerate(roots)}
        keys = [row.audio_key for _, row in rows]
        columns: dict[str, Any] = {
            "id": pa.array([id_ for id_, _ in rows], pa.large_string()),
            "root": pa.array([number[row.root] for _, row in rows], pa.int32()),
            "file": pa.array([_packed(key.file_sha256) for key in keys], pa.large_binary()),
            "start_s": pa.array([key.start_s for key in keys], pa.float64()),
            "end_s": pa.array([key.end_s for key in keys], pa.float64()),
            "exemplar": pa.array(
                [_packed(row.exemplar_sha256) for _, row in rows], pa.large_binary()
            ),
        }
        return cls(
            pa.table(columns),
            np.fromiter((_hash(id_) for id_, _ in rows), np.uint64, len(rows)),
            np.fromiter((_hash(key) for key in keys), np.uint64, len(rows)),
        )

    @classmethod
    def joined(cls, parts: Sequence[_Columns]) -> _Columns:
        """Concatenate parts."""
        import pyarrow as pa

        if len(parts) == 1:
            return parts[0]
        return cls(
            pa.concat_tables(part._table for part in parts),
            np.concatenate([part._by_id.hashes() for part in parts]),
            np.concatenate([part._by_audio.hashes() for part in parts]),
        )

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def ids(self) -> Iterator[str]:
        return (value.as_py() for value in self._id)

    def id_at(self, place: int) -> str:
        id_: str = self._id[place].as_py()
        return id_

    def find(self, id_: str) -> int | None:
        """Return the place of a row, or ``None``."""
        for place in self._by_id.places(_hash(id_)):
            if self.id_at(place) == id_:
                return place
        return None

    def find_audio(self, key: AudioKey) -> Iterator[int]:
        """Yield the places of rows that hold the vector of some audio."""
        for place in self._by_audio.places(_hash(key)):
            if self._audio_at(place) == key:
                yield place

    def row(self, place: int, roots: Sequence[Path]) -> IndexedRow:
        return IndexedRow(
            root=roots[self._root[place].as_py()],
            audio_key=self._audio_at(place),
            exemplar_sha256=_unpacked(self._exemplar[place].as_py()),
        )

    def without(self, ids: Iterable[str]) -> _Columns:
        """Return the rows whose ids are not among these."""
        import pyarrow as pa

        keep = np.ones(len(self), np.bool_)
        keep[[place for id_ in ids if (place := self.find(id_)) is not None]] = False
        if keep.all():
            return self
        return _Columns(
            self._table.filter(pa.array(keep)),
            self._by_id.hashes()[keep],
            self._by_audio.hashes()[keep],
        )

    def _audio_at(self, place: int) -> AudioKey:
        start_s, end_s = self._start[place].as_py(), self._end[place].as_py()
        return AudioKey(_unpacked(self._file[place].as_py()), start_s, end_s)


class _Order:
    """Sorted hashes, each with its original place."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._places = np.argsort(hashes, kind="stable").astype(np.uint32)
        self._hashes = hashes[self._places]

    def hashes(self) -> NDArray[np.uint64]:
        """Return the hashes in their original order."""
        found = np.empty_like(self._hashes)
        found[self._places] = self._hashes
        return found

    def places(self, value: int) -> Iterator[int]:
        """Yield the original places of a hash, in order."""
        first = int(np.searchsorted(self._hashes, np.uint64(value)))
        while first < len(self._hashes) and self._hashes[first] == value:
            yield int(self._places[first])
            first += 1


def read_indexed_rows(table: pa.Table, roots: Sequence[Path]) -> IndexedRows:
    """Make the lookup of an index's rows.

    Args:
        table: All rows, with at least ``LOOKUP_COLUMNS``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """

    def pairs() -> Iterator[tuple[str, IndexedRow]]:
        for batch in table.select(LOOKUP_COLUMNS).to_batches(_MOST_RECENT):
            columns = [batch.column(name).to_pylist() for name in LOOKUP_COLUMNS]
            for id_, root, file_sha256, start_s, end_s, exemplar in zip(*columns, strict=True):
                row = IndexedRow(
                    root=root_of(roots, root),
                    audio_key=AudioKey(file_sha256, start_s, end_s),
                    exemplar_sha256=exemplar,
                )
                yield id_, row

    return IndexedRows(pairs())


def _hash(value: object) -> int:
    return hash(value) & 0xFFFF_FFFF_FFFF_FFFF


def _packed(digest: str) -> bytes:
    """Pack a hex digest into half the bytes; other text, as in a damaged row, is kept as it is."""
    if len(digest) == _HEX_DIGITS:
        try:
            packed = bytes.fromhex(digest)
        except ValueError:
            packed = b""
        if packed.hex() == digest:
            return packed
    return _NOT_HEX + digest.encode("utf-8", "surrogatepass")


def _unpacked(packed: bytes) -> str:
    if len(packed) * 2 == _HEX_DIGITS:
        return packed.hex()
    return packed[len(_NOT_HEX) :].decode("utf-8", "surrogatepass")
