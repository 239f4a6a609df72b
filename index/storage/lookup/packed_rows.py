"""Packed rows: what a lookup holds of a row, in arrays, and no object for each.

A row takes about 120 bytes and its id. Rows are found by Python's own hash of a text, which differs
from process to process: nobody can choose ids that collide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from earful.index.storage.header import root_of
from earful.index.storage.schema import AudioKey, Row, exemplar_digest

if TYPE_CHECKING:
    import pyarrow as pa

LOOKUP_COLUMNS: Final = ("id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256")
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


@dataclass(frozen=True, slots=True)
class PackedRows:
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

    def has_doubles(self) -> bool:
        """Return whether two rows have one id."""
        hashes, numbers = self.by_id
        (equal,) = np.nonzero(hashes[1:] == hashes[:-1])
        return any(
            self.id(int(numbers[at])) == self.id(other)
            for at in equal.tolist()
            for other in self.by_id.rows(int(hashes[at]))
            if other != numbers[at]
        )

    def ids(self) -> Iterator[str]:
        """Iterate over the ids, in the order in which they came."""
        return map(self.id, range(len(self)))

    def id(self, number: int) -> str:
        """Return the id of a row."""
        return self.text[int(self.ends[number]) : int(self.ends[number + 1])].decode()

    def find(self, id_: object) -> int | None:
        """Return the number of the row with an id, or ``None``."""
        return next((n for n in self.by_id.rows(hash(id_)) if self.id(n) == id_), None)

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that rows have."""
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        # In order, neighbours are looked for in the same stretch of memory.
        order = np.argsort(hashes)
        (found,) = np.nonzero(self.by_id.has(hashes[order]))
        likely = (ids[number] for number in order[found].tolist())
        return {id_ for id_ in likely if self.find(id_) is not None}

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


class Packing:
    """Makes packed rows of a table's batches, in arrays that have the table's length at once.

    Args:
        roots: Corpus roots, as rows number them.
        n_rows: Rows to make room for.
    """

    def __init__(self, roots: Sequence[Path], n_rows: int) -> None:
        self._all_roots = roots
        self._roots: dict[Path, int] = {}
        self._text = bytearray()
        self._n = 0
        self._odd: dict[tuple[int, int], str] = {}
        self._fields: dict[str, NDArray[Any]] = {
            "ends": np.zeros(n_rows, np.uint64),
            "root": np.zeros(n_rows, np.int32),
            "times": np.zeros((n_rows, 2), np.float64),
            "digests": np.zeros((n_rows, 2, _DIGEST_BYTES), np.uint8),
            "id_hashes": np.zeros(n_rows, np.int64),
            "audio_hashes": np.zeros(n_rows, np.int64),
        }

    def take(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch."""
        ids, numbers, files, starts, ends, exemplars = (
            batch.column(name).to_pylist() for name in LOOKUP_COLUMNS
        )
        n, first = len(ids), self._n
        encoded = [id_.encode() for id_ in ids]
        places = {
            number: self._roots.setdefault(root_of(self._all_roots, number), len(self._roots))
            for number in dict.fromkeys(numbers)
        }
        keys = map(AudioKey, files, starts, ends)
        self._put(
            "ends", np.cumsum([len(one) for one in encoded], dtype=np.uint64) + len(self._text)
        )
        self._put("root", [places[number] for number in numbers])
        self._put("times", np.array([starts, ends], np.float64).T)
        digests = np.stack([self._raw(place, x) for place, x in enumerate((files, exemplars))], 1)
        self._put("digests", digests)
        self._put("id_hashes", list(map(hash, ids)))
        self._put("audio_hashes", list(map(hash, keys)))
        self._text += b"".join(encoded)
        self._n = first + n

    def finish(self) -> PackedRows:
        """Return the rows; nothing can be added afterwards."""
        made = {name: self._fields.pop(name)[: self._n] for name in list(self._fields)}
        return PackedRows(
            text=bytes(self._text),
            ends=np.concatenate([np.zeros(1, np.uint64), made.pop("ends")]),
            roots=tuple(self._roots),
            root=made["root"],
            times=made["times"],
            digests=made["digests"],
            odd=self._odd,
            by_id=_Order.of(made.pop("id_hashes")),
            by_audio=_Order.of(made.pop("audio_hashes")),
        )

    def _put(self, name: str, values: Any) -> None:
        values = np.asarray(values, (array := self._fields[name]).dtype)
        if (n := self._n + len(values)) > len(array):
            more = np.zeros((n // 2, *array.shape[1:]), array.dtype)
            self._fields[name] = array = np.concatenate([array[: self._n], values, more])
        array[self._n : n] = values

    def _raw(self, place: int, texts: Sequence[str]) -> NDArray[np.uint8]:
        """Return the bytes of hex digests, uint8, shape ``(n, 32)``, and keep odd ones apart."""
        joined = "".join(texts)
        raw = _raw_digest(joined, len(texts))
        if raw is None or any(len(text) != 2 * _DIGEST_BYTES for text in texts):
            found = [_raw_digest(text) for text in texts]
            for at, one in enumerate(found):
                if one is None:
                    self._odd[self._n + at, place] = texts[at]
            raw = b"".join(one or bytes(_DIGEST_BYTES) for one in found)
        return np.frombuffer(raw, np.uint8).reshape(-1, _DIGEST_BYTES)


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

    def has(self, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return of each of some hashes whether a row has it: bool, shape ``(n,)``."""
        if not len(self.hashes):
            return np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.asarray(self.hashes[at] == wanted)

    def rows(self, wanted: int) -> Iterator[int]:
        """Iterate over the rows with a hash."""
        at = int(np.searchsorted(self.hashes, np.int64(wanted)))
        while at < len(self.hashes) and self.hashes[at] == wanted:
            yield int(self.numbers[at])
            at += 1


def _raw_digest(text: str, n: int = 1) -> bytes | None:
    """Return the bytes of ``n`` hex digests; ``None`` where the text is not that of these."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if len(raw) == n * _DIGEST_BYTES and raw.hex() == text else None
