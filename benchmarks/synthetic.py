"""An index without audio: unit vectors in clusters, as those of recordings lie."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.storage import Row
from earful.model import Fingerprint

DIM = 512
N_LABELS = 50


def vectors_and_queries(
    n_rows: int, n_queries: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return unit rows in clusters, and queries near some of them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_LABELS, DIM))
    rows = centres[np.arange(n_rows) % N_LABELS] + rng.standard_normal((n_rows, DIM))
    queries = rows[rng.integers(0, n_rows, n_queries)] + rng.standard_normal((n_queries, DIM))
    return unit(rows), unit(queries)


def rows_of(vectors: NDArray[np.float32], first: int = 0) -> list[Row]:
    """Give each vector an exemplar; no audio is needed to search.

    Args:
        vectors: float32, shape ``(n, dim)``.
        first: Number of the first row.
    """
    return [
        Row(
            exemplar=Exemplar(
                id=f"{number:07}",
                audio=PurePosixPath(f"{number % N_LABELS}/{number}.wav"),
                labels=(f"label {number % N_LABELS}",),
                split="train" if number % 4 else "test",
                group=f"recording {number // 5}",
            ),
            root=Path("/sounds"),
            duration_s=5.0,
            file_sha256=f"{number:064x}",
            content_sha256=f"{number:064x}",
            vector=vector,
        )
        for number, vector in enumerate(vectors, first)
    ]


def write_index(rows: list[Row], folder: Path, *, rows_per_add: int) -> tuple[Index, float]:
    """Write an index; return it and the seconds that adding the rows took."""
    index = Index.create(folder, made_by(DIM))
    started = time.perf_counter()
    for first in range(0, len(rows), rows_per_add):
        index.add(rows[first : first + rows_per_add])
    return index, time.perf_counter() - started


def made_by(dim: int) -> Fingerprint:
    """Say of vectors of so many numbers that nothing was heard for them."""
    return Fingerprint(
        name="synthetic",
        revision="",
        weights_sha256="",
        dim=dim,
        sample_rate=48_000,
        windowing="none",
    )


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale each row to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
