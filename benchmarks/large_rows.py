"""Many rows without audio: unit vectors in uneven clusters, as those of recordings lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from benchmarks.synthetic import made_by, unit
from numpy.typing import NDArray

DIM: Final = 256
N_CLUSTERS: Final = 4_000
N_GROUPS: Final = 200
# How far a cluster lies from the middle of its group, and a row from that of its cluster.
_CLUSTER_SPREAD: Final = 0.6
_ROW_SPREAD: Final = 0.45

MADE_BY: Final = made_by(DIM)


def clustered_vectors(n: int, *, rows_at_once: int) -> Iterator[NDArray[np.float32]]:
    """Yield unit vectors in parts: 4,000 clusters of uneven size, in 200 groups.

    The same number of rows at once gives the same vectors, however many there are.

    Args:
        n: How many in all.
        rows_at_once: How many a part holds.

    Yields:
        float32, shape ``(rows_at_once, 256)``, unit rows; the last part may be shorter.
    """
    rng = np.random.default_rng(27)
    groups = unit(rng.standard_normal((N_GROUPS, DIM)))
    offsets = unit(rng.standard_normal((N_CLUSTERS, DIM)))
    centres = unit(groups[rng.integers(0, N_GROUPS, N_CLUSTERS)] + _CLUSTER_SPREAD * offsets)
    # The largest cluster holds some hundred times as many rows as the middle one.
    shares = rng.permutation(1 / np.arange(1, N_CLUSTERS + 1) ** 0.7)
    shares /= shares.sum()
    for part, start in enumerate(range(0, n, rows_at_once)):
        own = np.random.default_rng((27, part))
        noise = own.standard_normal((rows_at_once, DIM), np.float32) / np.float32(DIM**0.5)
        chosen = own.choice(N_CLUSTERS, rows_at_once, p=shares)
        yield unit(centres[chosen] + _ROW_SPREAD * noise)[: n - start]
