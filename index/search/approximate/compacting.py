"""Compaction of a table that may have an approximate index, whose recall stays what was asked for.

LanceDB's ``optimize`` takes new rows into the approximate index, and also joins partitions that
it holds for too small and splits others, however many were chosen, and where there are no new
rows, too. A search that looks at as many partitions as before may then find far less.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from earful.errors import IndexFolderError
from earful.index.search.approximate.partitioning import (
    LEAST_ROWS,
    default_partitions,
    measured_recall,
    partition_rows,
)
from earful.index.search.approximate.row_scans import check_rows
from earful.index.search.approximate.settings import Approximate, search_all_meanwhile
from earful.index.search.approximate.truth import find_truth
from earful.index.storage import Table

# Of settings that were not measured, as a process ended before.
_QUERIES: Final = 200


def compact_rows(table: Table, dim: int) -> None:
    """Compact a table; its approximate index is measured again, and made anew if it finds less.

    Below ``LEAST_ROWS`` rows nothing is measured: all of them are compared.

    Args:
        table: The table; the caller holds the writer lock.
        dim: Length of a vector.

    Raises:
        IndexFolderError: There is no room for the second copy that this needs, a row or a file is
            damaged, or the folder cannot be written.
    """
    # Checked first: what is compacted counts as right from then on.
    check_rows(table, dim)
    before = Approximate.read(table.folder)
    if before is None:
        table.compact()
        return
    search_all_meanwhile(table.folder, before.n_partitions)
    try:
        table.compact()
    except IndexFolderError:
        if not table.refresh():
            before.write(table.folder)
        raise
    if len(table) >= LEAST_ROWS:
        _measured_again(table, dim, before).write(table.folder)


def _measured_again(table: Table, dim: int, before: Approximate) -> Approximate:
    """Return settings that find what ``before`` promised, the index made anew if need be."""
    truth = find_truth(table, dim, k=before.k, n_queries=before.n_queries or _QUERIES)
    found = measured_recall(table, truth, before.n_probes, before.refine)
    # Where all partitions did not give what was wanted, they still need not.
    if before.n_queries and found.recall >= min(before.wanted, before.recall):
        return replace(
            before,
            n_rows=len(table),
            recall=found.recall,
            ms=found.ms,
            exact_ms=truth.exact_ms,
            size_bytes=table.vector_index_bytes(),
            tried=(found,),
        )
    chosen = before.n_partitions != default_partitions(before.n_rows)
    return partition_rows(
        table,
        dim,
        recall=before.wanted,
        k=before.k,
        n_queries=len(truth.ids),
        n_partitions=before.n_partitions if chosen else None,
        truth=truth,
    )
