"""Search with half the memory: rows in bfloat16 in RAM, their float32 on the disk.

The hits are those of exact search: bfloat16 only proposes, and what it proposes is read from
the table and scored again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.index.rough import RoughRows
from earful.index.schema import vectors_of

if TYPE_CHECKING:
    from earful.index.table import Table


class HalfRows:
    """Ids and rough vectors of a whole table.

    Args:
        table: Is read once, some rows at a time.
        dim: Of the vectors.
    """

    def __init__(self, table: Table, dim: int) -> None:
        ids: list[str] = []

        def vectors() -> Iterator[NDArray[np.float32]]:
            for batch in table.stream(["id", "vector"]):
                ids.extend(batch.column("id").to_pylist())
                yield vectors_of(batch, dim)

        self._rough = RoughRows(vectors())
        self._ids = ids
        self._rows: dict[str, int] | None = None

    def candidate_ids(
        self, query: NDArray[np.float32], k: int, only: list[str] | None = None
    ) -> list[str]:
        """Propose the ids of rows, among them the ``k`` nearest.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            k: How many are wanted.
            only: Ids to choose from; all when ``None``.
        """
        keep = None
        if only is not None:
            if self._rows is None:
                self._rows = {id_: row for row, id_ in enumerate(self._ids)}
            keep = np.zeros(len(self._ids), np.bool_)
            keep[[self._rows[id_] for id_ in only if id_ in self._rows]] = True
        (rows,) = self._rough.candidates(query[None], k, keep)
        return [self._ids[row] for row in rows]
