"""Exact nearest neighbours over vectors in RAM, with filters; FAISS behind the same call.

Similarity is the cosine of two unit vectors, computed here. Candidates come from one
float32 matrix product; those that could be among the best are scored again in float64,
row by row, so that equal vectors get equal scores whatever the batch size, the number of
threads or the backend, and ties break by id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.index.exemplar import Exemplar

Backend = Literal["exact", "faiss"]
Rows = NDArray[np.intp]
Vectors = NDArray[np.float32]

# Bounds the difference of a float32 dot product of unit vectors from the exact one, for
# up to a few thousand dimensions.
_SLACK = 1e-5
_QUERIES_AT_ONCE = 64
_UNIT_TOLERANCE = 1e-3
# Beyond this many rows left out, asking FAISS for so many more costs more than a scan.
_MOST_OVERFETCHED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Which rows may be found. Every condition must hold; an empty one always does.

    Attributes:
        labels: At least one of the row's labels is among these.
        splits: The row's split is among these.
        exclude_ids: Ids left out.
        exclude_groups: Groups left out. The empty group never matches.
        exclude_content: ``content_sha256`` digests left out.
        exclude_paths: Resolved audio paths left out.
        where: SQL over the index's columns; only ``Index.search`` evaluates it.
        min_similarity: Least cosine similarity, in [-1, 1].
    """

    labels: frozenset[str] = frozenset()
    splits: frozenset[str] = frozenset()
    exclude_ids: frozenset[str] = frozenset()
    exclude_groups: frozenset[str] = frozenset()
    exclude_content: frozenset[str] = frozenset()
    exclude_paths: frozenset[str] = frozenset()
    where: str = ""
    min_similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An exemplar that was found.

    Attributes:
        exemplar: The labelled stretch.
        similarity: Cosine similarity to the query, in [-1, 1].
        rank: 0 for the nearest.
        path: Where its audio file lies.
        content_sha256: Digest of its decoded audio.
    """

    exemplar: Exemplar
    similarity: float
    rank: int
    path: Path
    content_sha256: str

    def to_dict(self) -> dict[str, str | float]:
        """Return what an answer's JSON shows of it."""
        return {
            "id": self.exemplar.id,
            "audio": str(self.path),
            "answer": self.exemplar.answer,
            "similarity": round(self.similarity, 6),
        }


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
    vectors: Vectors, query: Vectors, scores: Vectors, k: int
) -> tuple[Rows, NDArray[np.float64]]:
    """Pick the best ``k`` given approximate scores of every row (``-inf`` for none)."""
    k = min(k, scores.size)
    if k < 1:
        return np.empty(0, np.intp), np.empty(0)
    threshold = np.partition(scores, scores.size - k)[scores.size - k]
    candidates = np.flatnonzero((scores >= threshold - _SLACK) & np.isfinite(scores))
    return _rescore(vectors, query, candidates, k)


def _rescore(
    vectors: Vectors, query: Vectors, rows: Rows, k: int
) -> tuple[Rows, NDArray[np.float64]]:
    exact = (vectors[rows].astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    np.clip(exact, -1.0, 1.0, out=exact)
    best = np.lexsort((rows, -exact))[:k]
    return rows[best], exact[best]


class VectorSet:
    """Labelled vectors in RAM: the rows of an index, or the examples of a task.

    Rows are kept in the order of their ids.

    Attributes:
        exemplars: ``n`` exemplars with distinct ids.
        paths: Resolved audio path of each.
        content: ``content_sha256`` of each.
        vectors: float32, shape ``(n, dim)``, unit rows.
    """

    def __init__(
        self,
        *,
        exemplars: Sequence[Exemplar],
        paths: Sequence[Path],
        content: Sequence[str],
        vectors: Vectors,
    ) -> None:
        n = len(exemplars)
        if not (len(paths) == len(content) == len(vectors) == n) or vectors.ndim != 2:
            raise ValueError(
                f"{n} exemplars, {len(paths)} paths, {len(content)} digests and vectors of shape "
                f"{vectors.shape}; want as many of each and shape (n, dim)"
            )
        ids = [exemplar.id for exemplar in exemplars]
        if len(set(ids)) != n:
            twice = next(id_ for id_ in ids if ids.count(id_) > 1)
            raise ValueError(f"id {twice!r} stands twice among the exemplars; want distinct ids")
        order = sorted(range(n), key=ids.__getitem__)
        self.exemplars = tuple(exemplars[row] for row in order)
        self.paths = tuple(paths[row] for row in order)
        self.content = tuple(content[row] for row in order)
        in_order = order == list(range(n))
        self.vectors: Vectors = np.ascontiguousarray(
            vectors if in_order else vectors[order], dtype=np.float32
        )

    def __len__(self) -> int:
        return len(self.exemplars)

    def search(
        self,
        query: Vectors,
        *,
        k: int,
        filter: SearchFilter = SearchFilter(),
        backend: Backend = "exact",
        only: Rows | None = None,
    ) -> list[Hit]:
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
            MissingExtraError: FAISS is wanted and not installed.
        """
        queries = np.asarray(query, dtype=np.float32)[None]
        (hits,) = self.search_many(queries, k=k, filter=filter, backend=backend, only=only)
        return hits

    def search_many(
        self,
        queries: Vectors,
        *,
        k: int,
        filter: SearchFilter = SearchFilter(),
        backend: Backend = "exact",
        only: Rows | None = None,
    ) -> list[list[Hit]]:
        """Search with several queries under one filter; each result as ``search`` gives it.

        Args:
            queries: float32, shape ``(m, dim)``, unit rows.
            k: As in ``search``.
            filter: As in ``search``.
            backend: As in ``search``.
            only: As in ``search``.
        """
        queries = np.asarray(queries, dtype=np.float32)
        self._check(queries, k, filter)
        mask = self._mask(filter, only)
        found: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            chunk = queries[start : start + _QUERIES_AT_ONCE]
            ranked = (
                self._faiss_ranked(chunk, k, mask)
                if backend == "faiss"
                else self._exact_ranked(chunk, k, mask)
            )
            found += [self._hits(rows, scores, filter.min_similarity) for rows, scores in ranked]
        return found

    def _check(self, queries: Vectors, k: int, chosen: SearchFilter) -> None:
        if k < 1:
            raise ValueError(f"k={k}; want 1 or more")
        if chosen.where:
            raise ValueError("filter.where needs an Index; a VectorSet has no SQL")
        if queries.ndim != 2 or queries.shape[1] != self.vectors.shape[1]:
            raise ValueError(f"query of shape {queries.shape[1:]}; want ({self.vectors.shape[1]},)")
        norms = np.linalg.norm(queries, axis=1)
        if not np.all(np.abs(norms - 1.0) <= _UNIT_TOLERANCE):
            raise ValueError(f"query norms {norms.tolist()}; want finite queries of unit norm")

    def _exact_ranked(
        self, queries: Vectors, k: int, mask: NDArray[np.bool_] | None
    ) -> list[tuple[Rows, NDArray[np.float64]]]:
        scores = queries @ self.vectors.T
        if mask is not None:
            scores[:, ~mask] = -np.inf
        return [
            _best(self.vectors, query, row, k) for query, row in zip(queries, scores, strict=True)
        ]

    def _faiss_ranked(
        self, queries: Vectors, k: int, mask: NDArray[np.bool_] | None
    ) -> list[tuple[Rows, NDArray[np.float64]]]:
        n_left_out = 0 if mask is None else int(np.count_nonzero(~mask))
        if n_left_out > _MOST_OVERFETCHED or not len(self):
            return self._exact_ranked(queries, k, mask)
        return [self._faiss_one(query, k, n_left_out, mask) for query in queries]

    def _faiss_one(
        self, query: Vectors, k: int, n_left_out: int, mask: NDArray[np.bool_] | None
    ) -> tuple[Rows, NDArray[np.float64]]:
        # Fetch more until the last candidate is clearly worse than the k-th that counts:
        # only then can no tie have been cut off.
        n_fetched = min(len(self), k + n_left_out + 8)
        while True:
            scores, rows = self._faiss.search(query, n_fetched)
            kept = rows if mask is None else rows[mask[rows]]
            kept_scores = scores if mask is None else scores[mask[rows]]
            complete = len(kept) >= k and scores[-1] < kept_scores[k - 1] - _SLACK
            if complete or n_fetched == len(self):
                return _rescore(self.vectors, query, np.sort(kept), k)
            n_fetched = min(len(self), 2 * n_fetched)

    @cached_property
    def _faiss(self) -> _Faiss:
        return _Faiss(self.vectors)

    def _hits(
        self, rows: Rows, similarities: NDArray[np.float64], least: float | None
    ) -> list[Hit]:
        return [
            Hit(
                exemplar=self.exemplars[row],
                similarity=float(similarity),
                rank=rank,
                path=self.paths[row],
                content_sha256=self.content[row],
            )
            for rank, (row, similarity) in enumerate(zip(rows, similarities, strict=True))
            if least is None or similarity >= least
        ]

    def _mask(self, chosen: SearchFilter, only: Rows | None) -> NDArray[np.bool_] | None:
        keep: NDArray[np.bool_] | None = None
        if only is not None:
            keep = np.zeros(len(self), dtype=np.bool_)
            keep[only] = True
        for values, rows_of in (
            (chosen.labels, self._rows_by_label),
            (chosen.splits, self._rows_by_split),
        ):
            if values:
                wanted = _marked(len(self), values, rows_of)
                keep = wanted if keep is None else keep & wanted
        for values, rows_of in (
            (chosen.exclude_ids, self._rows_by_id),
            (chosen.exclude_groups - {""}, self._rows_by_group),
            (chosen.exclude_content - {""}, self._rows_by_content),
            (chosen.exclude_paths, self._rows_by_path),
        ):
            if values:
                unwanted = _marked(len(self), values, rows_of)
                keep = ~unwanted if keep is None else keep & ~unwanted
        return keep

    def rows_of_ids(self, ids: Collection[str]) -> Rows:
        """Return the row numbers of those ids that are here, ascending."""
        return np.flatnonzero(_marked(len(self), ids, self._rows_by_id))

    def _inverted(self, keys: Callable[[int], Collection[str]]) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row in range(len(self)):
            for key in keys(row):
                rows.setdefault(key, []).append(row)
        return rows

    @cached_property
    def _rows_by_id(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: (self.exemplars[row].id,))

    @cached_property
    def _rows_by_label(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: self.exemplars[row].labels)

    @cached_property
    def _rows_by_split(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: (self.exemplars[row].split,))

    @cached_property
    def _rows_by_group(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: (self.exemplars[row].group,))

    @cached_property
    def _rows_by_content(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: (self.content[row],))

    @cached_property
    def _rows_by_path(self) -> dict[str, list[int]]:
        return self._inverted(lambda row: (str(self.paths[row]),))


def _marked(n: int, values: Collection[str], rows_of: dict[str, list[int]]) -> NDArray[np.bool_]:
    marked = np.zeros(n, dtype=np.bool_)
    for value in values:
        marked[rows_of.get(value, [])] = True
    return marked


class _Faiss:
    """A flat inner-product index, on the GPU when this FAISS has one."""

    def __init__(self, vectors: Vectors) -> None:
        try:
            import faiss
        except ImportError as error:
            from earful.errors import MissingExtraError

            raise MissingExtraError(
                "the faiss backend needs FAISS: pip install 'earful[faiss]' (CPU) or "
                "'earful[faiss-gpu]' (NVIDIA GPU)"
            ) from error
        # By default FAISS scans small batches of queries without BLAS, many times slower.
        faiss.cvar.distance_compute_blas_threshold = 20
        index = faiss.IndexFlatIP(vectors.shape[1])
        if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        index.add(vectors)
        self._index = index

    def search(self, query: Vectors, k: int) -> tuple[Vectors, Rows]:
        scores, rows = self._index.search(query[None], k)
        return scores[0], rows[0].astype(np.intp)
