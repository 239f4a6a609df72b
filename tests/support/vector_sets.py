"""Vectors to search in, without an index behind them."""

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from earful.index.corpus import Exemplar
from earful.index.search import VectorSet


def vector_set(
    vectors: NDArray[np.float32],
    ids: list[str] | None = None,
    exemplars: list[Exemplar] | None = None,
) -> VectorSet:
    ids = ids or [f"{row:04}" for row in range(len(vectors))]
    exemplars = exemplars or [Exemplar(id=i, audio=PurePosixPath(f"{i}.wav")) for i in ids]
    return VectorSet(
        exemplars=exemplars,
        paths=[Path("/sounds") / exemplar.audio for exemplar in exemplars],
        content=[f"content of {exemplar.id}" for exemplar in exemplars],
        vectors=vectors,
    )
