"""Approximate search: partitions of the rows, and how many of them to search on this index.

Off by default: exact search takes milliseconds up to a hundred thousand rows. When it is set
up, rows of the index serve as queries for the others, and the smallest number of partitions
is chosen that finds what exact search finds, with the recall asked for. Candidates are scored
again in float64, so every similarity is exact; a hit may be missing.
"""

from __future__ import annotations

import math
import time
from typing import Final

import numpy as np

from earful.errors import IndexFolderError
from earful.index.search.approximate.settings import (
    REFINES,
    Approximate,
    PartitionRecall,
    search_all_meanwhile,
)
from earful.index.search.approximate.truth import Truth, find_truth
from earful.index.storage import Table, vectors_of

LEAST_ROWS: Final = 1000
"""Fewer rows are not partitioned: comparing with all of them takes less than a millisecond."""

# A row as near as the last of the nearest is as good as that one, in float32.
_TIE: Final = 1e-6


def partition_rows(
    table: Table,
    dim: int,
    *,
    recall: float,
    k: int,
    n_queries: int,
    n_partitions: int | None = None,
    truth: Truth | None = None,
) -> Approximate:
    """Make the approximate index of a table, and measure how many partitions must be searched.

    Memory does not grow with the table: rows are read in batches.

    Args:
        table: The table; the caller holds the writer lock.
        dim: Length of a vector.
        recall: Share of the true nearest rows to find, in (0, 1]. When even all partitions
            do not give it, all are searched.
        k: How many nearest rows to look for.
        n_queries: How many rows serve as queries; spread evenly over all.
        n_partitions: How many; half the square root of the rows by default.
        truth: Of this table, as it is now, where it is known.

    Raises:
        IndexFolderError: There are too few rows, a row or a file is damaged, or the folder
            cannot be written.
        ValueError: A number is outside its range.
    """
    require_sensible(recall=recall, k=k, n_queries=n_queries)
    n_partitions = checked_partitions(len(table), n_partitions)
    truth = truth or find_truth(table, dim, k=k, n_queries=n_queries)
    started = time.perf_counter()
    search_all_meanwhile(table.folder, n_partitions)
    size_bytes = table.index_vectors(n_partitions)
    build_s = time.perf_counter() - started
    return measure_recall(
        table,
        truth,
        recall=recall,
        n_partitions=n_partitions,
        build_s=build_s,
        size_bytes=size_bytes,
    )


def measure_recall(
    table: Table,
    truth: Truth,
    *,
    recall: float,
    n_partitions: int,
    build_s: float,
    size_bytes: int,
) -> Approximate:
    """Choose how much of an approximate index to search, by the recall on its own rows.

    Args:
        table: Has the approximate index.
        truth: Of this table, as it is now.
        recall: Share of the true nearest rows to find, in (0, 1].
        n_partitions: Partitions of the index.
        build_s: Time that it took to build, in seconds, to be told.
        size_bytes: Its size on disk, to be told.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    tried: list[PartitionRecall] = []
    # How many rows to compare by their full vectors, when all partitions are searched.
    for refine in REFINES:
        tried.append(measured_recall(table, truth, n_partitions, refine))
        if tried[-1].recall >= recall:
            break
    chosen, n_probes = tried[-1], 1
    # How few partitions are enough; none are, when even all do not give the recall.
    while chosen.recall >= recall and n_probes < n_partitions:
        tried.append(measured_recall(table, truth, n_probes, refine))
        if tried[-1].recall >= recall:
            chosen = tried[-1]
            break
        n_probes *= 2
    return Approximate(
        n_rows=len(table),
        n_partitions=n_partitions,
        n_probes=chosen.n_probes,
        refine=chosen.refine,
        k=truth.k,
        n_queries=len(truth.ids),
        wanted=recall,
        recall=chosen.recall,
        ms=chosen.ms,
        exact_ms=truth.exact_ms,
        build_s=build_s,
        size_bytes=size_bytes,
        tried=tuple(tried),
    )


def default_partitions(n_rows: int) -> int:
    """Return how many partitions so many rows get.

    >>> default_partitions(100_000), default_partitions(1_000_000), default_partitions(10**9)
    (158, 500, 15811)
    """
    return max(2, round(math.sqrt(n_rows) / 2))


def checked_partitions(n_rows: int, wanted: int | None) -> int:
    """Return how many partitions a table gets, the default for its size or what is wanted.

    Raises:
        IndexFolderError: There are too few rows for any.
        ValueError: ``wanted`` is outside its range.
    """
    if n_rows < LEAST_ROWS:
        raise IndexFolderError(
            f"{n_rows} rows are too few for approximate search, expected {LEAST_ROWS:,} or "
            "more; exact search compares so few at once"
        )
    n_partitions = default_partitions(n_rows) if wanted is None else wanted
    if not 2 <= n_partitions <= n_rows // 2:
        raise ValueError(
            f"n_partitions={n_partitions}: expected 2 to {n_rows // 2:,} for {n_rows:,} rows"
        )
    return n_partitions


def require_sensible(*, recall: float, k: int, n_queries: int) -> None:
    """Refuse numbers that no measurement can be made with.

    Raises:
        ValueError: One is outside its range.
    """
    if not 0 < recall <= 1 or k < 1 or n_queries < 1:
        raise ValueError(
            f"recall={recall}, k={k}, n_queries={n_queries}: expected recall in (0, 1] and the "
            "others 1 or more"
        )


def measured_recall(table: Table, truth: Truth, n_probes: int, refine: int) -> PartitionRecall:
    """Return the recall and the time of searches that look at some of the partitions.

    Args:
        table: Has the approximate index.
        truth: Of this table, as it is now.
        n_probes: Partitions searched for each query.
        refine: ``refine * k`` rows are compared by their full vectors.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    n_found, times = 0, []
    wanted = min(truth.k, len(table) - 1)
    for id_, query, least in zip(truth.ids, truth.vectors, truth.least, strict=True):
        started = time.perf_counter()
        found = table.nearest(
            query, truth.k + 1, ["id", "vector"], n_probes=n_probes, refine=refine
        )
        times.append(time.perf_counter() - started)
        vectors, exact = vectors_of(found, len(query)).astype(np.float64), query.astype(np.float64)
        cosines = vectors @ exact / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(exact))
        others = [
            cosine
            for other, cosine in zip(found.column("id").to_pylist(), cosines, strict=True)
            if other != id_
        ]
        # Another row that is just as near counts as much as the one that a tie put first.
        n_near = sum(bool(cosine >= least - _TIE) for cosine in others[: truth.k])
        n_found += min(wanted, n_near)
    return PartitionRecall(
        n_probes=n_probes,
        refine=refine,
        recall=n_found / (wanted * len(truth.ids)),
        ms=float(np.median(times)) * 1000,
    )
