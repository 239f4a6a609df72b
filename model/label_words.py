"""The record of what the names of labels tell of recordings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelWords:
    """Label words: how clearly the names of labels are heard in recordings.

    With the scores of a ``ClassScorer``, shape ``(n, n_classes)``, the product
    ``scores @ weights.T + offsets``, shape ``(n, m)``, is how far each name is heard in each
    clip, in standard deviations of the clips that the embedder was fitted on.

    Attributes:
        weights: float64, shape ``(m, n_classes)``; 0 for a name of which nothing is known.
        offsets: float64, shape ``(m,)``; 0 for such a name.
        imagined: float32, shape ``(m, dim)``: the unit vector of the recording that a name
            suggests; zeros for such a name.
        known: float64, shape ``(m,)``: cosine of a name and the nearest name of a class, at
            most 1; where it is low, no class is what the name speaks of. 0 for such a name.
    """

    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    imagined: NDArray[np.float32]
    known: NDArray[np.float64]
