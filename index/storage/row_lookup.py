"""Row lookup: which rows are already indexed, so that a build can skip them; their labels.

Most rows lie packed in arrays, where one takes about 120 bytes and its id. They are found by
Python's own hash of a text, which differs from process to process: nobody can choose ids that
collide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.cache import LabelCounts
from earful.index.storage.header import NOT_LABELS, root_of
from earful.index.storage.schema import AudioKey, Row, exemplar_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.storage.table_reader import TableReader

LOOKUP_COLUMNS = ("id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256")

# Rows are packed in parts of at least this size; an object a row takes some 600 bytes.
_ROWS_WORTH_PACKING: Final = 2**15
_DIGEST_BYTES: Final = 32


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
    """The rows of an index by id; one thread may add rows while others read.

    Each method reads or changes a dictionary in one step, or takes packed and loose rows as they
    were at one moment, so that no reader sees half of a row.

    Args:
        rows: The rows that there are at first, with their ids.
    """

    def __init__(self, rows: Iterable[tuple[str, IndexedRow]] = ()) -> None:
        self._held = _Held((), {}, {})
        # How many loose rows are not there packed as well, as they were before.
        self._n_new = 0
        self._roots: dict[Path, None] = {}
        for id_, row in rows:
            self._put(id_, row)

    def __len__(self) -> int:
        return sum(map(len, self._held.packed)) + self._n_new

    def __iter__(self) -> Iterator[str]:
        held = self._held
        # A copy, as rows may be added meanwhile.
        loose = dict.fromkeys(list(held.loose))
        for part in held.packed:
            yield from (id_ for id_ in part.ids() if id_ not in loose)
        yield from loose

    def __getitem__(self, id_: str) -> IndexedRow:
        if (row := self._held.find(id_)) is None:
            raise KeyError(id_)
        return row

    def __contains__(self, id_: object) -> bool:
        held = self._held
        return id_ in held.loose or held.is_packed(id_)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every corpus root that a row has or had."""
        return tuple(self._roots)

    def holder(self, key: AudioKey) -> str | None:
        """Return the id of a row that holds the vector of some audio, or ``None``."""
        held = self._held
        id_ = held.loose_ids.get(key)
        if id_ is not None:
            if held.loose[id_].audio_key == key:
                return id_
            # That row was given other audio since; another one may still have this.
            for other, row in list(held.loose.items()):
                if row.audio_key == key:
                    return other
        packed = (id_ for part in held.packed for id_ in part.holders(key))
        return next((id_ for id_ in packed if id_ not in held.loose), None)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows that have been stored; a row with a known id replaces that one."""
        for row in rows:
            self._put(row.exemplar.id, IndexedRow.of(row))

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
            known = self.get(id_)
            if known is not None and known.root != row.root:
                raise IndexFolderError(
                    f"{folder}: id {id_!r} belongs to a row from {known.root}, and now comes from "
                    f"{row.root}; give it another id, or remove the old row first"
                )

    def _put(self, id_: str, row: IndexedRow) -> None:
        held, is_new = self._held, id_ not in self
        held.loose[id_] = row
        held.loose_ids[row.audio_key] = id_
        self._roots[row.root] = None
        self._n_new += is_new
        if self._n_new >= _ROWS_WORTH_PACKING:
            self._pack()

    def _pack(self) -> None:
        """Pack the loose rows, but for those that replace a packed one."""
        held = self._held
        new = {id_: row for id_, row in held.loose.items() if not held.is_packed(id_)}
        parts = [*held.packed, _PackedRows.of(new)]
        while len(parts) > 1 and len(parts[-2]) <= 2 * len(parts[-1]):
            parts[-2:] = [_PackedRows.joined(parts[-2], parts[-1])]
        rest = {id_: row for id_, row in held.loose.items() if id_ not in new}
        ids = {row.audio_key: id_ for id_, row in rest.items()}
        self._held = _Held(tuple(parts), rest, ids)
        self._n_new = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """The rows of a lookup: packed, and loose, where a loose row goes before a packed one."""

    packed: tuple[_PackedRows, ...]
    loose: dict[str, IndexedRow]
    loose_ids: dict[AudioKey, str]

    def find(self, id_: str) -> IndexedRow | None:
        """Return the row with an id, or ``None``."""
        if (row := self.loose.get(id_)) is not None:
            return row
        for part in self.packed:
            if (number := part.find(id_)) is not None:
                return part.row(number)
        return None

    def is_packed(self, id_: object) -> bool:
        """Return whether a packed row has an id."""
        return any(part.find(id_) is not None for part in self.packed)


@dataclass(frozen=True, slots=True)
class _PackedRows:
    """Rows with distinct ids, in arrays.

    Attributes:
        text: The ids, one after another, in UTF-8.
        ends: uint64, shape ``(n + 1,)``: where each id ends, after a 0.
        roots: The roots that rows number.
        root: int32, shape ``(n,)``.
        times: float64, shape ``(n, 2)``: start and end in seconds; NaN for no end.
        digests: uint8, shape ``(n, 2, 32)``: of the file and of the exemplar.
        odd: Digests that are no 64 hex digits, by row and place.
        by_id: Rows in the order of their ids' hashes, and these.
        by_audio: The same for the audio.
    """

    text: bytes
    ends: NDArray[np.uint64]
    roots: tuple[Path, ...]
    root: NDArray[np.int32]
    times: NDArray[np.float64]
    digests: NDArray[np.uint8]
    odd: Mapping[tuple[int, int], str]
    by_id: _Order
    by_audio: _Order

    @classmethod
    def of(cls, rows: Mapping[str, IndexedRow]) -> Self:
        """Pack rows by their ids."""
        encoded = [id_.encode() for id_ in rows]
        found = dict.fromkeys(row.root for row in rows.values())
        numbers = {root: number for number, root in enumerate(found)}
        keys = [row.audio_key for row in rows.values()]
        odd: dict[tuple[int, int], str] = {}
        digests = bytearray()
        for number, row in enumerate(rows.values()):
            for place, text in enumerate((row.audio_key.file_sha256, row.exemplar_sha256)):
                raw = _raw_digest(text)
                if raw is None:
                    odd[number, place] = text
                digests += raw or bytes(_DIGEST_BYTES)
        return cls(
            text=b"".join(encoded),
            ends=np.fromiter(accumulate(map(len, encoded), initial=0), np.uint64),
            roots=tuple(numbers),
            root=np.fromiter((numbers[row.root] for row in rows.values()), np.int32),
            times=np.array([(key.start_s, key.end_s) for key in keys], np.float64).reshape(-1, 2),
            digests=np.frombuffer(digests, np.uint8).reshape(-1, 2, _DIGEST_BYTES),
            odd=odd,
            by_id=_Order.of(np.fromiter(map(hash, rows), np.int64)),
            by_audio=_Order.of(np.fromiter(map(hash, keys), np.int64)),
        )

    @classmethod
    def joined(cls, first: Self, second: Self) -> Self:
        """Return the rows of two in one."""
        n = len(first)
        roots = tuple(dict.fromkeys([*first.roots, *second.roots]))
        renumbered = np.array([roots.index(root) for root in second.roots], np.int32)
        return cls(
            text=first.text + second.text,
            ends=np.concatenate([first.ends, second.ends[1:] + first.ends[-1]]),
            roots=roots,
            root=np.concatenate([first.root, renumbered[second.root]]),
            times=np.concatenate([first.times, second.times]),
            digests=np.concatenate([first.digests, second.digests]),
            odd={**first.odd, **{(row + n, place): x for (row, place), x in second.odd.items()}},
            by_id=first.by_id.followed_by(second.by_id),
            by_audio=first.by_audio.followed_by(second.by_audio),
        )

    def __len__(self) -> int:
        return len(self.root)

    def ids(self) -> Iterator[str]:
        """Iterate over the ids, in the order in which they came."""
        return map(self.id, range(len(self)))

    def id(self, number: int) -> str:
        """Return the id of a row."""
        return self.text[int(self.ends[number]) : int(self.ends[number + 1])].decode()

    def find(self, id_: object) -> int | None:
        """Return the number of the row with an id, or ``None``."""
        return next((n for n in self.by_id.rows(hash(id_)) if self.id(n) == id_), None)

    def holders(self, key: AudioKey) -> Iterator[str]:
        """Iterate over the ids of the rows that have some audio."""
        return (self.id(n) for n in self.by_audio.rows(hash(key)) if self.row(n).audio_key == key)

    def row(self, number: int) -> IndexedRow:
        """Return a row."""
        start_s, end_s = self.times[number].tolist()
        file, exemplar = (
            self.odd[number, place]
            if (number, place) in self.odd
            else self.digests[number, place].tobytes().hex()
            for place in (0, 1)
        )
        key = AudioKey(file, start_s, None if np.isnan(end_s) else end_s)
        return IndexedRow(
            root=self.roots[self.root[number]], audio_key=key, exemplar_sha256=exemplar
        )


class _Order(NamedTuple):
    """Rows in the order of a hash.

    Attributes:
        hashes: int64, ascending.
        numbers: uint32, the row of each.
    """

    hashes: NDArray[np.int64]
    numbers: NDArray[np.uint32]

    @classmethod
    def of(cls, hashes: NDArray[np.int64]) -> Self:
        order = np.argsort(hashes, kind="stable")
        return cls(hashes[order], order.astype(np.uint32))

    def followed_by(self, other: _Order) -> _Order:
        """Return the order of two parts in one, the second's rows after the first's."""
        hashes = np.concatenate([self.hashes, other.hashes])
        # Two runs in order: a stable sort merges them.
        order = np.argsort(hashes, kind="stable")
        numbers = np.concatenate([self.numbers, other.numbers + np.uint32(len(self.numbers))])
        return _Order(hashes[order], numbers[order])

    def rows(self, wanted: int) -> Iterator[int]:
        """Iterate over the rows with a hash."""
        at = int(np.searchsorted(self.hashes, np.int64(wanted)))
        while at < len(self.hashes) and self.hashes[at] == wanted:
            yield int(self.numbers[at])
            at += 1


def _raw_digest(text: str) -> bytes | None:
    """Return the bytes of a hex digest; ``None`` where the text is not the digest of these."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if len(raw) == _DIGEST_BYTES and raw.hex() == text else None


def read_indexed_rows(batches: Iterable[pa.RecordBatch], roots: Sequence[Path]) -> IndexedRows:
    """Make the lookup of an index's rows.

    Args:
        batches: All rows, with at least ``LOOKUP_COLUMNS``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """

    def pairs() -> Iterator[tuple[str, IndexedRow]]:
        for batch in batches:
            columns = [batch.column(name).to_pylist() for name in LOOKUP_COLUMNS]
            for id_, root, *audio, exemplar in zip(*columns, strict=True):
                yield (
                    id_,
                    IndexedRow(
                        root=root_of(roots, root),
                        audio_key=AudioKey(*audio),
                        exemplar_sha256=exemplar,
                    ),
                )

    return IndexedRows(pairs())


def count_labels(table: TableReader) -> LabelCounts:
    """Return how many rows of a table have each label, counted once for each state of it.

    Raises:
        IndexFolderError: A file of the table is damaged or gone.
    """
    try:
        state = table.state
    except IndexFolderError:
        # The version that is read was cleaned up since: its rows count, and nobody else needs them.
        state = ""
    found = LabelCounts.find(table.folder, state=state, n=len(table)) if state else None
    if found is None:
        columns = ["labels", *(("answer", NOT_LABELS) if table.has_not_labels else ())]
        if (mapped := table.read_snapshot(columns)) is not None:
            found = LabelCounts.count(mapped.to_batches())
        else:
            found = table.consume(columns, LabelCounts.count)
        if state:
            found.keep(table.folder, state=state)
    return found
