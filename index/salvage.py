"""Reading what can still be read of a table with damaged files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from earful.errors import IndexFolderError

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.table import Table

_ROWS_AT_ONCE: Final = 2048
# Fewer rows than this are not parted further: damage seldom leaves single rows.
_LEAST_PIECE: Final = 16
# The upper half of a row's place is the number of its fragment, a file.
_FRAGMENT_BITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """Rows that can be read; whether they are right is another matter.

    Attributes:
        places: Where each lies in the table.
        rows: Their columns.
    """

    places: list[int]
    rows: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Rows of one file that cannot be read.

    Attributes:
        n: How many.
        ids: Their ids; empty where even those cannot be read.
        reason: What LanceDB says.
    """

    n: int
    ids: tuple[str, ...]
    reason: str


def salvage(table: Table, columns: Sequence[str]) -> Iterator[Readable | Unreadable]:
    """Read all rows of a table that can be read, some at a time.

    A damaged file costs its own rows only, and of those no more than must be.

    Args:
        table: As it is now.
        columns: Which columns.

    Raises:
        IndexFolderError: Not even the rows' places can be read, or another process has
            written meanwhile.
    """
    places = table.places()
    fragments = places >> np.uint64(_FRAGMENT_BITS)
    version = table.version
    for fragment in np.unique(fragments):
        rows: list[int] = places[fragments == fragment].tolist()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            yield from _piece(table, rows[start : start + _ROWS_AT_ONCE], columns, version)


def _piece(
    table: Table, places: list[int], columns: Sequence[str], version: int
) -> Iterator[Readable | Unreadable]:
    try:
        found = table.at(places, columns, version=version)
    except IndexFolderError as error:
        if len(places) > _LEAST_PIECE:
            half = len(places) // 2
            yield from _piece(table, places[:half], columns, version)
            yield from _piece(table, places[half:], columns, version)
        else:
            ids = _ids(table, places, version)
            yield Unreadable(n=len(places), ids=ids, reason=str(error.__cause__ or error))
        return
    if found is None:
        raise IndexFolderError(f"{table.folder}: was written meanwhile; try again")
    yield Readable(places=places, rows=found)


def _ids(table: Table, places: list[int], version: int) -> tuple[str, ...]:
    try:
        found = table.at(places, ["id"], version=version)
    except IndexFolderError:
        return ()
    return () if found is None else tuple(found.column("id").to_pylist())
