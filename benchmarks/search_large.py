"""How fast large indexes are searched, beside what one would use instead.

Batches of 64 queries over 100,000 rows, single queries over 1,000,000, and what filters,
half the memory and approximate search change. Contestants take turns, each in a process of
its own with the same cores; all are checked to find the same rows, save for approximate
search, whose recall is told. Rows are clustered, as embedded recordings are.

    ./dev bench search_large

writes ``benchmarks/results/search_large.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.limits import measured_limits
from benchmarks.search_worker import N_BATCHES, N_SINGLE, K
from benchmarks.synthetic import DIM, rows_of, vectors_and_queries, write_index
from benchmarks.turns import Contestant, keep, machine, spread, table_of, take_turns, times

from earful.index import Index
from earful.index.search import SearchFilter

N_BATCH = 100_000
N_QUERIES = 64
BATCH = {
    "earful": "earful",
    "earful, float32 candidates": "earful-float32",
    "FAISS flat, as it comes": "faiss",
    "FAISS flat, BLAS from 20 queries": "faiss-blas",
    "NumPy product and argpartition": "numpy",
}
SINGLE = {
    "earful": "earful",
    "earful, one label of 50": "earful-one-label",
    "earful, a quarter of the rows": "earful-quarter",
    "earful, three quarters of the rows": "earful-most",
    "FAISS flat": "faiss",
    "NumPy product and argpartition": "numpy",
    "reading the rows, no more": "read",
}
STORED = {
    "earful": "index-exact",
    "earful, half the memory": "index-half",
    "earful, approximate": "index-approximate",
    "LanceDB flat": "lancedb",
}
OTHER_ROWS = {
    "reading the rows, no more",
    "earful, one label of 50",
    "earful, a quarter of the rows",
    "earful, three quarters of the rows",
    "earful, approximate",
}


def main() -> None:
    """Measure, print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the largest set")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    n_rounds: int = arguments.rounds
    limits = measured_limits(n_threads=1)
    report: dict[str, Any] = {
        "machine": machine(),
        "threads": len(os.sched_getaffinity(0)),
        "k": K,
        "dim": DIM,
        "rounds": n_rounds,
        "limits": limits,
    }
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch)
        vectors, queries = vectors_and_queries(arguments.rows, N_QUERIES)
        np.save(data / "vectors.npy", vectors)
        np.save(data / "queries.npy", queries)
        few = vectors[:N_BATCH].copy()
        del vectors
        rows = compared(BATCH, data, n_rounds, N_BATCH, N_BATCHES * N_QUERIES)
        report["batch"] = {"rows": N_BATCH, "queries": N_QUERIES, "ways": rows}
        show(f"{N_QUERIES} queries at once over {N_BATCH:,} rows", rows, "ms a query")
        rows = compared(BATCH, data, n_rounds, N_BATCH, N_BATCHES * N_QUERIES, n_threads=1)
        share = limit_share(rows["earful"]["ms"]["median"], limits)
        report["batch, one thread"] = {
            "rows": N_BATCH,
            "queries": N_QUERIES,
            "ways": rows,
            "limit_share": share,
        }
        show("the same with one thread", rows, "ms a query")
        print(f"limit reached: {share:.0%}")
        rows = compared(SINGLE, data, n_rounds, arguments.rows, N_SINGLE, "--single")
        gb_per_s = arguments.rows * DIM * 4 / 1e6 / rows["earful"]["ms"]["median"]
        # Of the bandwidth at the same time: other tenants of a machine use it too.
        share = rows["reading the rows, no more"]["times"]["median"]
        report["single"] = {
            "rows": arguments.rows,
            "ways": rows,
            "gb_per_s": round(gb_per_s, 1),
            "bandwidth_share": round(share, 3),
        }
        show(f"one query over {arguments.rows:,} rows", rows, "ms")
        print(f"{gb_per_s:.1f} GB/s, {share:.0%} of the pace of reading")
        told = approximate_and_conditions(few, queries, data / "index")
        rows = compared(STORED, data, n_rounds, N_BATCH, N_SINGLE, "--single")
        report["stored"] = {"rows": N_BATCH, "ways": rows, **told}
        show(f"one query over an index of {N_BATCH:,} rows", rows, "ms")
        print(json.dumps(told, indent=2))
    keep("search_large", report)


def compared(
    ways: Mapping[str, str],
    data: Path,
    n_rounds: int,
    n_rows: int,
    n_queries: int,
    *options: str,
    n_threads: int = 0,
) -> dict[str, Any]:
    """Let ways take turns.

    Raises:
        RuntimeError: Two that should find the same rows did not.
    """
    command = [sys.executable, "-m", "benchmarks.search_worker"]
    common = ["--data", str(data), "--rows", str(n_rows), *options]
    n_threads = n_threads or len(os.sched_getaffinity(0))
    turns = take_turns(
        {
            name: Contestant(command=[*command, way, *common], n_threads=n_threads)
            for name, way in ways.items()
        },
        n_rounds=n_rounds,
    )
    for name in ways.keys() - OTHER_ROWS:
        if turns.results[name] != turns.results["earful"]:
            raise RuntimeError(f"{name} found other rows than earful")
    return {
        name: {
            "ms": spread(some, n=n_queries, digits=4),
            "times": times(turns.seconds["earful"], some),
        }
        for name, some in turns.seconds.items()
    }


def limit_share(ms_per_query: float, limits: Mapping[str, float]) -> float:
    """Return what part of the machine's pace a batch in bfloat16 reaches."""
    n_numbers = N_BATCH * DIM
    # Either the products or the reading of the rows takes longest.
    floor_s = max(
        2 * N_QUERIES * n_numbers / 1e9 / limits["bfloat16_gflops"],
        2 * n_numbers / 1e9 / limits["read_gb_per_s"],
    )
    return round(floor_s * 1000 / N_QUERIES / ms_per_query, 3)


def approximate_and_conditions(vectors: Any, queries: Any, folder: Path) -> dict[str, Any]:
    """Write an index with approximate search, and time a condition on labels before and after."""
    index, _ = write_index(rows_of(vectors), folder, rows_per_add=10_000)
    index.compact()
    chosen = SearchFilter(where="array_has(labels, 'label 3')")
    before = condition_ms(index, queries, chosen)
    made = index.index_approximately(recall=0.95)
    after = condition_ms(index, queries, chosen)
    told = {name: value for name, value in made.to_dict().items() if name != "tried"}
    return {
        "approximate": told,
        "condition_ms": {"without column indices": before, "with column indices": after},
    }


def condition_ms(index: Index, queries: Any, chosen: SearchFilter) -> float:
    """Return the median time to evaluate a condition and search what passes."""
    times_s: list[float] = []
    for query in queries[:12]:
        started = time.perf_counter()
        index.search(query, k=K, filter=chosen)
        times_s.append(time.perf_counter() - started)
    return spread(times_s[2:])["median"]


def show(title: str, rows: Mapping[str, Any], unit: str) -> None:
    """Print a table under its title."""
    print(f"\n{title}\n\n{table_of(rows, unit)}", flush=True)


if __name__ == "__main__":
    main()
