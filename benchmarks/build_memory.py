"""Memory of building an index: it stays flat in the number of rows and in their length.

Run it with ``./dev bench build_memory``; results go to ``benchmarks/results/``. Clips are
synthesised into a temporary folder: half-second clips, each another sound, for the row
counts, and ten-minute recordings for the length. Every build runs in a process of its own,
which notes its resident memory after each commit; the peak is the operating system's. What
the largest of the processes that decode took stands beside it.

``--rows`` sets the row counts, ``--embedder`` the embedders. The default is the cheapest
one, so that what is measured is the build and not the embedder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from benchmarks.resident import peak_bytes

from earful.index.builder import BuildOptions, BuildProgress, build_index

RESULTS = Path(__file__).resolve().parent / "results" / "build_memory.json"
RATE = 16_000
N_LABELS = 20
CLIP_S = 0.5
N_LONG = 12
LONG_S = 600.0


def synthesise(folder: Path, *, n: int, seconds: float) -> None:
    """Write ``n`` different sounds in ``N_LABELS`` label folders."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(RATE * min(seconds, 10.0))) / RATE
    for label in range(N_LABELS):
        (folder / f"label{label:02}").mkdir(parents=True)
    for number in range(n):
        tone = np.sin(2 * np.pi * rng.uniform(50, 4000) * time_s)
        sound = 0.3 * tone + 0.1 * rng.standard_normal(time_s.size)
        n_times = max(1, round(seconds * RATE / time_s.size))
        path = folder / f"label{number % N_LABELS:02}" / f"{number:06}.wav"
        soundfile.write(path, np.tile(sound, n_times), RATE)


def resident_bytes() -> int:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def children() -> list[int]:
    """Return the processes that this one started: those that decode."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(pid) for listed in lists for pid in listed.read_text(encoding="ascii").split()]


def measure(corpus: Path, index: Path, embedder: str) -> dict[str, Any]:
    """Build in this process and return what it took."""
    course: list[tuple[int, int]] = []

    def note(progress: BuildProgress) -> None:
        if not course or progress.committed > course[-1][0]:
            course.append((progress.committed, resident_bytes()))

    began = time.perf_counter()
    report = build_index(
        corpus, index, embedder=embedder, options=BuildOptions(commit_rows=500), progress=note
    )
    seconds = time.perf_counter() - began
    if report.rejected:
        raise SystemExit(f"rejected: {report.rejected[0].error}")
    return {
        "rows": report.n,
        "audio_s": round(report.audio_s, 1),
        "seconds": round(seconds, 2),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "decoder_peak_rss_bytes": max(map(peak_bytes, children()), default=0),
        "index_bytes": sum(p.stat().st_size for p in index.rglob("*") if p.is_file()),
        "rss_bytes_after_committed_rows": course,
    }


def in_own_process(corpus: Path, index: Path, embedder: str) -> dict[str, Any]:
    """Measure one build in a fresh process."""
    program = [sys.executable, "-m", "benchmarks.build_memory"]
    command = [*program, "--measure", str(corpus), str(index), embedder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def show(name: str, result: dict[str, Any]) -> None:
    """Print one line of the table."""
    rate = result["rows"] / result["seconds"]
    decoder = result["decoder_peak_rss_bytes"] / 2**20
    print(
        f"{name:<28} {result['rows']:>7} {result['audio_s']:>9.0f} {result['seconds']:>8.1f} "
        f"{rate:>7.0f} {result['peak_rss_bytes'] / 2**20:>9.0f} {decoder:>11.0f} "
        f"{result['index_bytes'] / 2**20:>9.1f}",
        flush=True,
    )


def main() -> None:
    """Build corpora of several sizes, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,10000", help="row counts, comma-separated")
    parser.add_argument("--embedder", default="logmel", help="names, comma-separated")
    parser.add_argument("--measure", nargs=3, metavar=("CORPUS", "INDEX", "EMBEDDER"))
    arguments = parser.parse_args()
    if arguments.measure:
        corpus, index, embedder = arguments.measure
        print(json.dumps(measure(Path(corpus), Path(index), embedder)))
        return
    counts = sorted(int(n) for n in arguments.rows.split(","))
    print(
        f"{'':<28} {'rows':>7} {'audio s':>9} {'seconds':>8} {'rows/s':>7} {'peak MiB':>9} "
        f"{'decoder MiB':>11} {'disk MiB':>9}"
    )
    results: dict[str, Any] = {"cpus": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        synthesise(folder / "long", n=N_LONG, seconds=LONG_S)
        for n in counts:
            synthesise(folder / f"rows{n}", n=n, seconds=CLIP_S)
        for embedder in arguments.embedder.split(","):
            arms: dict[str, Any] = {}
            for n in counts:
                index = folder / f"{embedder}-{n}.index"
                arms[f"{n} rows"] = in_own_process(folder / f"rows{n}", index, embedder)
                show(f"{embedder}, {CLIP_S} s clips", arms[f"{n} rows"])
            fewest, most = arms[f"{counts[0]} rows"], arms[f"{counts[-1]} rows"]
            n_more = most["rows"] - fewest["rows"]
            if n_more:
                grown = (most["peak_rss_bytes"] - fewest["peak_rss_bytes"]) / n_more
                arms["peak_rss_bytes_per_further_row"] = round(grown)
                print(f"{embedder}: {grown:,.0f} bytes of peak memory per further row")
            long = in_own_process(folder / "long", folder / f"{embedder}-long.index", embedder)
            long["decoded_bytes"] = round(long["audio_s"] * RATE * 4)
            show(f"{embedder}, {LONG_S:.0f} s recordings", long)
            arms["long recordings"] = long
            results[embedder] = arms
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
