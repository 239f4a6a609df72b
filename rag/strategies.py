"""Shot strategies: which candidates a query is shown, one entry of a table each.

Every strategy sees only the rows that are allowed, takes equal audio once, keeps the limit
per label, and breaks ties by row number, that is, by id; so equal inputs give equal shots.

To add one, write its two functions and enter it in ``STRATEGIES``: task files, the command line
and evaluations then know it by its name. The help of ``--strategy`` and the docstring of ``Shots``
name them, too; a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earful.index.search import top_k
from earful.rag.arrays import Rows, Similarities

Vector = NDArray[np.float32]

# Bounds the error of a float32 dot product: a short list keeps all that may be ties.
_SLACK = 1e-5
_NO_LABEL = -1


class Pickable(Protocol):
    """Exemplars that a strategy picks from; ``Candidates`` is one.

    Attributes:
        vectors: float32, shape ``(n, dim)``, unit rows.
        content: ``content_sha256`` of each exemplar's audio.
        row_labels: Each exemplar's labels, as numbers.
        rows_of_label: Rows that carry each label, ascending.
        rows_without_label: Rows that carry no label, ascending.
    """

    @property
    def vectors(self) -> Vector:
        """Unit vectors."""
        ...

    @property
    def content(self) -> Sequence[str]:
        """Digests of the exemplars' audio."""
        ...

    @property
    def row_labels(self) -> Sequence[tuple[int, ...]]:
        """Each exemplar's labels."""
        ...

    @property
    def rows_of_label(self) -> Sequence[Rows]:
        """Rows by label."""
        ...

    @property
    def rows_without_label(self) -> Rows:
        """Rows without a label."""
        ...


class Picked:
    """The shots picked so far, and whether one more row may join them.

    Args:
        candidates: What is picked from.
        shots: How many at most, in all and of each label.
    """

    def __init__(self, candidates: Pickable, shots: ShotOptions) -> None:
        self.rows: list[int] = []
        self._candidates = candidates
        self._shots = shots
        self._content: set[str] = set()
        self._n_of_label: dict[int, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are as many shots as wanted."""
        return len(self.rows) >= self._shots.k

    def may_add(self, row: int) -> bool:
        """Whether a row's audio is new and none of its labels has reached the limit."""
        content, limit = self._candidates.content[row], self._shots.max_per_label
        if content and content in self._content:
            return False
        labels = self._candidates.row_labels[row]
        return limit is None or all(self._n_of_label.get(label, 0) < limit for label in labels)

    def add(self, row: int) -> None:
        """Add a row."""
        self.rows.append(row)
        self._content.add(self._candidates.content[row])
        for label in self._candidates.row_labels[row]:
            self._n_of_label[label] = self._n_of_label.get(label, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Candidates in the order of their similarity to a query; for a random strategy, as drawn.

    Attributes:
        candidates: What is picked from.
        rows: Row numbers, the most similar first.
        similarities: Exact similarity of each; empty for a random strategy.
    """

    candidates: Pickable
    rows: Rows
    similarities: Similarities


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One way to pick shots.

    Attributes:
        description: What it does, in a few words.
        short_list: ``(candidates, scores, rows, k)`` to the rows worth an exact similarity:
            ``scores`` are float32, one for every candidate; ``rows`` those allowed.
        pick: ``(ranking, picked, diversity)``: adds rows to ``picked`` until it is full or
            nothing more may be added. ``diversity`` is that of ``Shots``.
        is_random: Whether a seed decides, and the query does not.
    """

    description: str
    short_list: Callable[[Pickable, Vector, Rows, int], Rows]
    pick: Callable[[Ranking, Picked, float], None]
    is_random: bool = False


class ShotOptions(Protocol):
    """Shot options: how many, by which strategy; ``Shots`` is one."""

    @property
    def k(self) -> int:
        """Shots at most."""
        ...

    @property
    def strategy(self) -> str:
        """A key of ``STRATEGIES``."""
        ...

    @property
    def max_per_label(self) -> int | None:
        """Shots of one label at most; no limit when ``None``."""
        ...

    @property
    def diversity(self) -> float:
        """See ``Shots``."""
        ...


def pick_shots(
    candidates: Pickable,
    query: Vector,
    *,
    shots: ShotOptions,
    allowed: NDArray[np.bool_] | None = None,
    seed: int = 0,
    float32_scores: Vector | None = None,
) -> tuple[Rows, Similarities]:
    """Pick up to ``shots.k`` exemplars for a query.

    Args:
        candidates: What may be picked.
        query: float32, shape ``(dim,)``, unit norm.
        shots: How many, and by which strategy.
        allowed: bool, shape ``(n,)``: rows that may be picked, all when ``None``; see
            ``Candidates.allowed``.
        seed: For a random strategy.
        float32_scores: float32, shape ``(n,)``: ``candidates.vectors @ query`` if it is at
            hand; exact similarities are computed of the short list.

    Returns:
        ``(rows, similarities)``, the most similar first; fewer than ``k`` only when no
        more may be picked.
    """
    strategy = STRATEGIES[shots.strategy]
    n = len(candidates.content)
    rows = np.arange(n) if allowed is None else np.flatnonzero(allowed)
    picked = Picked(candidates, shots)
    if strategy.is_random:
        order = np.random.default_rng(seed).permutation(n)
        drawn = order if allowed is None else order[allowed[order]]
        ranking = Ranking(candidates=candidates, rows=drawn, similarities=np.empty(0))
        strategy.pick(ranking, picked, shots.diversity)
    else:
        scores = candidates.vectors @ query if float32_scores is None else float32_scores
        # A short list nearly always suffices; duplicates and limits may ask for all rows.
        for listed in (strategy.short_list(candidates, scores, rows, shots.k), rows):
            picked = Picked(candidates, shots)
            strategy.pick(_rank(candidates, query, listed), picked, shots.diversity)
            if picked.is_full or len(listed) == len(rows):
                break
    ranking = _rank(candidates, query, np.sort(np.array(picked.rows, dtype=np.intp)))
    return ranking.rows, ranking.similarities


# --- the parts that strategies are made of ---------------------------------------------------


def nearest_of_all(candidates: Pickable, scores: Vector, rows: Rows, k: int) -> Rows:
    """Return the best rows, with room for duplicates and limits."""
    return _nearest(scores, rows, 4 * k + 64)


def nearest_of_each_label(candidates: Pickable, scores: Vector, rows: Rows, k: int) -> Rows:
    """Return the best rows of each label, and of those without a label."""
    allowed = np.zeros(len(candidates.content), dtype=np.bool_)
    allowed[rows] = True
    sets = (*candidates.rows_of_label, candidates.rows_without_label)
    return np.unique(np.concatenate([_nearest(scores, own[allowed[own]], k + 4) for own in sets]))


def all_rows(candidates: Pickable, scores: Vector, rows: Rows, k: int) -> Rows:
    """Return all rows: none is worth more than another."""
    return rows


def pick_in_order(ranking: Ranking, picked: Picked, diversity: float) -> None:
    """Add rows from the first on."""
    for row in ranking.rows.tolist():
        if picked.is_full:
            return
        if picked.may_add(row):
            picked.add(row)


def pick_labels_in_turns(ranking: Ranking, picked: Picked, diversity: float) -> None:
    """Pick rows by label in turns, the label with the best row first.

    Rows without a label take turns as one label more.
    """
    queues: dict[int, list[int]] = {}
    for row in ranking.rows.tolist():
        for label in ranking.candidates.row_labels[row] or (_NO_LABEL,):
            queues.setdefault(label, []).append(row)
    place = {row: rank for rank, row in enumerate(ranking.rows.tolist())}
    taken: set[int] = set()
    while queues and not picked.is_full:
        for label in sorted(queues, key=lambda label: (place[queues[label][0]], label)):
            row = next(
                (row for row in queues[label] if row not in taken and picked.may_add(row)), None
            )
            if row is None:
                del queues[label]
                continue
            queues[label] = queues[label][queues[label].index(row) :]
            taken.add(row)
            picked.add(row)
            if picked.is_full:
                return


def pick_by_marginal_relevance(ranking: Ranking, picked: Picked, diversity: float) -> None:
    """Add the row of the greatest marginal relevance, again and again.

    Maximal marginal relevance: Carbonell and Goldstein, SIGIR 1998.
    """
    vectors = ranking.candidates.vectors[ranking.rows].astype(np.float64)
    relevance = (1.0 - diversity) * ranking.similarities
    redundancy = np.full(len(ranking.rows), -np.inf)
    left = np.ones(len(ranking.rows), dtype=np.bool_)
    while left.any() and not picked.is_full:
        penalty = diversity * redundancy if picked.rows else 0.0
        # Rounded, so that the last bits of a matrix product decide nothing.
        marginal = np.round(relevance - penalty, 9)
        best = int(np.argmax(np.where(left, marginal, -np.inf)))
        left[best] = False
        if picked.may_add(int(ranking.rows[best])):
            picked.add(int(ranking.rows[best]))
            redundancy = np.maximum(redundancy, vectors @ vectors[best])


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "nearest": Strategy(
            description="the most similar ones",
            short_list=nearest_of_all,
            pick=pick_in_order,
        ),
        "balanced": Strategy(
            description="the labels in turns, each with its most similar one",
            short_list=nearest_of_each_label,
            pick=pick_labels_in_turns,
        ),
        "diverse": Strategy(
            description="similar to the query and unlike each other",
            short_list=nearest_of_all,
            pick=pick_by_marginal_relevance,
        ),
        "random": Strategy(
            description="drawn with a seed, the same for every query",
            short_list=all_rows,
            pick=pick_in_order,
            is_random=True,
        ),
    }
)
"""All strategies, by the name that task files and commands use."""


def _nearest(scores: Vector, rows: Rows, n: int) -> Rows:
    """Return the rows of the ``n`` best scores and all that may tie with the last."""
    if len(rows) <= n:
        return rows
    here = scores[rows]
    threshold = np.partition(here, len(rows) - n)[len(rows) - n]
    return np.asarray(rows[here >= threshold - _SLACK])


def _rank(candidates: Pickable, query: Vector, rows: Rows) -> Ranking:
    """Order rows by their exact similarity; ties by row number, that is, by id."""
    order, similarities = top_k(candidates.vectors[rows], query, len(rows))
    return Ranking(candidates=candidates, rows=rows[order], similarities=similarities)
