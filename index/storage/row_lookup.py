"""Row lookup: which rows are already indexed, so that a build can skip them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from earful.errors import IndexFolderError
from earful.index.storage.header import root_of
from earful.index.storage.schema import AudioKey, Row, exemplar_digest

if TYPE_CHECKING:
    import pyarrow as pa

LOOKUP_COLUMNS = ("id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256")

# Columns become Python objects in parts of this size, to hold few of both at once.
_ROWS_AT_ONCE: Final = 4096


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

    A row takes about 600 bytes. Each method reads or changes a dictionary in one step, so that
    no reader sees half of a row.

    Args:
        rows: The rows that there are at first, with their ids.
    """

    def __init__(self, rows: Iterable[tuple[str, IndexedRow]] = ()) -> None:
        self._rows: dict[str, IndexedRow] = {}
        self._ids: dict[AudioKey, str] = {}
        self._roots: dict[Path, None] = {}
        for id_, row in rows:
            self._put(id_, row)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        # A copy, as rows may be added meanwhile.
        return iter(list(self._rows))

    def __getitem__(self, id_: str) -> IndexedRow:
        return self._rows[id_]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every corpus root that a row has or had."""
        return tuple(self._roots)

    def holder(self, key: AudioKey) -> str | None:
        """Return the id of a row that holds the vector of some audio, or ``None``."""
        id_ = self._ids.get(key)
        if id_ is None or self._rows[id_].audio_key == key:
            return id_
        # That row was given other audio since; another one may still have this.
        return next((id_ for id_ in self if self._rows[id_].audio_key == key), None)

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
            if id_ in self and (root := self[id_].root) != row.root:
                raise IndexFolderError(
                    f"{folder}: id {id_!r} belongs to a row from {root}, and now comes from "
                    f"{row.root}; give it another id, or remove the old row first"
                )

    def _put(self, id_: str, row: IndexedRow) -> None:
        self._rows[id_] = row
        self._ids[row.audio_key] = id_
        self._roots[row.root] = None


def read_indexed_rows(table: pa.Table, roots: Sequence[Path]) -> IndexedRows:
    """Make the lookup of an index's rows.

    Args:
        table: All rows, with at least ``LOOKUP_COLUMNS``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """

    def pairs() -> Iterator[tuple[str, IndexedRow]]:
        for batch in table.select(LOOKUP_COLUMNS).to_batches(_ROWS_AT_ONCE):
            for id_, root, *audio, exemplar in zip(*batch.to_pydict().values(), strict=True):
                yield (
                    id_,
                    IndexedRow(
                        root=root_of(roots, root),
                        audio_key=AudioKey(*audio),
                        exemplar_sha256=exemplar,
                    ),
                )

    return IndexedRows(pairs())
