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

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
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
from numpy.typing import NDArray  # noqa: E402

from earful.index.exemplar import Exemplar  # noqa: E402
from earful.index.schema import Row  # noqa: E402
from earful.index.search import SearchFilter  # noqa: E402
from earful.index.store import Index  # noqa: E402
from earful.model.protocols import Fingerprint  # noqa: E402

DIM = 512
K = 10
N_LABELS = 50
ROWS_PER_ADD = 1000
RESULT = Path(__file__).parent / "results" / "search.json"
Search = Callable[[NDArray[np.float32]], list[str]]


def main() -> None:
    """Measure, print a table and write the numbers."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    n_queries = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    faiss.omp_set_num_threads(N_THREADS)
    vectors, queries = synthetic(n_rows, n_queries)
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
        "machine": f"{cpu_name()}, {os.cpu_count()} CPUs",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "faiss": faiss.__version__,
            "lancedb": lancedb.__version__,
        },
        "search_ms": results,
        **storing,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{n_rows} rows of {DIM}, top {K}, {n_queries} queries, {N_THREADS} thread\n")
    print(f"{'':<22}{'min':>9}{'median':>9}{'max':>9}  ms   median / earful's")
    for name, row in results.items():
        print(
            f"{name:<22}{row['min']:>9.3f}{row['median']:>9.3f}{row['max']:>9.3f}"
            f"{row['median_over_earful']:>12.2f}"
        )
    for key, value in storing.items():
        print(f"{key:<22}{value:>9}")


def synthetic(n_rows: int, n_queries: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return unit rows in clusters, as embedded recordings are, and queries near some."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_LABELS, DIM))
    rows = centres[np.arange(n_rows) % N_LABELS] + rng.standard_normal((n_rows, DIM))
    queries = rows[rng.integers(0, n_rows, n_queries)] + rng.standard_normal((n_queries, DIM))
    return unit(rows), unit(queries)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale each row to norm 1."""
    scaled: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def rows_of(vectors: NDArray[np.float32]) -> list[Row]:
    """Give each vector an exemplar; no audio is needed to search."""
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
        for number, vector in enumerate(vectors)
    ]


def stored(rows: list[Row], folder: Path) -> tuple[Index, dict[str, float]]:
    """Write an index and open it again, timing both."""
    fingerprint = Fingerprint(
        name="synthetic",
        revision="",
        weights_sha256="",
        dim=DIM,
        sample_rate=48_000,
        windowing="none",
    )
    made = Index.create(folder, fingerprint)
    started = time.perf_counter()
    for first in range(0, len(rows), ROWS_PER_ADD):
        made.add(rows[first : first + ROWS_PER_ADD])
    added_s = time.perf_counter() - started
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
    """Time each search on each query, in seconds; the order of the turns rotates.

    Raises:
        RuntimeError: Two of them found different rows.
    """
    names = list(searches)
    for search in searches.values():
        search(queries[0])
    timings: dict[str, list[float]] = {name: [] for name in names}
    for number, query in enumerate(queries):
        found = {}
        for turn in range(len(names)):
            name = names[(number + turn) % len(names)]
            started = time.perf_counter()
            found[name] = searches[name](query)
            timings[name].append(time.perf_counter() - started)
        if different := [name for name in names if found[name] != found["earful"]]:
            raise RuntimeError(f"query {number}: {different} found other rows than earful")
    return timings


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the least, middle and largest in milliseconds."""
    return {
        "min": round(min(seconds) * 1000, 3),
        "median": round(median(seconds) * 1000, 3),
        "max": round(max(seconds) * 1000, 3),
    }


def cpu_name() -> str:
    """Return what Linux calls the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
