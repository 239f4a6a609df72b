"""How fast an index of 10,000 rows is searched, beside what one would use instead.

Four ways answer the same queries from the same stored vectors: ``VectorSet.search`` (what
earful does), a NumPy product with a full argsort, FAISS's flat index as it comes, and
LanceDB's flat scan. All four run in one process, taking turns query by query, so that a
busy moment hits all of them; each is checked to find the same rows. Also measured: adding
rows, opening, the first search (which reads the vectors), and a search with a filter.

    ./dev bench search [ROWS] [QUERIES]

writes ``benchmarks/results/search.json``.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

N_THREADS = 1
# Read by BLAS and OpenMP when they are loaded, so before NumPy is imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(N_THREADS)

import faiss  # noqa: E402 - the number of threads comes first
import lancedb  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from benchmarks.synthetic import (  # noqa: E402
    DIM,
    N_LABELS,
    rows_of,
    vectors_and_queries,
    write_index,
)
from benchmarks.turns import keep, one_round, place_name, spread  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from earful.index import Index  # noqa: E402
from earful.index.search import SearchFilter  # noqa: E402
from earful.index.storage import Row  # noqa: E402

K = 10
ROWS_PER_ADD = 1000
Search = Callable[[NDArray[np.float32]], list[str]]


def main() -> None:
    """Measure, print a table and write the numbers."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    n_queries = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    faiss.omp_set_num_threads(N_THREADS)
    vectors, queries = vectors_and_queries(n_rows, n_queries)
    rows = rows_of(vectors)
    with tempfile.TemporaryDirectory() as folder:
        index, storing = stored(rows, Path(folder) / "index")
        searches = contestants(index, vectors, [row.exemplar.id for row in rows], Path(folder))
        timings = taking_turns(searches, queries)
    ours = median(timings["earful"])
    results = {
        name: {**spread(seconds), "median_over_earful": round(median(seconds) / ours, 2)}
        for name, seconds in timings.items()
    }
    report = {
        "rows": n_rows,
        "dim": DIM,
        "k": K,
        "queries": n_queries,
        "threads": N_THREADS,
        "threads_note": "of BLAS and OpenMP; LanceDB's own scheduler uses all CPUs",
        "data": f"{N_LABELS} clusters of unit vectors; queries are rows with noise",
        "machine": place_name("cpu"),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "faiss": faiss.__version__,
            "lancedb": lancedb.__version__,
        },
        "search_ms": results,
        **storing,
    }
    keep("search", report)
    print(f"{n_rows} rows of {DIM}, top {K}, {n_queries} queries, {N_THREADS} thread\n")
    print(f"{'':<22}{'min':>9}{'median':>9}{'max':>9}  ms   median / earful's")
    for name, row in results.items():
        print(
            f"{name:<22}{row['min']:>9.3f}{row['median']:>9.3f}{row['max']:>9.3f}"
            f"{row['median_over_earful']:>12.2f}"
        )
    for key, value in storing.items():
        print(f"{key:<22}{value:>9}")


def stored(rows: list[Row], folder: Path) -> tuple[Index, dict[str, float]]:
    """Write an index and open it again, timing both."""
    _, added_s = write_index(rows, folder, rows_per_add=ROWS_PER_ADD)
    started = time.perf_counter()
    index = Index.open(folder)
    opened_s = time.perf_counter() - started
    started = time.perf_counter()
    index.search(rows[0].vector, k=K)
    first_s = time.perf_counter() - started
    some = SearchFilter(labels=frozenset({"label 3"}), exclude_groups=frozenset({"recording 7"}))
    index.search(rows[0].vector, k=K, filter=some)
    started = time.perf_counter()
    index.search(rows[0].vector, k=K, filter=some)
    filtered_s = time.perf_counter() - started
    return index, {
        "add_rows_per_s": round(len(rows) / added_s),
        "open_ms": round(opened_s * 1000, 1),
        "first_search_ms": round(first_s * 1000, 1),
        "filtered_search_ms": round(filtered_s * 1000, 3),
    }


def contestants(
    index: Index, vectors: NDArray[np.float32], ids: list[str], folder: Path
) -> dict[str, Search]:
    """Return every way to search; each gives ids, best first."""
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    table = lancedb.connect(folder / "lancedb").create_table(
        "rows", pa.table({"id": ids, "vector": column})
    )

    def earful(query: NDArray[np.float32]) -> list[str]:
        return [hit.exemplar.id for hit in index.search(query, k=K)]

    def earful_faiss(query: NDArray[np.float32]) -> list[str]:
        return [hit.exemplar.id for hit in index.search(query, k=K, backend="faiss")]

    def numpy_argsort(query: NDArray[np.float32]) -> list[str]:
        return [ids[row] for row in np.argsort(-(vectors @ query))[:K]]

    def faiss_flat(query: NDArray[np.float32]) -> list[str]:
        return [ids[row] for row in flat.search(query[None], K)[1][0]]

    def lancedb_flat(query: NDArray[np.float32]) -> list[str]:
        search: Any = table.search(query)
        wanted = search.distance_type("dot").select(["id", "_distance"]).limit(K)
        found: list[str] = wanted.to_arrow().column("id").to_pylist()
        return found

    return {
        "earful": earful,
        "earful, faiss backend": earful_faiss,
        "NumPy argsort": numpy_argsort,
        "FAISS flat": faiss_flat,
        "LanceDB flat": lancedb_flat,
    }


def taking_turns(
    searches: dict[str, Search], queries: NDArray[np.float32]
) -> dict[str, list[float]]:
    """Time each search on each query, in seconds.

    Raises:
        RuntimeError: Two of them found different rows.
    """
    for search in searches.values():
        search(queries[0])
    timings: dict[str, list[float]] = {name: [] for name in searches}
    for number, query in enumerate(queries):
        works = {name: partial(search, query) for name, search in searches.items()}
        turns = one_round(works, number)
        _, expected = turns["earful"]
        for name, (took_s, found) in turns.items():
            timings[name].append(took_s)
            if found != expected:
                raise RuntimeError(f"query {number}: {name} found other rows than earful")
    return timings


if __name__ == "__main__":
    main()
