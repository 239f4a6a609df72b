"""One contestant of ``benchmarks/search_large.py``: queries to rows, in one of several ways."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from benchmarks.contestant import serve
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Found = list[list[int]]
K = 10
N_LABELS = 50
N_BATCHES = 5
"""How often a round asks a batch: one alone would measure how a core wakes up."""
N_SINGLE = 8
"""Queries of a round where each is asked by itself."""


def main() -> None:
    """Serve one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=sorted(WAYS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--single", action="store_true")
    arguments = parser.parse_args()
    # Read, not mapped: the first round would be the disk's.
    with open(arguments.data / "vectors.npy", "rb") as file:
        np.lib.format.read_magic(file)
        (_, dim), *_ = np.lib.format.read_array_header_1_0(file)
        vectors = np.fromfile(file, np.float32, arguments.rows * dim).reshape(-1, dim)
    queries = np.load(arguments.data / "queries.npy")
    search = WAYS[arguments.way](vectors, arguments.data)
    if not arguments.single:
        serve(lambda: [search(queries) for _ in range(N_BATCHES)])
    else:
        serve(lambda: [found for query in queries[:N_SINGLE] for found in search(query[None])])


def earful(
    vectors: Vectors,
    data: Path,
    *,
    labels: frozenset[str] = frozenset(),
    splits: frozenset[str] = frozenset(),
) -> Callable[[Vectors], Found]:
    """Return ``VectorSet.search_many``, which chooses by itself how to."""
    import torch  # noqa: F401 - an embedder has imported it, wherever there are queries

    from earful.index.search import SearchFilter

    rows = set_of(vectors)
    filter = SearchFilter(labels=labels, splits=splits)

    def search(queries: Vectors) -> Found:
        hits = rows.search_many(queries, k=K, filter=filter)
        return [[int(hit.exemplar.id) for hit in some] for some in hits]

    return search


def earful_float32(vectors: Vectors, data: Path) -> Callable[[Vectors], Found]:
    """Return the same without bfloat16."""
    rows = set_of(vectors)

    def search(queries: Vectors) -> Found:
        return [[int(hit.exemplar.id) for hit in some] for some in rows.search_many(queries, k=K)]

    return search


def faiss_flat(vectors: Vectors, data: Path, least: int | None = None) -> Any:
    """Return FAISS's flat index, as it comes or using BLAS for small batches too."""
    import faiss

    if least is not None:
        faiss.cvar.distance_compute_blas_threshold = least
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return lambda queries: index.search(queries, K)[1].tolist()


def numpy_partition(vectors: Vectors, data: Path) -> Callable[[Vectors], Found]:
    """Return the product and partition that one writes by hand."""

    def search(queries: Vectors) -> Found:
        scores = queries @ vectors.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        rows: Found = np.take_along_axis(best, order, axis=1).tolist()
        return rows

    return search


def reading(vectors: Vectors, data: Path) -> Callable[[Vectors], Found]:
    """Return what only reads every row once for each query: as fast as memory gives them."""
    import torch

    rows = torch.from_numpy(vectors)

    def read(queries: Vectors) -> Found:
        for _ in queries:
            rows.sum()
        return []

    return read


def lancedb_flat(vectors: Vectors, data: Path) -> Callable[[Vectors], Found]:
    """Return LanceDB's scan of the same rows on the disk."""
    import lancedb
    import pyarrow as pa

    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = lancedb.connect(data / "lancedb").create_table(
        "rows", pa.table({"id": pa.array(range(len(vectors))), "vector": column}), mode="overwrite"
    )

    def search(queries: Vectors) -> Found:
        found = []
        for query in queries:
            asked: Any = table.search(query)
            wanted = asked.distance_type("dot").select(["id", "_distance"]).limit(K)
            found.append(wanted.to_arrow().column("id").to_pylist())
        return found

    return search


def stored(vectors: Vectors, data: Path, backend: Any) -> Callable[[Vectors], Found]:
    """Return the search of the index folder that ``search_large`` made."""
    from earful.index import Index

    index = Index.open(data / "index")

    def search(queries: Vectors) -> Found:
        hits = [index.search(query, k=K, backend=backend) for query in queries]
        return [[int(hit.exemplar.id) for hit in some] for some in hits]

    return search


WAYS: dict[str, Callable[[Vectors, Path], Callable[[Vectors], Found]]] = {
    "earful": earful,
    "earful-float32": earful_float32,
    "earful-one-label": lambda v, d: earful(v, d, labels=frozenset({"label 3"})),
    "earful-quarter": lambda v, d: earful(v, d, splits=frozenset({"test"})),
    "earful-most": lambda v, d: earful(v, d, splits=frozenset({"train"})),
    "faiss": faiss_flat,
    "faiss-blas": lambda v, d: faiss_flat(v, d, 20),
    "numpy": numpy_partition,
    "read": reading,
    "lancedb": lancedb_flat,
    "index-exact": lambda v, d: stored(v, d, "exact"),
    "index-half": lambda v, d: stored(v, d, "half"),
    "index-approximate": lambda v, d: stored(v, d, "approximate"),
}


def set_of(vectors: Vectors) -> Any:
    """Give each vector an exemplar with one of the labels."""
    from earful.index.corpus import Exemplar
    from earful.index.search import VectorSet

    exemplars = [
        Exemplar(
            id=f"{number:07}",
            audio=PurePosixPath("a.wav"),
            labels=(f"label {number % N_LABELS}",),
            split="train" if number % 4 else "test",
        )
        for number in range(len(vectors))
    ]
    path = Path("/sounds/a.wav")
    return VectorSet(
        exemplars=exemplars,
        paths=[path] * len(vectors),
        content=[""] * len(vectors),
        vectors=vectors,
    )


if __name__ == "__main__":
    main()
