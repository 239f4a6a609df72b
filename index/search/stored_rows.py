"""Rows of a table as sequences: an exemplar or a path is made when it is asked for.

A question needs the texts of its hits alone; making an object of each row of a large index would
take longer than the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from earful.index.corpus import Exemplar
from earful.index.storage import (
    audio_paths,
    exemplar_columns,
    exemplar_of,
    exemplar_values,
    numbers_of,
    root_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

Item = TypeVar("Item", covariant=True)


class _Stored(Sequence[Item]):
    """A sequence with an item for each row of a table; whoever goes over all has them made."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._made: tuple[Item, ...] | None = None

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, row: Any) -> Any:
        if self._made is not None:
            return self._made[row]
        if isinstance(row, slice):
            wanted = range(*row.indices(len(self)))
            if wanted.step != 1:
                return tuple(self)[row]
            return tuple(self._items(self._table.slice(wanted.start, len(wanted))))
        number = int(row)
        if not -len(self) <= number < len(self):
            raise IndexError(f"row {number}: expected one of {len(self)}")
        return next(self._items(self._table.slice(number % len(self), 1)))

    def __iter__(self) -> Iterator[Item]:
        if self._made is None:
            self._made = tuple(self._items(self._table))
        return iter(self._made)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def _items(self, table: pa.Table) -> Iterator[Item]:
        raise NotImplementedError


class StoredExemplars(_Stored[Exemplar]):
    """The exemplars of a table with at least ``EXEMPLAR_COLUMNS``, whose rows were checked."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__(table.select(exemplar_columns(table)))

    def ids(self) -> list[str]:
        """Return the ids of all rows."""
        found: list[str] = self._table.column("id").to_pylist()
        return found

    def _items(self, table: pa.Table) -> Iterator[Exemplar]:
        return map(exemplar_of, exemplar_values(table))


class StoredPaths(_Stored[Path]):
    """The resolved paths of a table's recordings.

    Args:
        table: Has at least ``audio`` and ``root``.
        roots: Corpus roots, as rows number them.

    Raises:
        IndexError: A row names a root that the header lacks: the two do not belong together.
    """

    def __init__(self, table: pa.Table, roots: Sequence[Path]) -> None:
        super().__init__(table.select(["audio", "root"]))
        self._roots = tuple(roots)
        for number in set(numbers_of(self._table.column("root")).tolist()):
            root_of(roots, number)

    def _items(self, table: pa.Table) -> Iterator[Path]:
        return iter(audio_paths(table, self._roots))
