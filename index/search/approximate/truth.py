"""Truth for recall: how near the true nearest rows of some queries are, from one scan of all.

The queries are rows of the table, spread evenly over it. A batch of rows is read, compared with
all queries and forgotten, so memory does not depend on the size of the table: 4,096 rows and
their products, beside a block of 65,536 vectors to time exact search with.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from earful.index.search.approximate.row_scans import checked_vectors
from earful.index.storage import Table, vectors_of

if TYPE_CHECKING:
    import pyarrow as pa

# More than a float32 product of unit vectors differs from the exact one.
_SLACK: Final = 1e-5
# Vectors that exact search is timed with: more than the processor's caches hold.
_TIMED_ROWS: Final = 2**16
_TIMED_QUERIES: Final = 9


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Rows of a table that serve as queries, and how near the rows nearest to them are.

    Attributes:
        k: How many nearest rows, the query's own left out.
        ids: Of the queries.
        vectors: float32, shape ``(m, dim)``, unit rows.
        least: float64, shape ``(m,)``: the cosine of the ``k``-th nearest row.
        exact_ms: Median time of an exact search in RAM, in milliseconds.
    """

    k: int
    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    least: NDArray[np.float64]
    exact_ms: float


def find_truth(table: Table, dim: int, *, k: int, n_queries: int) -> Truth:
    """Find how near the nearest rows of some rows are, exactly, in one scan.

    Args:
        table: At least ``k + 1`` rows.
        dim: Length of a vector.
        k: How many nearest rows.
        n_queries: How many rows serve as queries, spread evenly over the table.

    Raises:
        IndexFolderError: A row or a file of the table is damaged.
    """
    n = len(table)
    places = np.unique(np.linspace(0, n - 1, min(n_queries, n)).astype(int))
    chosen = table.at_offsets(places.tolist(), ["id", "vector"])
    queries = vectors_of(chosen, dim)
    nearest = _Nearest(queries, k + 1)
    timed: list[NDArray[np.float32]] = []

    def take(batches: Iterator[pa.RecordBatch]) -> None:
        nearest.forget()
        timed.clear()
        for batch in batches:
            vectors = checked_vectors(batch, dim, is_whole)
            nearest.take(vectors)
            if sum(map(len, timed)) < _TIMED_ROWS:
                timed.append(vectors)

    is_whole = table.check()
    table.consume(["vector"] if is_whole else table.row_columns, take)
    block = np.concatenate(timed)
    return Truth(
        k=k,
        ids=tuple(chosen.column("id").to_pylist()),
        vectors=queries,
        least=nearest.least(),
        exact_ms=_exact_ms(block, queries[:_TIMED_QUERIES], k) * n / len(block),
    )


class _Nearest:
    """The largest cosines of some queries among the rows that were seen.

    Args:
        queries: float32, shape ``(m, dim)``, unit rows.
        k: How many of each.
    """

    def __init__(self, queries: NDArray[np.float32], k: int) -> None:
        self._queries = queries
        self._exact = queries.astype(np.float64)
        self._exact /= np.linalg.norm(self._exact, axis=1, keepdims=True)
        self._k = k
        self.forget()

    def forget(self) -> None:
        """Start again."""
        self._best = np.full((len(self._queries), self._k), -np.inf)

    def least(self) -> NDArray[np.float64]:
        """Return the least of each query's cosines, float64, shape ``(m,)``."""
        found = np.where(np.isfinite(self._best), self._best, np.inf)
        return np.asarray(found.min(axis=1))

    def take(self, vectors: NDArray[np.float32]) -> None:
        """See rows: float32, shape ``(n, dim)``, unit rows."""
        products = vectors @ self._queries.T
        floor = self._best[:, 0]
        if not np.isfinite(floor).all() and len(vectors) > self._k:
            own = np.partition(products, -self._k, axis=0)[-self._k]
            floor = np.maximum(floor, own)
        rows, queries = np.nonzero(products >= (floor - _SLACK).astype(np.float32))
        if not rows.size:
            return
        exact = vectors[rows].astype(np.float64)
        cosines = np.einsum("ij,ij->i", exact, self._exact[queries])
        cosines /= np.sqrt(np.einsum("ij,ij->i", exact, exact))
        for query in np.unique(queries):
            both = np.concatenate([self._best[query], cosines[queries == query]])
            self._best[query] = np.sort(both)[-self._k :]


def _exact_ms(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> float:
    """Return the median time of comparing a query with all vectors, in milliseconds."""
    times = []
    for query in queries:
        started = time.perf_counter()
        np.argpartition(vectors @ query, -min(k, len(vectors)))
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000
