"""How fast large indexes are searched, beside what one would use instead.

Batches of 64 queries over 100,000 rows, single queries over 1,000,000, and what filters,
half the memory and approximate search change, all in one process with as many threads each.
Contestants take turns round by round. Every way is checked to find the same rows, save for
approximate search, whose recall is told. Rows are clustered, as embedded recordings are.

    ./dev bench search_large

writes ``benchmarks/results/search_large.json``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import faiss
import lancedb
import numpy as np
import pyarrow as pa
import torch
from benchmarks.limits import product_gflops, read_gb_per_s
from benchmarks.search import DIM, N_LABELS, K, rows_of, synthetic
from benchmarks.turns import keep, machine, spread, table_of, times
from numpy.typing import NDArray

from earful.index.exemplar import Exemplar
from earful.index.search import SearchFilter, VectorSet
from earful.index.store import Index
from earful.model.protocols import Fingerprint

Vectors = NDArray[np.float32]
Found = list[list[int]]
N_STORED = 100_000
N_QUERIES = 64


def main() -> None:
    """Measure, print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the largest set")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    n_threads = len(os.sched_getaffinity(0))
    faiss.omp_set_num_threads(n_threads)
    torch.set_num_threads(n_threads)
    limits = {
        "read_gb_per_s": round(read_gb_per_s(), 1),
        "float32_gflops": round(product_gflops(torch.float32), 1),
        "bfloat16_gflops": round(product_gflops(torch.bfloat16), 1),
    }
    report: dict[str, Any] = {
        "machine": machine(),
        "threads": n_threads,
        "k": K,
        "dim": DIM,
        "rounds": arguments.rounds,
        "limits": limits,
    }
    vectors, queries = synthetic(arguments.rows, N_QUERIES)
    some = vectors[:N_STORED]
    report["batch"] = batch(some, queries, arguments.rounds, limits)
    report["single"] = single(vectors, queries, arguments.rounds, limits)
    del vectors
    report["stored"] = stored(some, queries, arguments.rounds)
    keep("search_large", report)


def set_of(vectors: Vectors) -> VectorSet:
    """Give each vector an exemplar with one of the labels."""
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


def batch(vectors: Vectors, queries: Vectors, n_rounds: int, limits: Any) -> dict[str, Any]:
    """Search with all queries at once."""
    ours = set_of(vectors)
    default, tuned = faiss.IndexFlatIP(DIM), faiss.IndexFlatIP(DIM)
    default.add(vectors)
    tuned.add(vectors)
    threshold = faiss.cvar.distance_compute_blas_threshold

    def earful() -> Found:
        hits = ours.search_many(queries, k=K)
        return [[int(hit.exemplar.id) for hit in some] for some in hits]

    def flat(index: Any, least: int) -> Found:
        faiss.cvar.distance_compute_blas_threshold = least
        rows: Found = index.search(queries, K)[1].tolist()
        return rows

    def numpy_partition() -> Found:
        scores = queries @ vectors.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        rows: Found = np.take_along_axis(best, order, axis=1).tolist()
        return rows

    def earful_float32() -> Found:
        ours._rough_pays = lambda n_queries: False  # type: ignore[method-assign]
        try:
            return earful()
        finally:
            del ours._rough_pays  # type: ignore[method-assign]

    rows = in_turns(
        {
            "earful": earful,
            "earful, float32 candidates": earful_float32,
            "FAISS flat, as it comes": lambda: flat(default, threshold),
            "FAISS flat, BLAS from 20 queries": lambda: flat(tuned, 20),
            "NumPy product and argpartition": numpy_partition,
        },
        n_rounds,
        n=len(queries),
    )
    gflop = 2 * len(queries) * vectors.size / 1e9
    # Either the products or the reading of the rows takes longest.
    floor_s = max(
        gflop / limits["bfloat16_gflops"], vectors.nbytes / 2 / limits["read_gb_per_s"] / 1e9
    )
    share = floor_s * 1000 / len(queries) / rows["earful"]["ms"]["median"]
    told = f"{len(queries)} queries at once over {len(vectors):,} rows"
    print(f"\n{told}\n\n{table_of(rows, 'ms a query')}\nlimit reached: {share:.0%}")
    return {
        "rows": len(vectors),
        "queries": len(queries),
        "ways": rows,
        "limit_share": round(share, 3),
    }


def single(vectors: Vectors, queries: Vectors, n_rounds: int, limits: Any) -> dict[str, Any]:
    """Search with one query after the other, with and without a filter."""
    ours = set_of(vectors)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    turn = iter(range(10**9))

    def next_query() -> Vectors:
        return queries[next(turn) // n_ways % len(queries)]

    def earful(chosen: SearchFilter = SearchFilter()) -> Found:
        return [[int(hit.exemplar.id) for hit in ours.search(next_query(), k=K, filter=chosen)]]

    def faiss_flat() -> Found:
        rows: Found = flat.search(next_query()[None], K)[1].tolist()
        return rows

    def numpy_partition() -> Found:
        scores = vectors @ next_query()
        best = np.argpartition(-scores, K)[:K]
        return [best[np.argsort(-scores[best])].tolist()]

    one_label = SearchFilter(labels=frozenset({"label 3"}))
    one_split = SearchFilter(splits=frozenset({"test"}))
    most = SearchFilter(splits=frozenset({"train"}))
    ways: dict[str, Callable[[], Found]] = {
        "earful": earful,
        "FAISS flat": faiss_flat,
        "NumPy product and argpartition": numpy_partition,
        "earful, one label of 50": lambda: earful(one_label),
        "earful, a quarter of the rows": lambda: earful(one_split),
        "earful, three quarters of the rows": lambda: earful(most),
    }
    n_ways = len(ways)
    compared = ("earful", "FAISS flat", "NumPy product and argpartition")
    rows = in_turns(ways, n_rounds, compared=compared)
    gb_per_s = vectors.nbytes / 1e6 / rows["earful"]["ms"]["median"]
    share = gb_per_s / limits["read_gb_per_s"]
    print(f"\none query over {len(vectors):,} rows\n\n{table_of(rows, 'ms')}")
    print(f"{gb_per_s:.1f} of {limits['read_gb_per_s']:.1f} GB/s: {share:.0%}")
    return {
        "rows": len(vectors),
        "ways": rows,
        "gb_per_s": round(gb_per_s, 1),
        "bandwidth_share": round(share, 3),
    }


def stored(vectors: Vectors, queries: Vectors, n_rounds: int) -> dict[str, Any]:
    """Search an index folder: exact, with half the memory, approximately; and LanceDB itself."""
    with tempfile.TemporaryDirectory() as scratch:
        fingerprint = Fingerprint(
            name="synthetic",
            revision="",
            weights_sha256="",
            dim=DIM,
            sample_rate=48_000,
            windowing="none",
        )
        index = Index.create(Path(scratch) / "index", fingerprint)
        made = rows_of(vectors)
        for first in range(0, len(made), 10_000):
            index.add(made[first : first + 10_000])
        index.compact()
        where = SearchFilter(where="array_has(labels, 'label 3')")
        before = timed(lambda: index.search(queries[0], k=K, filter=where, backend="half"), 9)
        approximate = index.index_approximately(recall=0.95)
        after = timed(lambda: index.search(queries[0], k=K, filter=where, backend="half"), 9)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
        ids = pa.array(range(len(vectors)))
        table = lancedb.connect(f"{scratch}/lancedb").create_table(
            "rows", pa.table({"id": ids, "vector": column})
        )
        turn = iter(range(10**9))

        def next_query() -> Vectors:
            return queries[next(turn) // n_ways % len(queries)]

        def ours(backend: Any) -> Found:
            hits = index.search(next_query(), k=K, backend=backend)
            return [[int(hit.exemplar.id) for hit in hits]]

        def lancedb_flat() -> Found:
            search: Any = table.search(next_query())
            wanted = search.distance_type("dot").select(["id", "_distance"]).limit(K)
            return [wanted.to_arrow().column("id").to_pylist()]

        ways: dict[str, Callable[[], Found]] = {
            "earful": lambda: ours("exact"),
            "earful, half the memory": lambda: ours("half"),
            "earful, approximate": lambda: ours("approximate"),
            "LanceDB flat": lancedb_flat,
        }
        n_ways = len(ways)
        compared = ("earful", "earful, half the memory", "LanceDB flat")
        rows = in_turns(ways, n_rounds, compared=compared)
    told = {name: value for name, value in approximate.to_dict().items() if name != "tried"}
    print(f"\none query over an index of {len(vectors):,} rows\n\n{table_of(rows, 'ms')}\n{told}")
    print(f"condition on labels, half the memory: {before} ms, with column indices {after} ms")
    return {
        "rows": len(vectors),
        "ways": rows,
        "approximate": told,
        "condition_ms": {"without column indices": before, "with": after},
    }


def in_turns(
    ways: Mapping[str, Callable[[], Found]],
    n_rounds: int,
    *,
    n: int = 1,
    compared: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Time every way, round by round.

    Raises:
        RuntimeError: Two of those to be compared found different rows.
    """
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(n_rounds + 1):
        found = {}
        for turn in range(len(names)):
            # The first of a round draws the query, so the order of the names stays.
            name = names[turn] if n == 1 else names[(number + turn) % len(names)]
            started = time.perf_counter()
            found[name] = ways[name]()
            if number:  # the first round is no one's pace
                seconds[name].append(time.perf_counter() - started)
        for name in compared or names:
            if found[name] != found["earful"]:
                raise RuntimeError(f"{name} found other rows than earful")
    return {
        name: {"ms": spread(some, n=n, digits=4), "times": times(seconds["earful"], some)}
        for name, some in seconds.items()
    }


def timed(work: Callable[[], object], n: int) -> float:
    """Return the median of ``n`` times in milliseconds, after one that does not count."""
    work()
    found = []
    for _ in range(n):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return spread(found)["median"]


if __name__ == "__main__":
    main()
