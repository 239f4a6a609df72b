"""Indexes of 100,000 to 10,000,000 rows: what they cost to write, to index and to search.

Rows are synthetic and otherwise real: 256 numbers in 4,000 uneven clusters, added in batches by
``Index.add``, with their digests, flushed and listed. Then an approximate index is made in one
process, and once more in parts; both are searched with vectors that are no rows of the index, and
what they find is compared with a scan of all rows by NumPy. Each stage runs in a process of its
own, whose processor time and greatest resident memory are noted.

    ./dev bench large_index --rows 100000
    ./dev bench large_index --rows 10000000 --folder /large/disk/ten-million.index

adds a size to ``benchmarks/results/large_index.json``; 10,000,000 rows take 13 GB of disk. With a
``--folder`` the index stays, and ``--stages`` measures some stages again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.large_rows import DIM, MADE_BY, N_CLUSTERS, clustered_vectors
from benchmarks.resident import peak_bytes
from benchmarks.synthetic import rows_of
from benchmarks.turns import RESULTS, keep, machine
from numpy.typing import NDArray

from earful.index import Index
from earful.index.storage import UnseenRows, vectors_of

K: Final = 10
N_QUERIES: Final = 200
ROWS_PER_ADD: Final = 25_000
N_PARTS: Final = 4
RECALL: Final = 0.95


def write(folder: Path, n: int) -> dict[str, Any]:
    """Write the index."""
    index = Index.create(folder, MADE_BY)
    added_s, added_cpu_s, done = 0.0, 0.0, 0
    for vectors in clustered_vectors(n, rows_at_once=ROWS_PER_ADD):
        rows = rows_of(vectors, done)
        started, began = time.perf_counter(), time.process_time()
        index.add(rows)
        added_s += time.perf_counter() - started
        added_cpu_s += time.process_time() - began
        done += len(rows)
    return {
        "rows_per_s": round(n / added_s),
        "add_cpu_s": round(added_cpu_s, 1),
        "commits": -(-n // ROWS_PER_ADD),
        "bytes_a_row": round(_size(folder / "table") / n, 1),
    }


def go_on(folder: Path, n: int) -> dict[str, Any]:
    """Open the index and look its rows up, as a build that goes on does first."""
    started = time.perf_counter()
    index = Index.open(folder)
    before = peak_bytes()
    known = index._folder.indexed_rows()
    unseen = UnseenRows(known, known.roots[0])
    vectors = next(clustered_vectors(1000, rows_at_once=ROWS_PER_ADD))
    found = sum(row.exemplar.id in known for row in rows_of(vectors, n - 1000))
    if found != 1000 or len(known) != n:
        raise RuntimeError(f"the lookup knows {len(known)} rows, {found} of 1,000: expected {n}")
    for id_ in known:
        unseen.see(id_)
    return {
        "lookup_s": round(time.perf_counter() - started, 1),
        "bytes_a_known_row": round((peak_bytes() - before) / n),
    }


def labels(folder: Path, n: int) -> dict[str, Any]:
    """Ask for the counts of labels, which the last commit kept."""
    started = time.perf_counter()
    counts = Index.open(folder).labels
    if sum(counts.values()) != n:
        raise RuntimeError(f"{sum(counts.values())} labels, expected {n}")
    return {"labels_s": round(time.perf_counter() - started, 2)}


def approximate(folder: Path, n: int) -> dict[str, Any]:
    """Make the approximate index in one process."""
    made = Index.open(folder).index_approximately(recall=RECALL, k=K, n_queries=N_QUERIES)
    return {
        **{name: value for name, value in made.to_dict().items() if name != "tried"},
        "bytes_a_row": round(made.size_bytes / n, 1),
        "tried": made.to_dict()["tried"],
    }


def train(folder: Path, n: int) -> dict[str, Any]:
    """Train what the parts of an approximate index share."""
    from earful.index import train_partitions

    return {"n_partitions": train_partitions(Index.open(folder)).n_partitions}


def part(folder: Path, n: int, number: int = 1) -> dict[str, Any]:
    """Build one part of the approximate index."""
    from earful.index import index_segment

    return {"rows": index_segment(Index.open(folder), number, N_PARTS).n_rows}


def commit(folder: Path, n: int) -> dict[str, Any]:
    """Commit the parts, and measure what they find."""
    from earful.index import commit_segments

    made = commit_segments(Index.open(folder), recall=RECALL, k=K, n_queries=N_QUERIES)
    return {
        **{name: value for name, value in made.to_dict().items() if name != "tried"},
        "bytes_a_row": round(made.size_bytes / n, 1),
    }


def search(folder: Path, n: int) -> dict[str, Any]:
    """Search approximately with vectors that are no rows, and compare with a scan of all."""
    queries = _queries()
    index = Index.open(folder)
    started = time.perf_counter()
    index.search(queries[0], k=K, backend="approximate")
    first_s = time.perf_counter() - started
    for query in queries[:20]:
        index.search(query, k=K, backend="approximate")
    times, began, found = [], time.process_time(), []
    for query in queries:
        started = time.perf_counter()
        found.append(index.search(query, k=K, backend="approximate"))
        times.append(time.perf_counter() - started)
    cpu_s = time.process_time() - began
    peak = peak_bytes()
    least = _least(folder, queries)
    near = sum(
        hit.similarity >= last - 1e-6
        for hits, last in zip(found, least, strict=True)
        for hit in hits
    )
    return {
        "first_s": round(first_s, 2),
        "ms": round(float(np.median(times)) * 1000, 2),
        "cpu_ms": round(cpu_s * 1000 / len(queries), 2),
        "recall": round(float(near) / (K * len(queries)), 4),
        "search_peak_bytes": peak,
    }


def exact(folder: Path, n: int) -> dict[str, Any]:
    """Search exactly with all vectors in memory."""
    queries = _queries()
    index = Index.open(folder)
    started = time.perf_counter()
    index.search(queries[0], k=K)
    first_s = time.perf_counter() - started
    times, began = [], time.process_time()
    for query in queries[:50]:
        started = time.perf_counter()
        index.search(query, k=K)
        times.append(time.perf_counter() - started)
    return {
        "first_s": round(first_s, 2),
        "ms": round(float(np.median(times)) * 1000, 2),
        "cpu_ms": round((time.process_time() - began) * 1000 / len(times), 2),
    }


STAGES: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "write": write,
    "go on": go_on,
    "labels": labels,
    "exact": exact,
    "approximate": approximate,
    "search": search,
    "train": train,
    "part": part,
    "commit": commit,
    "search of parts": search,
}


def main() -> None:
    """Measure one size, and write the numbers beside those of other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="of the index, kept; default: a temporary one")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--exact-rows", type=int, default=1_000_000, help="most to hold in memory")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    n: int = arguments.rows
    if arguments.stage:
        _run_stage(arguments.stage, arguments.folder, n, arguments.part)
        return
    stages = [one for one in STAGES if one in arguments.stages]
    if n > arguments.exact_rows and "exact" in stages:
        stages.remove("exact")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "large.index"
        for stage in stages:
            if stage == "part":
                parts = range(1, N_PARTS + 1)
                _keep(n, "parts", [_in_process(stage, folder, n, number) for number in parts])
            else:
                _keep(n, stage, _in_process(stage, folder, n))
            # Exact search keeps one, which is no part of what is measured after it.
            shutil.rmtree(folder / "snapshot", ignore_errors=True)


def _keep(n: int, stage: str, told: Any) -> None:
    path = RESULTS / "large_index.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"sizes": {}}
    sizes = report["sizes"]
    sizes.setdefault(str(n), {})[stage] = told
    keep(
        "large_index",
        {
            "machine": machine(),
            "dim": DIM,
            "clusters": N_CLUSTERS,
            "k": K,
            "queries": N_QUERIES,
            "wanted": RECALL,
            "rows_per_add": ROWS_PER_ADD,
            "sizes": dict(sorted(sizes.items(), key=lambda item: int(item[0]))),
        },
    )


def _in_process(stage: str, folder: Path, n: int, number: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large_index", "--stage", stage]
    command += ["--folder", str(folder), "--rows", str(n), "--part", str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    print(f"{n:,} rows, {stage} {number or ''}: {json.dumps(told)[:400]}", flush=True)
    return told


def _run_stage(stage: str, folder: Path, n: int, number: int) -> None:
    started, began = time.perf_counter(), time.process_time()
    told = STAGES[stage](folder, n, number) if number else STAGES[stage](folder, n)
    # What imports and the machine's other work add is in both.
    told["stage_s"] = round(time.perf_counter() - started, 1)
    told["stage_cpu_s"] = round(time.process_time() - began, 1)
    told["peak_bytes"] = peak_bytes()
    json.dump(told, sys.stdout)


def _queries() -> NDArray[np.float32]:
    """Return vectors of the clusters that are no rows: parts of another size are other vectors."""
    return next(clustered_vectors(N_QUERIES, rows_at_once=N_QUERIES))


def _least(folder: Path, queries: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of each query's ``K``-th nearest row, from a scan of all."""
    best = np.full((len(queries), K), -1.0)

    def take(batches: Iterator[Any]) -> None:
        nonlocal best
        for batch in batches:
            vectors = vectors_of(batch, DIM).astype(np.float64)
            both = np.concatenate([best, queries.astype(np.float64) @ vectors.T], axis=1)
            best = np.partition(both, -K, axis=1)[:, -K:]

    Index.open(folder)._folder.table.consume(["vector"], take)
    return np.asarray(best.min(axis=1))


def _size(folder: Path) -> int:
    return sum(os.path.getsize(path) for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
