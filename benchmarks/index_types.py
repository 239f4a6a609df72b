"""Kinds of approximate indexes side by side, on the rows that ``large_index`` wrote.

Each kind that LanceDB has is made of the same rows in a process of its own, with as many
partitions, and searched with a few numbers of partitions and of rows that are compared by their
full vectors. Of these the cheapest that finds the recall asked for is told, by the processor time
of a query; where none does, the one that finds most.

    ./dev bench large_index --rows 100000 --folder /scratch/small.index --stages write
    ./dev bench index_types --rows 100000 --folder /scratch/small.index

adds a size to ``benchmarks/results/index_types.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.large_index import RECALL, K
from benchmarks.large_rows import DIM
from benchmarks.resident import peak_bytes
from benchmarks.turns import RESULTS, keep, machine

from earful.index import Index
from earful.index.search.approximate import Truth, default_partitions, find_truth
from earful.index.storage import vectors_of

N_QUERIES: Final = 100
PROBES: Final = (1, 4, 16)
REFINES: Final = (None, 10, 30)
TITLES: Final = {
    "rq1": "IVF_RQ, 1 bit a number",
    "rq4": "IVF_RQ, 4 bits",
    "pq": "IVF_PQ, 32 bytes a row",
    "sq": "IVF_SQ, 8 bits a number",
    "hnsw-sq": "IVF_HNSW_SQ",
    "hnsw-pq": "IVF_HNSW_PQ, 32 bytes a row",
    "flat": "IVF_FLAT",
    "exact": "none: LanceDB reads all rows",
}


def _kinds(n_partitions: int) -> dict[str, Callable[[], Any]]:
    from lancedb import index

    common: dict[str, Any] = {"distance_type": "dot", "num_partitions": n_partitions}
    # A graph finds its own way: LanceDB's advice is one partition a million rows.
    graph: dict[str, Any] = {"distance_type": "dot", "num_partitions": 1}
    return {
        "rq1": lambda: index.IvfRq(**common, num_bits=1),
        "rq4": lambda: index.IvfRq(**common, num_bits=4),
        "pq": lambda: index.IvfPq(**common, num_sub_vectors=DIM // 8),
        "sq": lambda: index.IvfSq(**common),
        "hnsw-sq": lambda: index.HnswSq(**graph),
        "hnsw-pq": lambda: index.HnswPq(**graph, num_sub_vectors=DIM // 8),
        "flat": lambda: index.IvfFlat(**common),
    }


def measure(folder: Path, n: int, kind: str) -> dict[str, Any]:
    """Make one kind of index and search it."""
    opened = Index.open(folder)._folder.table
    truth = find_truth(opened, DIM, k=K, n_queries=N_QUERIES)
    table = opened._lance
    told: dict[str, Any] = {}
    probes: tuple[int, ...] = (1,)
    if kind == "exact":
        opened.drop_vector_index()
    else:
        began, started = time.process_time(), time.perf_counter()
        table.create_index("vector", config=_kinds(default_partitions(n))[kind]())
        told["build_cpu_s"] = round(time.process_time() - began, 1)
        told["build_s"] = round(time.perf_counter() - started, 1)
        (made,) = (one for one in table.list_indices() if one.columns == ["vector"])
        told["bytes_a_row"] = round(int(made.size_bytes or 0) / n, 1)
        probes = (1,) if kind.startswith("hnsw") else PROBES
    tried = [
        _searched(table, truth, n_probes, refine)
        for n_probes in probes
        for refine in (REFINES if kind not in ("exact", "flat") else (None,))
    ]
    enough = [one for one in tried if one["recall"] >= RECALL]
    told["chosen"] = (
        min(enough, key=lambda one: float(one["cpu_ms"]))
        if enough
        else max(tried, key=lambda one: float(one["recall"]))
    )
    return {**told, "tried": tried, "peak_bytes": peak_bytes()}


def _searched(table: Any, truth: Truth, n_probes: int, refine: int | None) -> dict[str, Any]:
    def search(query: Any) -> Any:
        asked = table.search(query, "vector").distance_type("dot").nprobes(n_probes)
        if refine is not None:
            asked = asked.refine_factor(refine)
        return asked.select(["id", "vector", "_distance"]).limit(K + 1).to_arrow()

    for query in truth.vectors[:5]:
        search(query)
    n_found, times, began = 0, [], time.process_time()
    found = []
    for query in truth.vectors:
        started = time.perf_counter()
        found.append(search(query))
        times.append(time.perf_counter() - started)
    cpu_s = time.process_time() - began
    for one, id_, query, least in zip(found, truth.ids, truth.vectors, truth.least, strict=True):
        cosines = vectors_of(one, DIM).astype(np.float64) @ query.astype(np.float64)
        others = cosines[np.array(one.column("id").to_pylist()) != id_][:K]
        n_found += int((others >= least - 1e-6).sum())
    return {
        "probes": n_probes,
        "refine": refine,
        "recall": round(n_found / (K * len(truth.ids)), 4),
        "ms": round(float(np.median(times)) * 1000, 2),
        "cpu_ms": round(cpu_s * 1000 / len(times), 2),
    }


def main() -> None:
    """Measure kinds of indexes, and write the numbers beside those of other sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True, help="of the index")
    parser.add_argument("--folder", type=Path, required=True, help="the index, whose own changes")
    parser.add_argument("--kinds", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--kind", choices=TITLES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind:
        json.dump(measure(arguments.folder, arguments.rows, arguments.kind), sys.stdout)
        return
    for kind in arguments.kinds:
        command = [sys.executable, "-m", "benchmarks.index_types", "--kind", kind]
        command += ["--rows", str(arguments.rows), "--folder", str(arguments.folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout)
        print(f"{arguments.rows:,} rows, {kind}: {json.dumps(told)[:300]}", flush=True)
        _keep(arguments.rows, kind, told)


def _keep(n: int, kind: str, told: dict[str, Any]) -> None:
    path = RESULTS / "index_types.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"sizes": {}}
    report["sizes"].setdefault(str(n), {})[kind] = told
    sizes = {
        size: {kind: own[kind] for kind in TITLES if kind in own}
        for size, own in sorted(report["sizes"].items(), key=lambda item: int(item[0]))
    }
    about = {"machine": machine(), "dim": DIM, "k": K, "queries": N_QUERIES, "wanted": RECALL}
    keep("index_types", {**about, "sizes": sizes})


if __name__ == "__main__":
    main()
