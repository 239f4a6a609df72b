"""Shards and their merge: how fast rows are merged, and what two shards cost beside one build.

Run it with ``./dev bench shards``; results go to ``benchmarks/results/``.

**Merge.** Two indexes of random unit vectors (256 numbers, ``--rows`` rows in all) are merged in
a process of its own; every row's digests are computed again on the way. The rate is rows per
second of processor time of that process, all threads, once LanceDB and Arrow are imported. Beside
it stand the same merge done again, which changes nothing, and the merge with ``prefix``, which
makes all digests anew.

**Two shards and a merge beside one build.** Synthesised clips of two seconds (``--clips``) are
built by one process that may use two CPUs, and by two processes at the same time, a shard and a
CPU each, then merged by a third. Processor and wall seconds are of all processes, their start
included: of few clips the start is most of it. Both ways take turns (``--rounds``), and the ratio
is of their medians.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from benchmarks.build_memory import synthesise
from benchmarks.turns import keep

DIM = 256
ROWS_AT_ONCE = 5000
CLIP_S = 2.0


def write_rows(folder: Path, name: str, n: int, seed: int) -> Path:
    """Make an index of random rows."""
    from earful.index import Exemplar, Index, Row
    from earful.model import Fingerprint

    made_by = Fingerprint(
        name="random", revision="", weights_sha256="", dim=DIM, sample_rate=8000, windowing="whole"
    )
    index = Index.create(folder / f"{name}.index", made_by)
    drawn = np.random.default_rng(seed)
    for start in range(0, n, ROWS_AT_ONCE):
        vectors = drawn.standard_normal((min(ROWS_AT_ONCE, n - start), DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index.add(
            [
                Row(
                    exemplar=Exemplar(
                        id=f"{name}/{start + number:08}.wav",
                        audio=PurePosixPath(f"{name}/{start + number:08}.wav"),
                        labels=(f"label{number % 50:02}",),
                        group=f"{name}-{number % 1000}",
                        meta={"site": name, "recorder": str(number % 7)},
                    ),
                    root=folder,
                    duration_s=2.0,
                    file_sha256=f"{start + number:064x}",
                    content_sha256=f"{start + number:064x}",
                    vector=vector,
                )
                for number, vector in enumerate(vectors)
            ]
        )
    return index.path


def merge_here(parts: list[str], into: str, *, prefix: bool) -> dict[str, Any]:
    """Merge in this process and return what it took."""
    import lancedb  # noqa: F401 - its import is not what is measured
    import pyarrow.compute  # noqa: F401

    from earful.index import merge_indexes

    began, cpu = time.perf_counter(), time.process_time()
    report = merge_indexes(parts, into, prefix=prefix)
    cpu_s = time.process_time() - cpu
    return {
        "rows": report.added + report.same,
        "added": report.added,
        "cpu_s": round(cpu_s, 3),
        "wall_s": round(time.perf_counter() - began, 3),
        "rows_per_cpu_s": round((report.added + report.same) / cpu_s),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def measure_merge(folder: Path, n: int) -> dict[str, Any]:
    """Merge two indexes of random rows in fresh processes."""
    parts = [write_rows(folder, name, n // 2, seed) for seed, name in enumerate(("east", "west"))]
    results = {}
    for name, into, prefix in (
        ("merge", "all", False),
        ("the same again", "all", False),
        ("merge with prefix", "named", True),
    ):
        command = [sys.executable, "-m", "benchmarks.shards", "--merge", str(folder / into)]
        command += ["--prefix"] if prefix else []
        done = subprocess.run([*command, *map(str, parts)], check=True, stdout=subprocess.PIPE)
        results[name] = json.loads(done.stdout)
        print(f"{name:<20} {results[name]['rows_per_cpu_s']:>8,} rows per CPU second", flush=True)
    return results


def on_one_cpu(cpu: int, command: list[str]) -> list[str]:
    """Return a command that runs another on one CPU."""
    program = (
        f"import os, sys; os.sched_setaffinity(0, {{{cpu}}}); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", program, *command]


def run_together(commands: list[tuple[int | None, list[str]]]) -> None:
    """Run commands at the same time, each on one CPU or on all."""
    programs = [(cpu, [sys.executable, "-m", "earful", *command]) for cpu, command in commands]
    started = [
        subprocess.Popen(
            program if cpu is None else on_one_cpu(cpu, program),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for cpu, program in programs
    ]
    if any([process.wait() for process in started]):
        raise SystemExit("a build failed")


def timed(commands: list[list[tuple[int | None, list[str]]]]) -> dict[str, float]:
    """Run steps one after the other; return wall and processor seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for step in commands:
        run_together(step)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(time.perf_counter() - began, 2), "cpu_s": round(cpu_s, 2)}


def measure_builds(folder: Path, n: int, rounds: int, embedder: str) -> dict[str, Any]:
    """Build whole and in two shards, in turns."""
    corpus = folder / "clips"
    synthesise(corpus, n=n, seconds=CLIP_S)
    first, second, *_ = sorted(os.sched_getaffinity(0))
    whole, parts, merged = folder / "whole", [folder / "1.index", folder / "2.index"], folder / "m"
    build = ["index", "build", str(corpus), "--embedder", embedder, "--index"]
    arms: dict[str, list[dict[str, float]]] = {"one build": [], "two shards and a merge": []}
    for number in range(rounds):
        for path in (whole, merged, *parts):
            shutil.rmtree(path, ignore_errors=True)
        arms["one build"].append(timed([[(None, [*build, str(whole)])]]))
        shards: list[tuple[int | None, list[str]]] = [
            (cpu, [*build, str(part), "--shard", f"{i}/2"])
            for i, (cpu, part) in enumerate(zip((first, second), parts, strict=True), start=1)
        ]
        merge = ["index", "merge", *map(str, parts), "--index", str(merged)]
        arms["two shards and a merge"].append(timed([shards, [(None, merge)]]))
        print(f"round {number + 1}: {arms['one build'][-1]} {arms['two shards and a merge'][-1]}")
    medians = {
        name: {of: statistics.median(one[of] for one in runs) for of in ("wall_s", "cpu_s")}
        for name, runs in arms.items()
    }
    one, two = medians.values()
    ratios = {of: round(two[of] / one[of], 3) for of in ("wall_s", "cpu_s")}
    print(f"two shards and a merge beside one build: {ratios}")
    return {"clips": n, "embedder": embedder, "rounds": arms, "ratio": ratios}


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows that are merged")
    parser.add_argument("--clips", type=int, default=400, help="clips that are built")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both ways to build")
    parser.add_argument("--embedder", default="earful-tiny")
    parser.add_argument("--merge", metavar="INTO", help=argparse.SUPPRESS)
    parser.add_argument("--prefix", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.merge:
        print(json.dumps(merge_here(arguments.parts, arguments.merge, prefix=arguments.prefix)))
        return
    results: dict[str, Any] = {
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": [round(one, 1) for one in os.getloadavg()],
    }
    with tempfile.TemporaryDirectory() as scratch:
        results["merge"] = measure_merge(Path(scratch), arguments.rows)
        results["build"] = measure_builds(
            Path(scratch), arguments.clips, arguments.rounds, arguments.embedder
        )
    keep("shards", results)


if __name__ == "__main__":
    main()
