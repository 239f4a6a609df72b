"""FAISS backend: a flat index over vectors in RAM, on the GPU if this FAISS has one.

It only proposes candidates: ``earful.index.search.exact`` scores and ranks them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import MissingExtraError

# FAISS's GPU code selects at most this many rows; on a CPU a plain scan is faster by then.
MOST_FETCHED = 2048


class FlatFaiss:
    """A flat FAISS index of all rows, by inner product.

    Args:
        vectors: float32, shape ``(n, dim)``, unit rows.

    Raises:
        MissingExtraError: FAISS is not installed.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        try:
            import faiss
        except ImportError as error:
            raise MissingExtraError(
                "the faiss backend needs FAISS: pip install 'earful[faiss]' (CPU) or "
                "'earful[faiss-gpu]' (NVIDIA GPU)"
            ) from error
        # FAISS uses BLAS only for larger batches than this; its default is so high that 64
        # queries at 100,000 rows take over ten times as long.
        faiss.cvar.distance_compute_blas_threshold = 20
        index: Any = faiss.IndexFlatIP(vectors.shape[1])
        # The CPU build lacks this function.
        if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        index.add(vectors)
        self._index = index

    def search(
        self, queries: NDArray[np.float32], n_fetched: int
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Propose the best rows for each query.

        Args:
            queries: float32, shape ``(m, dim)``, unit rows.
            n_fetched: At most ``MOST_FETCHED`` and the number of rows.

        Returns:
            ``(scores, rows)``, each of shape ``(m, n_fetched)``; scores descend.
        """
        scores, rows = self._index.search(queries, n_fetched)
        return scores, rows.astype(np.intp)
