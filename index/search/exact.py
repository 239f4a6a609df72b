"""Exact search: nearest neighbours among vectors in RAM, with filters, optionally by FAISS.

Similarity is the cosine of two vectors, computed here. Candidates come from one matrix
product, in float32 or, for many queries at once, in bfloat16 (``bfloat16.py``); those that
could be among the best are scored again in float64, row by row, so that equal vectors get
equal scores whatever the batch size, the number of threads or the backend, and ties break
by id.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from earful.index.corpus import Exemplar
from earful.index.search.bfloat16 import Bfloat16Rows
from earful.index.search.class_scores import ClassScores, Scores, logistic, rank_by_scores
from earful.index.search.faiss import MOST_FETCHED, FlatFaiss
from earful.index.search.hit import Hit, Hits
from earful.index.search.search_filter import SearchFilter
from earful.index.search.stored_rows import StoredExemplars
from earful.index.storage import has_unit_norm

Backend = Literal["exact", "faiss"]
IndexBackend = Literal["exact", "faiss", "half", "approximate"]
Rows = NDArray[np.intp]
Vectors = NDArray[np.float32]

# Twice the most that a float32 dot product of unit vectors differs from the exact one, with
# room to spare for up to a few thousand dimensions.
_SLACK = 1e-5
# Rows whose norm is further from 1 than this are normalised.
_UNIT_EPSILON = 1e-6
_QUERIES_AT_ONCE = 64
_SCORES_AT_ONCE = 2**25
_ROWS_AT_ONCE = 4096
# Comparing rows that must be copied first costs this many times what rows in place cost.
_COST_OF_A_COPY = 3
# From these sizes on a copy of all rows in bfloat16 pays off for a batch of queries.
_ROWS_WORTH_A_COPY = 10_000
_QUERIES_WORTH_A_COPY = 8
# FAISS is asked for a few rows more than k, so that ties at the cut rarely need a second look.
_SPARE = 8


def top_k(vectors: Vectors, query: Vectors, k: int) -> tuple[Rows, NDArray[np.float64]]:
    """Find the ``k`` rows most similar to a query, best first.

    Ties go to the lower row number, so equal inputs give equal outputs on every machine.

    Args:
        vectors: float32, shape ``(n, dim)``, unit rows.
        query: float32, shape ``(dim,)``, unit norm.
        k: How many rows to return; capped at ``n``.

    Returns:
        ``(rows, similarities)``, each of shape ``(min(k, n),)``; similarities are float64
        in [-1, 1], descending.

    >>> rows, similarities = top_k(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[1], 2)
    >>> rows.tolist(), similarities.tolist()
    ([1, 0], [1.0, 0.0])
    """
    return _best(vectors, query, vectors @ query, k)


def _best(
    vectors: Vectors, query: Vectors, scores: Vectors, k: int, rows: Rows | None = None
) -> tuple[Rows, NDArray[np.float64]]:
    """Return the best ``k`` by approximate scores (``-inf`` for none), of all rows or some."""
    k = min(k, scores.size)
    if k < 1:
        return np.empty(0, np.intp), np.empty(0)
    threshold = np.partition(scores, scores.size - k)[scores.size - k]
    candidates = np.flatnonzero((scores >= threshold - _SLACK) & np.isfinite(scores))
    return _exact_cosines(vectors, query, candidates if rows is None else rows[candidates], k)


def _exact_cosines(
    vectors: Vectors, query: Vectors, rows: Rows, k: int
) -> tuple[Rows, NDArray[np.float64]]:
    """Rank some rows by their exact similarity: whatever proposed them, this decides."""
    cosines = np.empty(rows.size)
    exact_query = query.astype(np.float64)
    exact_query /= np.sqrt((exact_query * exact_query).sum())
    for start in range(0, rows.size, _ROWS_AT_ONCE):
        part = vectors[rows[start : start + _ROWS_AT_ONCE]].astype(np.float64)
        # Sums along a row, unlike a matrix product, do not depend on other rows.
        dots = (part * exact_query).sum(axis=1)
        cosines[start : start + _ROWS_AT_ONCE] = dots / np.sqrt((part * part).sum(axis=1))
    np.clip(cosines, -1.0, 1.0, out=cosines)
    best = np.lexsort((rows, -cosines))[:k]
    return rows[best], cosines[best]


class VectorSet:
    """Labelled vectors in RAM: the rows of an index, or the examples of a task.

    Rows are kept in the order of their ids.

    Attributes:
        exemplars: ``n`` exemplars with distinct ids.
        paths: Resolved audio path of each.
        content: ``content_sha256`` of each.
        vectors: float32, shape ``(n, dim)``, unit rows; read-only.
        durations: Seconds of each; 0 where not known, which is what ``None`` stands for.
        stored_scores: Class scores of the rows, not read yet; ``None`` where there are none.

    Raises:
        ValueError: The lengths differ, an id occurs twice, or a vector is not finite or
            not of unit norm.
    """

    def __init__(
        self,
        *,
        exemplars: Sequence[Exemplar],
        paths: Sequence[Path],
        content: Sequence[str],
        vectors: Vectors,
        durations: Sequence[float] | None = None,
        stored_scores: ClassScores | None = None,
    ) -> None:
        n = len(exemplars)
        durations = (0.0,) * n if durations is None else durations
        if not (len(paths) == len(content) == len(vectors) == n) or vectors.ndim != 2:
            raise ValueError(
                f"expected as many of each and vectors of shape (n, dim), got {n} exemplars, "
                f"{len(paths)} paths, {len(content)} digests and vectors of shape {vectors.shape}"
            )
        self.exemplars, self.paths, self.content = exemplars, paths, content
        self.durations = durations
        self.stored_scores = stored_scores
        if not isinstance(exemplars, StoredExemplars):  # which a table has in order
            ids = [exemplar.id for exemplar in exemplars]
            if len(set(ids)) != n:
                twice, _ = Counter(ids).most_common(1)[0]
                raise ValueError(f"id {twice!r} occurs twice among the exemplars; ids must differ")
            order = sorted(range(n), key=ids.__getitem__)
            self.exemplars = tuple(exemplars[row] for row in order)
            self.paths = tuple(paths[row] for row in order)
            self.content = tuple(content[row] for row in order)
            self.durations = tuple(durations[row] for row in order)
            self.stored_scores = stored_scores and stored_scores.subset(order)
            vectors = vectors if order == list(range(n)) else vectors[order]
        self.vectors = unit_rows(
            vectors, lambda row: f"vector of {self.exemplars[row].id!r}"
        ).view()
        self.vectors.setflags(write=False)
        # Rows by value, for each property that was asked for.
        self._rows_by: dict[str, dict[str, Rows]] = {}

    def __len__(self) -> int:
        return len(self.exemplars)

    def __repr__(self) -> str:
        return f"VectorSet({len(self)} rows of {self.vectors.shape[1]})"

    @property
    def class_scores(self) -> Scores | None:
        """float16, shape ``(n, n_classes)``, logits, read when first asked for; or ``None``."""
        return None if self.stored_scores is None else self.stored_scores.array

    def subset(self, rows: Rows) -> VectorSet:
        """Return some rows, ascending, as a set of their own."""
        return VectorSet(
            exemplars=[self.exemplars[row] for row in rows],
            paths=[self.paths[row] for row in rows],
            content=[self.content[row] for row in rows],
            vectors=self.vectors[rows],
            durations=[self.durations[row] for row in rows],
            stored_scores=self.stored_scores and self.stored_scores.subset(rows),
        )

    def search(
        self,
        query: Vectors,
        *,
        k: int,
        filter: SearchFilter = SearchFilter(),
        backend: Backend = "exact",
        only: Rows | None = None,
    ) -> Hits:
        """Find the nearest rows that pass a filter, best first; ties break by id.

        Args:
            query: float32, shape ``(dim,)``, unit norm.
            k: How many hits at most.
            filter: Which rows may be found; ``where`` must be empty.
            backend: ``"faiss"`` gives the same hits through FAISS, on a GPU if it has one.
            only: Row numbers to choose from, all when ``None``.

        Raises:
            ValueError: The query is of another length, not finite or not of unit norm;
                ``k`` is below 1; ``filter.where`` is given.
            MissingExtraError: The backend is FAISS, which is not installed.
        """
        (hits,) = self.search_many(
            np.asarray(query)[None], k=k, filter=filter, backend=backend, only=only
        )
        return hits

    def search_many(
        self,
        queries: Vectors,
        *,
        k: int,
        filter: SearchFilter = SearchFilter(),
        backend: Backend = "exact",
        only: Rows | None = None,
    ) -> list[Hits]:
        """Search with several queries under one filter; each result as ``search`` gives it.

        Args:
            queries: float32, shape ``(m, dim)``, unit rows.
            k: As in ``search``.
            filter: As in ``search``.
            backend: As in ``search``.
            only: As in ``search``.
        """
        _require_plain(k, filter)
        queries = unit_queries(queries, self.vectors.shape[1])
        mask = self._mask(filter, only)
        ranked = self._faiss_ranked if backend == "faiss" else self._exact_ranked
        n_at_once = max(1, min(_QUERIES_AT_ONCE, _SCORES_AT_ONCE // max(1, len(self))))
        return [
            self._hits(rows, similarities, filter.min_similarity)
            for start in range(0, len(queries), n_at_once)
            for rows, similarities in ranked(queries[start : start + n_at_once], k, mask)
        ]

    def search_classes(
        self,
        weights: Vectors,
        *,
        k: int,
        filter: SearchFilter = SearchFilter(),
        only: Rows | None = None,
    ) -> Hits:
        """Find the rows with the highest weighted class scores, best first; ties break by id.

        Args:
            weights: float32, shape ``(n_classes,)``: how much each class's score counts.
            k: As in ``search``.
            filter: As in ``search``.
            only: As in ``search``.

        Raises:
            ValueError: The rows have no class scores, or not as many as there are weights, or
                one of these is not finite; ``k`` is below 1; ``filter.where`` is given.
        """
        _require_plain(k, filter)
        if (scores := self.class_scores) is None:
            raise ValueError("the rows have no class scores; search them by vectors")
        if weights.shape != scores.shape[1:] or not np.isfinite(weights).all():
            raise ValueError(
                f"weights: expected finite ones of shape {scores.shape[1:]}, got {weights.shape}"
            )
        mask = self._mask(filter, only)
        rows = None if mask is None else np.flatnonzero(mask)
        found, logits = rank_by_scores(scores, weights, k, rows)
        return self._hits(found, logistic(logits), filter.min_similarity)

    def _exact_ranked(
        self, queries: Vectors, k: int, mask: NDArray[np.bool_] | None
    ) -> list[tuple[Rows, NDArray[np.float64]]]:
        if mask is not None and _COST_OF_A_COPY * np.count_nonzero(mask) < len(self):
            return self._ranked_among(queries, k, np.flatnonzero(mask))
        if self._bfloat16_pays(len(queries)):
            proposed = self._bfloat16_rows.candidates(queries, k, mask)
            return [
                self._ranked_among(query[None], k, rows)[0]
                for query, rows in zip(queries, proposed, strict=True)
            ]
        scores = queries @ self.vectors.T
        if mask is not None:
            scores[:, np.flatnonzero(~mask)] = -np.inf
        return [
            _best(self.vectors, query, row, k) for query, row in zip(queries, scores, strict=True)
        ]

    def _ranked_among(
        self, queries: Vectors, k: int, rows: Rows
    ) -> list[tuple[Rows, NDArray[np.float64]]]:
        """Rank a few rows without reading any others."""
        scores = np.empty((len(queries), rows.size), np.float32)
        # One buffer for all copies: new memory would cost more than the copying.
        copies = np.empty((min(rows.size, _ROWS_AT_ONCE), self.vectors.shape[1]), np.float32)
        for start in range(0, rows.size, _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            np.take(self.vectors, some, axis=0, out=copies[: some.size], mode="clip")
            scores[:, start : start + some.size] = queries @ copies[: some.size].T
        return [
            _best(self.vectors, query, row, k, rows)
            for query, row in zip(queries, scores, strict=True)
        ]

    def _bfloat16_pays(self, n_queries: int) -> bool:
        if len(self) < _ROWS_WORTH_A_COPY or n_queries < _QUERIES_WORTH_A_COPY:
            return False
        # Importing torch takes longer than any search that can do without it.
        if "torch" not in sys.modules:
            return False
        import torch

        from earful.model.runtime import has_bfloat16

        return has_bfloat16(torch.device("cpu"))

    @cached_property
    def _bfloat16_rows(self) -> Bfloat16Rows:
        return Bfloat16Rows([self.vectors])

    def _faiss_ranked(
        self, queries: Vectors, k: int, mask: NDArray[np.bool_] | None
    ) -> list[tuple[Rows, NDArray[np.float64]]]:
        n_left_out = 0 if mask is None else len(self) - int(np.count_nonzero(mask))
        n_fetched = min(len(self), k + n_left_out + _SPARE)
        if not 0 < n_fetched <= MOST_FETCHED:
            return self._exact_ranked(queries, k, mask)
        ranked = []
        for query, scores, rows in zip(
            queries, *self._faiss.search(queries, n_fetched), strict=True
        ):
            passed = np.ones(n_fetched, np.bool_) if mask is None else mask[rows]
            # Unless the worst row fetched is clearly worse than the k-th that passed, a tie with
            # that one may have been cut off.
            complete = n_fetched == len(self) or (
                np.count_nonzero(passed) >= k and scores[-1] < scores[passed][k - 1] - _SLACK
            )
            ranked.append(
                _exact_cosines(self.vectors, query, rows[passed], k)
                if complete
                else self._exact_ranked(query[None], k, mask)[0]
            )
        return ranked

    @cached_property
    def _faiss(self) -> FlatFaiss:
        return FlatFaiss(self.vectors)

    def _hits(self, rows: Rows, similarities: NDArray[np.float64], least: float | None) -> Hits:
        return Hits(
            Hit(
                exemplar=self.exemplars[row],
                similarity=float(similarity),
                rank=rank,
                path=self.paths[row],
                content_sha256=self.content[row],
                duration_s=float(self.durations[row]),
            )
            for rank, (row, similarity) in enumerate(zip(rows, similarities, strict=True))
            if least is None or similarity >= least
        )

    def _mask(self, chosen: SearchFilter, only: Rows | None) -> NDArray[np.bool_] | None:
        masks: list[NDArray[np.bool_]] = []
        if only is not None:
            masks.append(np.zeros(len(self), dtype=np.bool_))
            masks[0][only] = True
        for values, name in ((chosen.labels, "label"), (chosen.splits, "split")):
            if values:
                masks.append(self._with(name, values))
        for values, name in (
            (chosen.exclude_ids, "id"),
            (chosen.exclude_groups - {""}, "group"),
            (chosen.exclude_content - {""}, "content"),
            (chosen.exclude_paths, "path"),
        ):
            if values:
                masks.append(~self._with(name, values))
        return np.logical_and.reduce(masks) if masks else None

    def rows_of_ids(self, ids: Collection[str]) -> Rows:
        """Return the row numbers of the ids that are in the set, ascending."""
        return np.flatnonzero(self._with("id", ids))

    def _with(self, name: str, values: Collection[str]) -> NDArray[np.bool_]:
        """Mark the rows that have one of some values, of a property in ``_PROPERTIES``."""
        if name not in self._rows_by:
            rows: dict[str, list[int]] = {}
            for row, own in enumerate(_PROPERTIES[name](self)):
                for value in own:
                    rows.setdefault(value, []).append(row)
            self._rows_by[name] = {value: np.array(found) for value, found in rows.items()}
        marked = np.zeros(len(self), dtype=np.bool_)
        for value in values:
            if (found := self._rows_by[name].get(value)) is not None:
                marked[found] = True
        return marked


# The properties of rows that a filter may name.
_PROPERTIES: Final[dict[str, Callable[[VectorSet], Iterable[Collection[str]]]]] = {
    "id": lambda rows: ((exemplar.id,) for exemplar in rows.exemplars),
    "label": lambda rows: (exemplar.labels for exemplar in rows.exemplars),
    "split": lambda rows: ((exemplar.split,) for exemplar in rows.exemplars),
    "group": lambda rows: ((exemplar.group,) for exemplar in rows.exemplars),
    "content": lambda rows: ((content,) for content in rows.content),
    "path": lambda rows: ((str(path),) for path in rows.paths),
}


def unit_rows(vectors: NDArray[np.floating], name: Callable[[int], str]) -> Vectors:
    """Return contiguous float32 rows of norm 1, from rows whose norm is nearly 1.

    Args:
        vectors: Shape ``(n, dim)``.
        name: Names a row for the error, by its number.

    Raises:
        ValueError: A row is not finite or not of unit norm.
    """
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if bad := np.flatnonzero(~has_unit_norm(norms)).tolist():
        raise ValueError(
            f"{name(bad[0])}: expected a finite vector of unit norm, got norm {norms[bad[0]]}"
        )
    exact = np.abs(norms - 1.0) <= _UNIT_EPSILON
    return rows if exact.all() else rows / norms[:, None]


def unit_queries(queries: NDArray[np.floating], dim: int) -> Vectors:
    """Return queries as ``unit_rows``.

    Raises:
        ValueError: They are of another length than ``dim``, not finite or not of unit norm.
    """
    queries = np.asarray(queries)
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise ValueError(f"query: expected shape ({dim},), got {queries.shape[1:]}")
    return unit_rows(queries, lambda row: f"query {row}")


def _require_plain(k: int, filter: SearchFilter) -> None:
    if k < 1:
        raise ValueError(f"k={k}: expected 1 or more")
    if filter.where:
        raise ValueError("filter.where needs an Index; a VectorSet has no SQL")
