"""Approximate search: partitions of the rows, chosen from by how well they do on this index.

Nothing here is on by default: exact search takes milliseconds up to a hundred thousand rows.
Where it is asked for, an index's own rows serve as queries, each looking for the others, and
the fewest partitions are looked at that find what exact search finds, as often as wanted.
Candidates are scored again in float64, so every similarity told is exact; what may be
missing is a hit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError
from earful.index.search.search_filter import sql_of
from earful.index.storage import write_text
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.search.exact import SearchFilter, VectorSet
    from earful.index.storage import Table

APPROXIMATE_NAME: Final = "approximate.json"
LEAST_ROWS: Final = 1000
"""Fewer rows are not parted: comparing with all of them takes less than a millisecond."""

# How many times the rows wanted are compared by their whole vectors: the least of these
# that gives the recall wanted when all partitions are looked at.
_REFINES: Final = (10, 30, 100)
# Some more than wanted, so that equal similarities at the cut are told apart by id.
_SPARE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What looking at some partitions gave.

    Attributes:
        n_probes: How many of them were looked at for each query.
        refine: How many times the rows wanted were compared by their whole vectors.
        recall: Share of the true nearest rows that were found, over all queries.
        ms: Median time of a query, in milliseconds.
    """

    n_probes: int
    refine: int
    recall: float
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximate:
    """How an index is searched approximately, and how well that does.

    Attributes:
        n_rows: Rows when it was measured.
        n_partitions: Of the rows.
        n_probes: Partitions looked at for a query.
        refine: So many times the rows wanted are compared by their whole vectors.
        k: How many nearest rows were looked for.
        n_queries: Rows that looked for the others.
        wanted: The recall that was asked for.
        recall: The recall that was measured.
        ms: Median time of a query, in milliseconds.
        exact_ms: The same of exact search, the vectors in RAM.
        build_s: What making it took, in seconds.
        size_bytes: What it takes on the disk.
        tried: Every number of probes that was measured.
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
    tried: tuple[Probed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Keep it in an index folder."""
        write_text(folder / APPROXIMATE_NAME, json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read what an index folder keeps; ``None`` where there is nothing.

        Raises:
            IndexFolderError: It is damaged.
        """
        path = folder / APPROXIMATE_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["tried"] = tuple(Probed(**probed) for probed in values["tried"])
            return cls(**values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexFolderError(
                f"{path}: is damaged ({error!r}); make it anew with "
                f"`earful index approximate {as_argument(folder)}`"
            ) from error


def part_rows(
    table: Table, rows: VectorSet, *, recall: float, k: int, n_queries: int
) -> Approximate:
    """Make a table's approximate index, and find out how many partitions must be looked at.

    Args:
        table: The table, held for writing.
        rows: All its rows.
        recall: Share of the true nearest rows to find, in (0, 1]. Where even all partitions
            do not give it, all are looked at.
        k: How many nearest rows to look for.
        n_queries: How many rows look for the others; spread evenly over all.

    Raises:
        IndexFolderError: There are too few rows, or the folder cannot be written.
        ValueError: A number is outside its range.
    """
    if not 0 < recall <= 1 or k < 1 or n_queries < 1:
        raise ValueError(
            f"recall={recall}, k={k}, n_queries={n_queries}; want recall in (0, 1], others from 1"
        )
    if len(rows) < LEAST_ROWS:
        raise IndexFolderError(
            f"{len(rows)} rows are too few for approximate search, want {LEAST_ROWS:,} or more; "
            "exact search looks at so few at once"
        )
    n_partitions = max(2, round(len(rows) ** 0.5 / 2))
    started = time.perf_counter()
    size_bytes = table.index_vectors(n_partitions)
    build_s = time.perf_counter() - started
    asking = np.unique(np.linspace(0, len(rows) - 1, min(n_queries, len(rows))).astype(int))
    queries = rows.vectors[asking]
    truth, exact_ms = _exact(rows, asking, k)
    probe = partial(_probed, table, rows, queries, asking, truth, k)
    tried: list[Probed] = []
    for refine in _REFINES:
        tried.append(probe(n_partitions, refine))
        if tried[-1].recall >= recall:
            break
    chosen, n_probes = tried[-1], 1
    # Where all partitions do not do, fewer do not either.
    while chosen.recall >= recall and n_probes < n_partitions:
        tried.append(probe(n_probes, refine))
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
        n_queries=len(asking),
        wanted=recall,
        recall=chosen.recall,
        ms=chosen.ms,
        exact_ms=exact_ms,
        build_s=build_s,
        size_bytes=size_bytes,
        tried=tuple(tried),
    )


def candidates(
    table: Table,
    query: NDArray[np.float32],
    k: int,
    settings: Approximate,
    chosen: SearchFilter,
    roots: tuple[Path, ...],
    columns: Sequence[str],
) -> pa.Table:
    """Return columns of rows near a query that pass a filter; some more than ``k`` rows."""
    condition = sql_of(chosen, roots)
    return table.nearest(
        query,
        k + _SPARE,
        columns,
        # The rows that pass may all lie in partitions far from the query.
        n_probes=settings.n_partitions if condition else settings.n_probes,
        refine=settings.refine,
        where=condition,
    )


def _exact(
    rows: VectorSet, asking: NDArray[np.intp], k: int
) -> tuple[list[tuple[frozenset[str], float]], float]:
    """Return each query's true nearest ids with the least similarity, and the median ms."""
    truth, times = [], []
    for row in asking:
        started = time.perf_counter()
        hits = rows.search(rows.vectors[row], k=k + 1)
        times.append(time.perf_counter() - started)
        others = [hit for hit in hits if hit.exemplar.id != rows.exemplars[row].id][:k]
        truth.append((frozenset(hit.exemplar.id for hit in others), others[-1].similarity))
    return truth, median(times) * 1000


def _probed(
    table: Table,
    rows: VectorSet,
    queries: NDArray[np.float32],
    asking: NDArray[np.intp],
    truth: list[tuple[frozenset[str], float]],
    k: int,
    n_probes: int,
    refine: int,
) -> Probed:
    n_found, times = 0, []
    for query, row, (nearest, least) in zip(queries, asking, truth, strict=True):
        started = time.perf_counter()
        found = table.nearest(query, k + 1, ["id"], n_probes=n_probes, refine=refine)
        times.append(time.perf_counter() - started)
        own = rows.exemplars[row].id
        ids = [id_ for id_ in found.column("id").to_pylist() if id_ != own][:k]
        # Another row that is just as near is as good as the one that ties put first.
        places = rows.rows_of_ids([id_ for id_ in ids if id_ not in nearest])
        ties = int((rows.vectors[places] @ query >= least - 1e-6).sum())
        n_found += sum(id_ in nearest for id_ in ids) + ties
    wanted = sum(len(nearest) for nearest, _ in truth)
    return Probed(
        n_probes=n_probes, refine=refine, recall=min(1.0, n_found / wanted), ms=median(times) * 1000
    )
