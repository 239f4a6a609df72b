"""Array types: scores of labels, row numbers and similarities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

Rows = NDArray[np.intp]

Similarities = NDArray[np.float64]
