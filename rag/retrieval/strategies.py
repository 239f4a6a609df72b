"""Choosing the shots: which exemplars of a pool a query is shown, and in which order.

Every strategy sees only the rows that the query's guard allows, takes equal audio once,
keeps the limit per label, and breaks ties by id; so equal inputs give equal shots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from earful.index.search import top_k
from earful.rag.arrays import Rows, Similarities
from earful.rag.retrieval.candidates import Pool
from earful.rag.task import Order, Shots

Vector = NDArray[np.float32]
Item = TypeVar("Item")

# Bounds the error of a float32 dot product: a short list keeps all that may be ties.
_SLACK = 1e-5
_NO_LABEL = -1


def choose_shots(
    pool: Pool,
    query: Vector,
    *,
    shots: Shots,
    allowed: NDArray[np.bool_] | None = None,
    seed: int = 0,
    similarities: Vector | None = None,
) -> tuple[Rows, Similarities]:
    """Choose up to ``shots.k`` exemplars for a query.

    Args:
        pool: What may be chosen.
        query: float32, shape ``(dim,)``, unit norm.
        shots: How many, and by which strategy.
        allowed: bool, shape ``(n,)``: rows that may be chosen, all when ``None``; see
            ``Pool.allowed``.
        seed: For the strategy ``random``.
        similarities: float32, shape ``(n,)``: ``pool.vectors @ query`` if it is at hand.

    Returns:
        ``(rows, similarities)``, the most similar first; fewer than ``k`` only when no
        more may be chosen.
    """
    rows = np.arange(len(pool)) if allowed is None else np.flatnonzero(allowed)
    basket = _Basket(pool, shots)
    if shots.strategy == "random":
        order = np.random.default_rng(seed).permutation(len(pool))
        basket.fill(order if allowed is None else order[allowed[order]])
    else:
        scores = pool.vectors @ query if similarities is None else similarities
        # A short list nearly always suffices; duplicates and limits may ask for all rows.
        for everything in (False, True):
            basket = _Basket(pool, shots)
            if everything:
                listed = rows
            elif shots.strategy == "balanced":
                listed = _nearest_of_each_label(pool, scores, rows, shots.k + 4)
            else:
                listed = _nearest(scores, rows, 4 * shots.k + 64)
            ranked, exact = _rank(pool, query, listed)
            if shots.strategy == "nearest":
                basket.fill(ranked)
            elif shots.strategy == "balanced":
                basket.fill_in_turns(ranked)
            else:
                basket.fill_diversely(ranked, exact)
            if basket.full or len(listed) == len(rows):
                break
    return _rank(pool, query, np.sort(np.array(basket.rows, dtype=np.intp)))


def arrange(nearest_first: Sequence[Item], order: Order, *, seed: int = 0) -> tuple[Item, ...]:
    """Put chosen shots into the order in which a prompt shows them.

    >>> arrange(["nearest", "far"], "nearest-last")
    ('far', 'nearest')
    """
    if order == "nearest-last":
        return tuple(reversed(nearest_first))
    if order == "random":
        shuffled = np.random.default_rng(seed).permutation(len(nearest_first))
        return tuple(nearest_first[position] for position in shuffled)
    return tuple(nearest_first)


class _Basket:
    """The shots taken so far, and whether one more row may join them."""

    def __init__(self, pool: Pool, shots: Shots) -> None:
        self.rows: list[int] = []
        self._pool = pool
        self._shots = shots
        self._content: set[str] = set()
        self._n_of_label: dict[int, int] = {}

    @property
    def full(self) -> bool:
        return len(self.rows) >= self._shots.k

    def may_take(self, row: int) -> bool:
        content, limit = self._pool.content[row], self._shots.max_per_label
        if content and content in self._content:
            return False
        labels = self._pool.row_labels[row]
        return limit is None or all(self._n_of_label.get(label, 0) < limit for label in labels)

    def take(self, row: int) -> None:
        self.rows.append(row)
        self._content.add(self._pool.content[row])
        for label in self._pool.row_labels[row]:
            self._n_of_label[label] = self._n_of_label.get(label, 0) + 1

    def fill(self, ranked: Rows) -> None:
        """Take rows in the order given."""
        for row in ranked.tolist():
            if self.full:
                return
            if self.may_take(row):
                self.take(row)

    def fill_in_turns(self, ranked: Rows) -> None:
        """Let labels take their best row in turns, the label with the best row first.

        Rows without a label take turns as one label more.
        """
        queues: dict[int, list[int]] = {}
        for row in ranked.tolist():
            for label in self._pool.row_labels[row] or (_NO_LABEL,):
                queues.setdefault(label, []).append(row)
        place = {row: rank for rank, row in enumerate(ranked.tolist())}
        taken: set[int] = set()
        while queues and not self.full:
            for label in sorted(queues, key=lambda label: (place[queues[label][0]], label)):
                row = next(
                    (row for row in queues[label] if row not in taken and self.may_take(row)), None
                )
                if row is None:
                    del queues[label]
                    continue
                queues[label] = queues[label][queues[label].index(row) :]
                taken.add(row)
                self.take(row)
                if self.full:
                    return

    def fill_diversely(self, ranked: Rows, similarities: Similarities) -> None:
        """Take the row of the greatest marginal relevance, again and again."""
        vectors = self._pool.vectors[ranked].astype(np.float64)
        relevance = (1.0 - self._shots.diversity) * similarities
        redundancy = np.full(len(ranked), -np.inf)
        left = np.ones(len(ranked), dtype=np.bool_)
        while left.any() and not self.full:
            penalty = self._shots.diversity * redundancy if self.rows else 0.0
            # Rounded, so that the last bits of a matrix product decide nothing.
            marginal = np.round(relevance - penalty, 9)
            best = int(np.argmax(np.where(left, marginal, -np.inf)))
            left[best] = False
            if self.may_take(int(ranked[best])):
                self.take(int(ranked[best]))
                redundancy = np.maximum(redundancy, vectors @ vectors[best])


def _nearest(scores: Vector, rows: Rows, n: int) -> Rows:
    """Return the rows of the ``n`` best scores and all that may tie with the last."""
    if len(rows) <= n:
        return rows
    here = scores[rows]
    threshold = np.partition(here, len(rows) - n)[len(rows) - n]
    return np.asarray(rows[here >= threshold - _SLACK])


def _nearest_of_each_label(pool: Pool, scores: Vector, rows: Rows, n: int) -> Rows:
    allowed = np.zeros(len(pool), dtype=np.bool_)
    allowed[rows] = True
    sets = (*pool.rows_of_label, pool.rows_without_label)
    return np.unique(np.concatenate([_nearest(scores, mine[allowed[mine]], n) for mine in sets]))


def _rank(pool: Pool, query: Vector, rows: Rows) -> tuple[Rows, Similarities]:
    """Order rows by their exact similarity; ties by row number, that is, by id."""
    order, similarities = top_k(pool.vectors[rows], query, len(rows))
    return rows[order], similarities
