"""Search over rows on disk: a backend proposes candidates, and only these are read and scored.

Reading all rows into a ``VectorSet`` lives here, too: both turn rows of the table into
vectors that were checked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError, IndexFolderError
from earful.index.search.approximate import LEAST_ROWS, Approximate
from earful.index.search.class_scores import ClassScores
from earful.index.search.exact import Vectors, VectorSet, unit_queries
from earful.index.search.half_precision import HalfPrecisionRows
from earful.index.search.hit import Hits
from earful.index.search.search_filter import SearchFilter, sql_of
from earful.index.search.stored_rows import StoredExemplars, StoredPaths
from earful.index.storage import (
    CLASS_SCORES,
    IndexFolder,
    Table,
    audio_paths,
    changed_rows,
    class_scores_of,
    exemplar_of,
    exemplar_values,
    numbers_of,
    vectors_of,
)
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa

# A few candidates more than k, so that ties at the cut are broken by id.
_SPARE: Final = 8
# Rows that are checked together.
_ROWS_AT_ONCE: Final = 4096
# The columns of a hit beside its exemplar, for tables whose files were checked as a whole.
_HIT_COLUMNS: Final = ("root", "duration_s", "content_sha256", "vector")


class DiskSearch:
    """Search that does not hold all rows in RAM.

    Args:
        folder: The index.
    """

    def __init__(self, folder: IndexFolder) -> None:
        self._folder = folder
        self._half_precision: HalfPrecisionRows | None = None

    def half_precision(self, query: Vectors, k: int, filter: SearchFilter) -> Hits:
        """Search through bfloat16 copies of the vectors in RAM.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            k: How many hits at most.
            filter: Which rows may be found.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            IndexFolderError: A row or a file is damaged.
            ValueError: The query has another shape or norm; ``k`` is below 1.
        """
        query = self._checked(query, k)
        table = self._folder.table
        condition = sql_of(filter, self._folder.roots())
        found = None
        while found is None:
            only = table.places_where(condition) if condition else None
            if self._half_precision is None:
                self._half_precision = HalfPrecisionRows(table, self._folder.fingerprint.dim)
            found = self._half_precision.candidates(query, k, table.row_columns, only)
            if found is None:
                # The table has moved on: copy its vectors again.
                self._half_precision = None
        return self._ranked(found, query, k, filter)

    def approximate(
        self, query: Vectors, k: int, filter: SearchFilter, settings: Approximate | None
    ) -> Hits:
        """Search through the partitions that ``partition_rows`` made.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            k: How many hits at most.
            filter: Which rows may be found.
            settings: Of the index; ``None`` where approximate search is not set up.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            IndexFolderError: A row or a file is damaged, or there are no settings.
            ValueError: The query has another shape or norm; ``k`` is below 1.
        """
        query = self._checked(query, k)
        if settings is None:
            path = self._folder.path
            if len(self._folder.table) < LEAST_ROWS:
                raise IndexFolderError(
                    f"{path}: {len(self._folder.table):,} rows are too few for approximate search, "
                    f"expected {LEAST_ROWS:,} or more; exact search compares so few at once"
                )
            raise IndexFolderError(
                f"{path}: approximate search is not set up; run "
                f"`earful index approximate {as_argument(path)}`"
            )
        table = self._folder.table
        condition = sql_of(filter, self._folder.roots())
        found = table.nearest(
            query,
            k + _SPARE,
            table.row_columns,
            # The rows that pass the filter may all lie in partitions far from the query.
            n_probes=settings.n_partitions if condition else settings.n_probes,
            # At least as many rows by their full vectors as when the recall was measured.
            refine=-(-settings.refine * (max(k, settings.k) + 1) // (k + _SPARE)),
            where=condition,
        )
        return self._ranked(found, query, k, filter)

    def _checked(self, query: Vectors, k: int) -> NDArray[np.float32]:
        if k < 1:
            raise ValueError(f"k={k}: expected 1 or more")
        (query,) = unit_queries(np.asarray(query)[None], self._folder.fingerprint.dim)
        return query

    def _ranked(
        self, found: pa.Table, query: NDArray[np.float32], k: int, filter: SearchFilter
    ) -> Hits:
        proposed = _vector_set(self._folder, found, check_rows=True)
        return proposed.search(query, k=k, filter=replace(filter, where=""))


def read_vector_set(folder: IndexFolder) -> VectorSet:
    """Read all rows of an index into RAM, but for class scores, which nobody may ask for.

    Rows are compared with their own digests only where ``checksums.txt`` lacks their files.

    Raises:
        IndexFolderError: A row or a file is damaged.
    """
    import pyarrow as pa

    hit_columns = (*folder.table.exemplar_columns, *_HIT_COLUMNS)
    if (mapped := folder.table.read_snapshot(hit_columns)) is not None:
        return _stored_vector_set(folder, mapped)
    listed = folder.table.check()
    keeps = os.access(folder.path, os.W_OK)
    if keeps:
        columns: Sequence[str] = folder.table.columns
    else:
        columns = hit_columns if listed else folder.table.row_columns
    table = folder.table.read(columns)
    # A part at a time: an object of each row of a million would take gigabytes.
    for part in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        _vector_set(folder, pa.Table.from_batches([part]), check_rows=not listed)
    if keeps:
        folder.table.keep_snapshot(table)
    return _stored_vector_set(folder, table)


def _stored_vector_set(folder: IndexFolder, table: pa.Table) -> VectorSet:
    """Make the set of rows that were checked, now or when a snapshot was made of them."""
    exemplars = StoredExemplars(table)
    content = tuple(table.column("content_sha256").to_pylist())
    scores = None
    if (known := class_scores_of(table)) is not None:
        scores = ClassScores.of(known)
    elif folder.n_classes:
        scores = _unread_scores(folder, exemplars.ids, content)
    try:
        return VectorSet(
            exemplars=exemplars,
            paths=StoredPaths(table, folder.roots()),
            content=content,
            vectors=vectors_of(table, folder.fingerprint.dim),
            durations=numbers_of(table.column("duration_s")),
            stored_scores=scores,
        )
    except (ValueError, IndexError) as error:
        raise folder.damaged(error) from error


def _vector_set(folder: IndexFolder, table: pa.Table, *, check_rows: bool) -> VectorSet:
    try:
        exemplars = [exemplar_of(values) for values in exemplar_values(table)]
        vectors = vectors_of(table, folder.fingerprint.dim)
        if check_rows and (changed := changed_rows(table, exemplars, vectors)):
            id_ = exemplars[changed[0]].id
            raise ValueError(f"{id_!r} does not match its own digest")
        content = table.column("content_sha256").to_pylist()
        scores = None
        if (known := class_scores_of(table)) is not None:
            scores = ClassScores.of(known)
        elif folder.n_classes:
            scores = _unread_scores(folder, lambda: [e.id for e in exemplars], content)
        return VectorSet(
            exemplars=exemplars,
            paths=audio_paths(table, folder.roots()),
            content=content,
            vectors=vectors,
            durations=table.column("duration_s").to_pylist(),
            stored_scores=scores,
        )
    except (CorpusError, ValueError, IndexError) as error:
        raise folder.damaged(error) from error


def _unread_scores(
    folder: IndexFolder, ids_of: Callable[[], list[str]], content: Sequence[str]
) -> ClassScores:
    """Return the class scores of all rows, as they are now, to be read when asked for.

    Args:
        folder: The index.
        ids_of: Returns the ids of its rows, in order.
        content: Digests of their audio: a row that was given other audio since has other scores.
    """
    version = folder.table.version

    def read() -> NDArray[np.float16]:
        table = folder.table
        if table.version != version:
            # The rows were read before the last change.
            table = Table.at_version(folder.path, version)
        found = table.read(["id", "content_sha256", CLASS_SCORES])
        ids, digests = (found.column(name).to_pylist() for name in ("id", "content_sha256"))
        if ids != ids_of() or digests != list(content):
            raise IndexFolderError(
                f"{folder.path}: was written and compacted since its rows were read; read them "
                "again"
            )
        scores = class_scores_of(found)
        if scores is None or not np.isfinite(scores).all():
            raise folder.damaged(ValueError("a class score is missing or not finite"))
        return scores

    return ClassScores(read)
