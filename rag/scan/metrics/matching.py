"""Matching: as many pairs of found and true events as there can be, each in one pair at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Span = tuple[float, float]
Fits = Callable[[NDArray[np.float64], Span], NDArray[np.bool_]]
"""Which of some stretches, float64 of shape ``(n, 2)``, fit a true one."""


def match(found: Sequence[Span], true: Sequence[Span], fits: Fits) -> dict[int, int]:
    """Return the pairs of a largest matching: number of the found event to that of the true one.

    Args:
        found: Stretches in seconds.
        true: Likewise.
        fits: Whether a found one may stand for a true one.
    """
    if not found or not true:
        return {}
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    stretches = np.asarray(found, dtype=np.float64).reshape(-1, 2)
    columns = [np.flatnonzero(fits(stretches, own)) for own in true]
    ends = np.cumsum([0, *map(len, columns)])
    graph = csr_array(
        (np.ones(ends[-1], dtype=np.int8), np.concatenate(columns).astype(np.int32), ends),
        shape=(len(true), len(found)),
    )
    partner = maximum_bipartite_matching(graph, perm_type="column")
    return {int(own): row for row, own in enumerate(partner) if own >= 0}
