"""Indexes without audio that are just large enough for approximate search."""

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.storage import Row
from earful.model import Fingerprint

DIM = 16


def clustered_rows(n: int, root: Path, *, seed: int = 0) -> list[Row]:
    """Return rows in seven clusters; some are equal."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(7, DIM))
    vectors = centres[np.arange(n) % 7] + 0.7 * rng.normal(size=(n, DIM))
    vectors[5::50] = vectors[4::50][: len(vectors[5::50])]
    return rows_of(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), root, seed=seed)


def rows_of(vectors: NDArray[np.floating], root: Path, *, seed: int = 0) -> list[Row]:
    """Give vectors of unit length an exemplar each."""
    return [
        Row(
            exemplar=Exemplar(
                id=f"{seed}-{number:05}",
                audio=PurePosixPath(f"{number}.wav"),
                labels=(f"label {number % 7}",),
            ),
            root=root,
            duration_s=1.0,
            file_sha256=f"{number:064x}",
            content_sha256=f"{number:064x}",
            vector=vector.astype(np.float32),
        )
        for number, vector in enumerate(vectors)
    ]


def empty_index(folder: Path | str, dim: int = DIM) -> Index:
    """Make an index of no rows."""
    made_by = Fingerprint(
        name="toy", revision="", weights_sha256="", dim=dim, sample_rate=8000, windowing="whole"
    )
    return Index.create(folder, made_by)


def large_index(folder: Path, n: int = 1200, *, per_add: int = 300) -> Index:
    """Make an index whose rows lie in several fragments."""
    index = empty_index(folder)
    rows = clustered_rows(n, folder.parent)
    for start in range(0, n, per_add):
        index.add(rows[start : start + per_add])
    return index
