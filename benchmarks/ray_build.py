"""A build by one and by two Ray workers beside a local build of the same clips.

Run it with ``./dev bench ray_build``; results go to ``benchmarks/results/``. Clips of two seconds
are synthesised, so that each worker has its own to decode. Each build runs in a process of its own,
which notes what it and everything that it started took: processes are found by a mark in their
environment, twenty times a second, so up to a twentieth of a second of each is missed.

**Processor seconds** are those of ``--rows`` rows less those of ``--few`` rows, so that the start
of Python, of Ray and of the embedder is not in them. **Rates** are rows per second from the first
result to the last commit. **Memory** is the peak of the largest worker, beside that of the local
build's process. One thread that embeds and one that decodes in the local build and in each worker;
the ways take turns (``--rounds``), and ratios are of medians. On a busy machine believe processor
seconds only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.build_memory import synthesise
from benchmarks.turns import keep

CLIP_S = 2.0
MARK = "EARFUL_BENCH_RAY"
_EVERY_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
WAYS = {"local": 0, "one worker": 1, "two workers": 2}


class Watch:
    """Processor seconds and memory of all marked processes, those that have ended as well."""

    def __init__(self, mark: str) -> None:
        self._mark = f"{MARK}={mark}\0".encode()
        self._is_ours: dict[str, bool] = {}
        self._cpu_s: dict[str, float] = {}
        self.worker_bytes = self.resident_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.look()

    def look(self) -> None:
        """Look at all processes once."""
        resident = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                key = f"{folder.name}-{fields[19]}"
                if key not in self._is_ours:
                    self._is_ours[key] = self._mark in (folder / "environ").read_bytes()
                if not self._is_ours[key]:
                    continue
                self._cpu_s[key] = (int(fields[11]) + int(fields[12])) / _TICKS
                resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                status = (folder / "status").read_text()
                if "ray::Worker" in status.partition("\n")[0]:
                    peak = status.partition("VmHWM:")[2].split()[0]
                    self.worker_bytes = max(self.worker_bytes, int(peak) * 1024)
            except (OSError, IndexError):  # it has just ended
                continue
        self.resident_bytes = max(self.resident_bytes, resident)

    @property
    def cpu_s(self) -> float:
        """Processor seconds until now."""
        return sum(self._cpu_s.values())

    def end(self) -> None:
        """Stop looking, after a last look."""
        self._ended.set()
        self._thread.join()
        self.look()


def measure(corpus: Path, index: Path, embedder: str, n_workers: int, mark: str) -> dict[str, Any]:
    """Build in this process and return what it took."""
    import resource

    from earful.index import BuildOptions, build_index
    from earful.index.builder import BuildProgress
    from earful.index.distributed import RayEngine

    watch = Watch(mark)
    first: list[tuple[float, int, float, int]] = []

    def note(progress: BuildProgress) -> None:
        if progress.done and not first:
            watch.look()
            first.append((time.perf_counter(), progress.done, watch.cpu_s, watch.resident_bytes))

    report = build_index(
        corpus,
        index,
        embedder=embedder,
        options=BuildOptions(n_decoders=1),
        engine=RayEngine(workers=n_workers, max_unit_rows=16) if n_workers else None,
        progress=note,
    )
    seconds = time.perf_counter() - first[0][0]
    watch.end()
    if report.rejected or not report.accepted:
        raise SystemExit(f"expected every row, got {report}")
    return {
        "rows": report.n,
        "cpu_s": round(watch.cpu_s, 2),
        "rows_per_s": round((report.n - first[0][1]) / seconds, 2),
        "cpu_s_until_first_result": round(first[0][2], 2),
        "resident_bytes_at_first_result": first[0][3],
        "worker_peak_bytes": watch.worker_bytes,
        "driver_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "load_average": round(os.getloadavg()[0], 1),
    }


def in_own_process(corpus: Path, index: Path, embedder: str, n_workers: int) -> dict[str, Any]:
    """Measure one build in a fresh process."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    program = [sys.executable, "-m", "benchmarks.ray_build", "--measure"]
    done = subprocess.run(
        [*program, str(corpus), str(index), embedder, str(n_workers), mark],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: mark, "OMP_NUM_THREADS": "1"},
    )
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def compare(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return ratios of medians, and differences of memory."""

    def peak(run: dict[str, Any]) -> int:
        return int(run["worker_peak_bytes"] or run["driver_peak_bytes"])

    local, one, two = (
        {
            "cpu_s": statistics.median(run["cpu_s"] - run["few"]["cpu_s"] for run in runs[way]),
            "rows_per_s": statistics.median(run["rows_per_s"] for run in runs[way]),
            "worker": max(map(peak, runs[way])),
        }
        for way in WAYS
    )
    return {
        "one_worker_cpu_beside_local": round(one["cpu_s"] / local["cpu_s"], 3),
        "two_workers_cpu_beside_local": round(two["cpu_s"] / local["cpu_s"], 3),
        "one_worker_rate_beside_local": round(one["rows_per_s"] / local["rows_per_s"], 3),
        "two_workers_rate_beside_one": round(two["rows_per_s"] / one["rows_per_s"], 3),
        "worker_bytes_beyond_local": one["worker"] - local["worker"],
        "start_cpu_s": statistics.median(
            run["few"]["cpu_s_until_first_result"] for run in runs["one worker"]
        ),
        "start_resident_bytes": statistics.median(
            run["few"]["resident_bytes_at_first_result"] for run in runs["one worker"]
        ),
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="clips that are built")
    parser.add_argument("--few", type=int, default=20, help="clips of the build that is subtracted")
    parser.add_argument("--rounds", type=int, default=3, help="turns of the ways to build")
    parser.add_argument("--embedder", default="earful-small")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        corpus, index, embedder, n_workers, mark = arguments.measure
        print(json.dumps(measure(Path(corpus), Path(index), embedder, int(n_workers), mark)))
        return
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        few, many = Path(scratch, "few"), Path(scratch, "many")
        synthesise(few, n=arguments.few, seconds=CLIP_S)
        synthesise(many, n=arguments.rows, seconds=CLIP_S)
        for number in range(arguments.rounds):
            for way, n_workers in WAYS.items():
                made = [
                    in_own_process(
                        *(corpus, Path(scratch, f"{number}-{n_workers}-{corpus.name}")),
                        *(arguments.embedder, n_workers),
                    )
                    for corpus in (few, many)
                ]
                runs[way].append({**made[1], "few": made[0]})
                print(f"round {number + 1}, {way:<12} {made[1]}", flush=True)
    results = {
        "cpus": len(os.sched_getaffinity(0)),
        "embedder": arguments.embedder,
        "clip_s": CLIP_S,
        "runs": runs,
        "compared": compare(runs),
    }
    print(json.dumps(results["compared"], indent=2))
    keep("ray_build", results)


if __name__ == "__main__":
    main()
