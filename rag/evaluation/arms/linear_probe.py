"""Linear probe: logistic regression on the vectors that retrieval searches.

A user would train one instead of asking anything in context, so every evaluation is compared
with it. Where items are themselves the exemplars, it is cross-fitted: each item is answered
by a probe that was trained without its recording, group and look-alikes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earful.rag.arrays import Rows, Scores
from earful.rag.evaluation.items import Item
from earful.rag.retrieval import Candidates

_N_FOLDS = 5
_N_INNER_FOLDS = 3
# Inverse strengths of regularisation. Unit vectors are short along each axis, so 1.0, usually
# weak, is strong here.
_INVERSE_STRENGTHS = (1.0, 10.0, 100.0)
_MOST_ROWS = 20_000
_SEED = 0


def probe_scores(
    items: Sequence[Item], candidates: Candidates, *, exclusive: bool, held_out: bool
) -> tuple[Scores, tuple[str, ...]]:
    """Answer items by logistic regression.

    Args:
        items: Recordings to answer, with vectors.
        candidates: Labelled exemplars to train on.
        exclusive: Whether one label is right, or each is decided for itself.
        held_out: Whether no item is among the exemplars; else the probe is cross-fitted.

    Returns:
        float64, shape ``(n_items, n_labels)``, each in [0, 1]; and notes. Labels without
        an exemplar get 0.
    """
    # Exemplars to train on, and the groups that are kept together.
    queries = np.array([item.query.vector for item in items], dtype=np.float64)
    labelled = [bool(own) or not exclusive for own in candidates.row_labels]
    rows = np.flatnonzero(candidates.once(np.array(labelled, dtype=np.bool_)))
    notes: list[str] = []
    if len(rows) > _MOST_ROWS:
        notes.append(f"the probe was trained on {_MOST_ROWS} of {len(rows)} exemplars")
        rows = np.sort(np.random.default_rng(_SEED).permutation(rows)[:_MOST_ROWS])
    groups = _components(candidates, items, held_out=held_out)
    if held_out:
        return _fit(candidates, rows, groups[rows], exclusive=exclusive)(queries), tuple(notes)
    # Items that are exemplars: each is answered by the probe of the other folds.
    row_of = {exemplar.id: row for row, exemplar in enumerate(candidates.exemplars)}
    own = np.array([row_of.get(item.id, -1) for item in items])
    fold_of = _folds(groups, _N_FOLDS)
    scores = np.zeros((len(items), len(candidates.labels)))
    n_untrained = 0
    for fold in range(_N_FOLDS):
        mine = np.flatnonzero((own >= 0) & (fold_of[own] == fold))
        training = rows[fold_of[rows] != fold]
        if not training.size:
            n_untrained += mine.size
        elif mine.size:
            answer = _fit(candidates, training, groups[training], exclusive=exclusive)
            scores[mine] = answer(queries[mine])
    notes.append(f"the probe is cross-fitted in {_N_FOLDS} parts, groups kept together")
    if n_untrained:
        notes.append(
            f"the probe is no baseline for {n_untrained} of {len(items)} recordings: all exemplars "
            "are one group, or look alike, so that none was left to train on, and its scores are 0"
        )
    return scores, tuple(notes)


class _Probe:
    """Logistic regressions fitted to some rows: one for all labels, or one a label."""

    def __init__(
        self, candidates: Candidates, rows: Rows, *, exclusive: bool, inverse_strength: float
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self._n_labels = len(candidates.labels)
        vectors = candidates.vectors[rows].astype(np.float64)
        member = candidates.memberships(rows) > 0
        targets = [np.argmax(member, axis=1)] if exclusive else list(member.T)
        self._exclusive = exclusive
        # A regression each, or the target itself where all rows have the same.
        self._fitted: list[object] = []
        for target in targets:
            if len(np.unique(target)) < 2:
                self._fitted.append(float(target[0]))
                continue
            regression = LogisticRegression(C=inverse_strength, max_iter=500)
            with warnings.catch_warnings():
                # A probe that has not fully converged answers just as well.
                warnings.simplefilter("ignore")
                regression.fit(vectors, target)
            self._fitted.append(regression)

    def __call__(self, queries: NDArray[np.float64]) -> Scores:
        scores = np.zeros((len(queries), self._n_labels))
        for column, fitted in enumerate(self._fitted):
            if isinstance(fitted, float):
                if self._exclusive:
                    scores[:, int(fitted)] = 1.0
                else:
                    scores[:, column] = fitted
                continue
            probabilities = fitted.predict_proba(queries)  # type: ignore[attr-defined]
            if self._exclusive:
                scores[:, fitted.classes_] = probabilities  # type: ignore[attr-defined]
            else:
                scores[:, column] = probabilities[:, 1]
        return scores


def _fit(candidates: Candidates, rows: Rows, groups: Rows, *, exclusive: bool) -> _Probe:
    """Fit with the regularisation that answers held-out groups of the training rows best."""
    folds = _folds(groups, _N_INNER_FOLDS)
    losses = []
    for inverse_strength in _INVERSE_STRENGTHS:
        loss = 0.0
        for fold in range(_N_INNER_FOLDS):
            training, held_out = rows[folds != fold], rows[folds == fold]
            if not (training.size and held_out.size):
                continue
            probe = _Probe(
                candidates, training, exclusive=exclusive, inverse_strength=inverse_strength
            )
            vectors = candidates.vectors[held_out].astype(np.float64)
            scores = np.clip(probe(vectors), 1e-6, 1 - 1e-6)
            truth = candidates.memberships(held_out) > 0
            loss -= float(np.log(np.where(truth, scores, 1.0 if exclusive else 1 - scores)).sum())
        losses.append(loss)
    best = _INVERSE_STRENGTHS[int(np.argmin(losses))]
    return _Probe(candidates, rows, exclusive=exclusive, inverse_strength=best)


def _folds(groups: Rows, n: int) -> Rows:
    """Deal groups out to folds, the largest first, each to the fold with the fewest rows."""
    random = np.random.default_rng(_SEED)
    numbers, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.lexsort((random.permutation(len(numbers)), -counts))
    fold_of_group = np.empty(len(numbers), dtype=np.intp)
    filled = np.zeros(n, dtype=np.intp)
    for group in order:
        fold = int(np.argmin(filled))
        fold_of_group[group] = fold
        filled[fold] += counts[group]
    return fold_of_group[inverse]


def _components(candidates: Candidates, items: Sequence[Item], *, held_out: bool) -> Rows:
    """Number the candidates so that those which give each other away share a number.

    Those are rows of one path, content or group, and an item's look-alikes: a union-find.
    """
    parent = list(range(len(candidates)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[tuple[str, str], int] = {}
    for row, exemplar in enumerate(candidates.exemplars):
        for kind, value in (
            ("path", str(candidates.paths[row])),
            ("content", candidates.content[row]),
            ("group", exemplar.group),
        ):
            if value:
                parent[find(row)] = find(first.setdefault((kind, value), row))
    if not held_out:
        row_of = {exemplar.id: row for row, exemplar in enumerate(candidates.exemplars)}
        for item in items:
            for content in item.query.exclusions.lookalikes:
                if item.id in row_of and ("content", content) in first:
                    parent[find(row_of[item.id])] = find(first["content", content])
    return np.array([find(row) for row in range(len(candidates))], dtype=np.intp)
