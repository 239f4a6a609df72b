"""Approximate search: partitions of the rows, and how many of them to search on this index.

Off by default: exact search takes milliseconds up to a hundred thousand rows. When it is set
up, rows of the index serve as queries for the others, and the smallest number of partitions
is chosen that finds what exact search finds, with the recall asked for. Candidates are scored
again in float64, so every similarity is exact; a hit may be missing.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.storage import APPROXIMATE_NAME, write_text
from earful.wording import as_argument

if TYPE_CHECKING:
    from earful.index.search.exact import VectorSet
    from earful.index.storage import Table

LEAST_ROWS: Final = 1000
"""Fewer rows are not partitioned: comparing with all of them takes less than a millisecond."""

# ``refine * k`` rows are compared by their full vectors: the smallest ``refine`` of these that
# gives the recall asked for when all partitions are searched.
_REFINES: Final = (10, 30, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRecall:
    """The recall that one number of partitions gave.

    Attributes:
        n_probes: Partitions searched for each query.
        refine: ``refine * k`` rows were compared by their full vectors.
        recall: Share of the true nearest rows that were found, over all queries.
        ms: Median time of a query, in milliseconds.
    """

    n_probes: int
    refine: int
    recall: float
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximate:
    """Settings of an index's approximate search, with the recall and the time they give.

    Attributes:
        n_rows: Rows when it was measured.
        n_partitions: Partitions of the rows.
        n_probes: Partitions searched for each query.
        refine: ``refine * k`` rows are compared by their full vectors.
        k: Nearest rows looked for in the measurement.
        n_queries: Rows that served as queries.
        wanted: The recall that was asked for.
        recall: The recall that was measured.
        ms: Median time of a query, in milliseconds.
        exact_ms: The same for exact search with the vectors in RAM.
        build_s: Time to make the partitions, in seconds.
        size_bytes: Size on disk, in bytes.
        tried: All settings that were measured.
    """

    n_rows: int
    n_partitions: int
    n_probes: int
    refine: int
    k: int
    n_queries: int
    wanted: float
    recall: float
    ms: float
    exact_ms: float
    build_s: float
    size_bytes: int
    tried: tuple[PartitionRecall, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Write the settings into an index folder."""
        write_text(folder / APPROXIMATE_NAME, json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the settings in an index folder; ``None`` if there are none.

        Raises:
            IndexFolderError: It is damaged.
        """
        path = folder / APPROXIMATE_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["tried"] = tuple(PartitionRecall(**probed) for probed in values["tried"])
            return cls(**values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexFolderError(
                f"{path}: is damaged ({error!r}); make it again with "
                f"`earful index approximate {as_argument(folder)}`"
            ) from error


def partition_rows(
    table: Table, rows: VectorSet, *, recall: float, k: int, n_queries: int
) -> Approximate:
    """Make the approximate index of a table, and measure how many partitions must be searched.

    Args:
        table: The table; the caller holds the writer lock.
        rows: All its rows.
        recall: Share of the true nearest rows to find, in (0, 1]. When even all partitions
            do not give it, all are searched.
        k: How many nearest rows to look for.
        n_queries: How many rows serve as queries; spread evenly over all.

    Raises:
        IndexFolderError: There are too few rows, or the folder cannot be written.
        ValueError: A number is outside its range.
    """
    if not 0 < recall <= 1 or k < 1 or n_queries < 1:
        raise ValueError(
            f"recall={recall}, k={k}, n_queries={n_queries}: expected recall in (0, 1] and the "
            "others 1 or more"
        )
    if len(rows) < LEAST_ROWS:
        raise IndexFolderError(
            f"{len(rows)} rows are too few for approximate search, expected {LEAST_ROWS:,} or "
            "more; exact search compares so few at once"
        )
    n_partitions = max(2, round(len(rows) ** 0.5 / 2))
    started = time.perf_counter()
    size_bytes = table.index_vectors(n_partitions)
    build_s = time.perf_counter() - started
    query_rows = np.unique(np.linspace(0, len(rows) - 1, min(n_queries, len(rows))).astype(int))
    queries = rows.vectors[query_rows]
    truth, exact_ms = _exact(rows, query_rows, k)
    measure = partial(_measured, table, rows, queries, query_rows, truth, k)
    tried: list[PartitionRecall] = []
    # How many rows to compare by their full vectors, when all partitions are searched.
    for refine in _REFINES:
        tried.append(measure(n_partitions, refine))
        if tried[-1].recall >= recall:
            break
    chosen, n_probes = tried[-1], 1
    # How few partitions are enough; none are, when even all do not give the recall.
    while chosen.recall >= recall and n_probes < n_partitions:
        tried.append(measure(n_probes, refine))
        if tried[-1].recall >= recall:
            chosen = tried[-1]
            break
        n_probes *= 2
    return Approximate(
        n_rows=len(rows),
        n_partitions=n_partitions,
        n_probes=chosen.n_probes,
        refine=chosen.refine,
        k=k,
        n_queries=len(query_rows),
        wanted=recall,
        recall=chosen.recall,
        ms=chosen.ms,
        exact_ms=exact_ms,
        build_s=build_s,
        size_bytes=size_bytes,
        tried=tuple(tried),
    )


def _exact(
    rows: VectorSet, query_rows: NDArray[np.intp], k: int
) -> tuple[list[tuple[frozenset[str], float]], float]:
    """Return each query's true nearest ids with their least similarity, and the median ms."""
    truth, times = [], []
    for row in query_rows:
        started = time.perf_counter()
        hits = rows.search(rows.vectors[row], k=k + 1)
        times.append(time.perf_counter() - started)
        others = [hit for hit in hits if hit.exemplar.id != rows.exemplars[row].id][:k]
        truth.append((frozenset(hit.exemplar.id for hit in others), others[-1].similarity))
    return truth, float(np.median(times)) * 1000


def _measured(
    table: Table,
    rows: VectorSet,
    queries: NDArray[np.float32],
    query_rows: NDArray[np.intp],
    truth: list[tuple[frozenset[str], float]],
    k: int,
    n_probes: int,
    refine: int,
) -> PartitionRecall:
    n_found, times = 0, []
    for query, row, (nearest, least) in zip(queries, query_rows, truth, strict=True):
        started = time.perf_counter()
        found = table.nearest(query, k + 1, ["id"], n_probes=n_probes, refine=refine)
        times.append(time.perf_counter() - started)
        own = rows.exemplars[row].id
        ids = [id_ for id_ in found.column("id").to_pylist() if id_ != own][:k]
        # Another row that is just as near counts as much as the one that a tie put first.
        places = rows.rows_of_ids([id_ for id_ in ids if id_ not in nearest])
        ties = int((rows.vectors[places] @ query >= least - 1e-6).sum())
        n_found += sum(id_ in nearest for id_ in ids) + ties
    wanted = sum(len(nearest) for nearest, _ in truth)
    return PartitionRecall(
        n_probes=n_probes,
        refine=refine,
        recall=min(1.0, n_found / wanted),
        ms=float(np.median(times)) * 1000,
    )
