"""Half-precision search: vectors as bfloat16 in RAM, as float32 on disk, in half the memory.

The hits are those of exact search: bfloat16 only proposes candidates, which are read from the
table and scored again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.index.search.bfloat16 import Bfloat16Rows
from earful.index.search.exact import unit_rows
from earful.index.storage import numbers_of, vectors_of

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.storage import Table


class HalfPrecisionRows:
    """Bfloat16 vectors of a whole table, as it is now, and where its rows lie.

    Args:
        table: Read once, in batches, and later for candidates.
        dim: Length of a vector.

    Raises:
        IndexFolderError: A file of the table is damaged or gone, or a vector is not finite or
            not of unit norm.
    """

    def __init__(self, table: Table, dim: int) -> None:
        self._table = table
        self._dim = dim
        table.consume(["vector"], self._take)

    def _take(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._version = self._table.version
        places = [np.empty(0, np.uint64)]

        def vectors() -> Iterator[NDArray[np.float32]]:
            for batch in batches:
                places.append(numbers_of(batch.column("_rowid")))
                yield unit_rows(vectors_of(batch, self._dim), lambda row: f"a vector, {row},")

        self._bfloat16_rows = Bfloat16Rows(vectors())
        self._places = np.concatenate(places)

    def candidates(
        self,
        query: NDArray[np.float32],
        k: int,
        columns: Sequence[str],
        only: NDArray[np.uint64] | None = None,
    ) -> pa.Table | None:
        """Return columns of rows, among them the ``k`` nearest.

        ``None`` when the table has changed since it was read here.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            k: How many rows are needed.
            columns: Which columns.
            only: Places to choose from, in the table as it is now; all when ``None``.
        """
        keep = None
        if only is not None:
            keep = np.isin(self._places, only)
        (rows,) = self._bfloat16_rows.candidates(query[None], k, keep)
        return self._table.at(self._places[rows].tolist(), columns, version=self._version)
