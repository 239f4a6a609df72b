"""Row lookup: which rows are already indexed, so that a build can skip them; their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from earful.errors import IndexFolderError
from earful.index.cache import LabelCounts
from earful.index.storage.header import NOT_LABELS
from earful.index.storage.lookup.packed_rows import IndexedRow, PackedRows, Packing
from earful.index.storage.schema import AudioKey, Row

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.storage.table_reader import TableReader

# Rows that are added are packed in parts of at least this size; an object a row takes some 600
# bytes.
_ROWS_WORTH_PACKING: Final = 2**15


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
            self._put(id_, row, is_new=id_ not in self)

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

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that there are, looked up together: far faster than singly."""
        held = self._held
        return {id_ for id_ in ids if id_ in held.loose} | held.packed_among(ids)

    @classmethod
    def packed(
        cls, batches: Iterable[pa.RecordBatch], roots: Sequence[Path], *, n_rows: int
    ) -> Self:
        """Return the rows of a table, all of them packed, with no object for each.

        Args:
            batches: All rows, with at least ``LOOKUP_COLUMNS``.
            roots: Corpus roots, as rows number them.
            n_rows: How many there are; others cost memory for a moment.

        Raises:
            IndexError: A row names a root that there is not.
        """
        packing = Packing(roots, n_rows)
        for batch in batches:
            packing.take(batch)
        made = packing.finish()
        if made.has_doubles():  # a damaged table: the last row of an id counts
            return cls(zip(made.ids(), map(made.row, range(len(made))), strict=True))
        found = cls()
        found._held = _Held((made,) if len(made) else (), {}, {})
        found._roots = dict.fromkeys(made.roots)
        return found

    def place(self, id_: str) -> int | None:
        """Return a number of a packed row that it keeps as rows are added; ``None`` of others.

        Numbers begin at 0, and rows that are added later have higher ones.
        """
        before = 0
        for part in self._held.packed:
            if (number := part.find(id_)) is not None:
                return before + number
            before += len(part)
        return None

    def packed_ids(self) -> Iterator[str]:
        """Iterate over the ids of packed rows, in the order of their places."""
        return (id_ for part in self._held.packed for id_ in part.ids())

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
        known = self.known([row.exemplar.id for row in rows])
        for row in rows:
            id_ = row.exemplar.id
            self._put(id_, IndexedRow.of(row), is_new=id_ not in known)
            known.add(id_)

    def require_no_clash(self, rows: Iterable[Row], folder: Path) -> None:
        """Accept rows whose ids are new, or replace a row of the same corpus.

        Args:
            rows: About to be stored.
            folder: The index folder, for the error.

        Raises:
            IndexFolderError: An id occurs twice, or belongs to another corpus root.
        """
        rows, seen = list(rows), set[str]()
        indexed = self.known([row.exemplar.id for row in rows])
        for row in rows:
            id_ = row.exemplar.id
            if id_ in seen:
                raise IndexFolderError(f"{folder}: id {id_!r} occurs twice among the new rows")
            seen.add(id_)
            known = self[id_] if id_ in indexed else None
            if known is not None and known.root != row.root:
                raise IndexFolderError(
                    f"{folder}: id {id_!r} belongs to a row from {known.root}, and now comes from "
                    f"{row.root}; give it another id, or remove the old row first"
                )

    def _put(self, id_: str, row: IndexedRow, *, is_new: bool) -> None:
        held = self._held
        held.loose[id_] = row
        held.loose_ids[row.audio_key] = id_
        self._roots[row.root] = None
        self._n_new += is_new
        if self._n_new >= _ROWS_WORTH_PACKING:
            self.pack()

    def pack(self) -> None:
        """Pack the loose rows, but for those that replace a packed one."""
        held = self._held
        replacing = held.packed_among(list(held.loose))
        new = {id_: row for id_, row in held.loose.items() if id_ not in replacing}
        if not new:
            return
        parts = [*held.packed, PackedRows.of(new)]
        while len(parts) > 1 and len(parts[-2]) <= 2 * len(parts[-1]):
            parts[-2:] = [PackedRows.joined(parts[-2], parts[-1])]
        rest = {id_: row for id_, row in held.loose.items() if id_ not in new}
        ids = {row.audio_key: id_ for id_, row in rest.items()}
        self._held = _Held(tuple(parts), rest, ids)
        self._n_new = 0


class UnseenRows:
    """Rows of a lookup that a corpus has not shown yet: a byte a row, and no id.

    Args:
        rows: The lookup; rows that are added later do not count.
        root: Corpus root of the rows that count.
    """

    def __init__(self, rows: IndexedRows, root: Path) -> None:
        rows.pack()
        self._rows = rows
        self._root = root
        self._is_seen = bytearray(len(rows))

    def see(self, id_: str) -> None:
        """Note that a row was shown."""
        place = self._rows.place(id_)
        if place is not None and place < len(self._is_seen):
            self._is_seen[place] = 1

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the rows that were not, sorted."""
        ids = zip(self._rows.packed_ids(), self._is_seen, strict=False)
        left = (id_ for id_, is_seen in ids if not is_seen)
        return tuple(sorted(id_ for id_ in left if self._rows[id_].root == self._root))


@dataclass(frozen=True, slots=True)
class _Held:
    """The rows of a lookup: packed, and loose, where a loose row goes before a packed one."""

    packed: tuple[PackedRows, ...]
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

    def packed_among(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that packed rows have."""
        return set[str]().union(*(part.known(ids) for part in self.packed))


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
