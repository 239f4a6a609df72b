"""A scan's second question against its first, its memory by length, and two threads against one.

Run it with ``./dev bench scan``; results go to ``benchmarks/results/scan.json``. The recordings are
noise with sounds of the demo mixed in every half minute, the examples the first five of them. Every
scan runs in a process of its own; processor time counts that of the processes that decode, and
Python's compiled files are there, as they are where a package is installed.
``--part`` measures one part and leaves the others' results as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earful.demo import DemoCorpus
from earful.model.audio import load_audio

RESULTS = Path(__file__).resolve().parent / "results" / "scan.json"
RATE = 22_050
LABEL = "bird"
EVERY_S = 30
PIECE_S = 600
ASKED_S = 1800
LENGTHS_S = (600, 43_200)
TIMES = 3


def write_recording(path: Path, seconds: int) -> list[float]:
    """Write noise with sounds in it; return where they begin."""
    clips = [
        load_audio(one, sample_rate=RATE).samples[:RATE]
        for one in sorted((DemoCorpus.find().sounds / LABEL).iterdir())
    ]
    starts = list(range(5, seconds - 5, EVERY_S))
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for piece in range(0, seconds, PIECE_S):
            noise = np.random.default_rng(piece).normal(
                0, 0.01, min(PIECE_S, seconds - piece) * RATE
            )
            for number, start_s in enumerate(starts):
                if piece <= start_s < piece + PIECE_S - 1:
                    clip = clips[number % len(clips)]
                    first = (start_s - piece) * RATE
                    noise[first : first + len(clip)] += 0.3 * clip / np.abs(clip).max()
            file.write(noise)
    return [float(start_s) for start_s in starts]


def write_examples(path: Path, recording: Path, starts: list[float]) -> None:
    """Mark some of the sounds."""
    rows = "".join(f"{recording.name},{start_s},{start_s + 1},{LABEL}\n" for start_s in starts)
    path.write_text("recording,start_s,end_s,label\n" + rows, encoding="utf-8")


def measure(recording: Path, examples: Path, out: Path) -> dict[str, float]:
    """Scan in this process, and return what it took."""
    import earful

    began = time.perf_counter()
    events = earful.scan(recording, examples=examples, out=out)
    seconds = time.perf_counter() - began
    from earful.model.audio import stop_decoding

    stop_decoding()  # so that its processor time is counted
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "events": len(events),
        "wall_s": seconds,
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in used),
        "peak_rss_bytes": used[0].ru_maxrss * 1024,
    }


def scan(recording: Path, examples: Path, out: Path, *, threads: int = 1) -> dict[str, float]:
    """Scan in a process of its own, compiled files lying beside the results."""
    compiled = {"PYTHONPYCACHEPREFIX": str(out.parent / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    words = ["-m", "benchmarks.scan", "--measure", str(recording), str(examples), str(out)]
    told = subprocess.run(
        [sys.executable, *words],
        check=True,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            **compiled,
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    result: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return result


def second_question(folder: Path) -> dict[str, Any]:
    """Return the processor time of a first scan, and of one with other examples."""
    recording = folder / "asked.wav"
    starts = write_recording(recording, ASKED_S)
    for name, some in (("first", starts[:5]), ("second", starts[5:10])):
        write_examples(folder / f"{name}.csv", recording, some)
    # What starting Python and loading the encoder takes is no part of either question.
    empty = folder / "empty.wav"
    write_recording(empty, 20)
    write_examples(folder / "empty.csv", empty, [5.0])
    scan(empty, folder / "empty.csv", folder / "compiling.scan")
    runs = []
    for number in range(TIMES):
        out = folder / f"asked{number}.scan"
        first = scan(recording, folder / "first.csv", out)
        runs.append((first, scan(recording, folder / "second.csv", out)))
    start_s = statistics.median(
        scan(empty, folder / "empty.csv", folder / "empty.scan")["cpu_s"] for _ in range(TIMES)
    )
    first_s, second_s = (statistics.median(run[place]["cpu_s"] for run in runs) for place in (0, 1))
    return {
        "recording_s": ASKED_S,
        "first_cpu_s": first_s,
        "second_cpu_s": second_s,
        "start_cpu_s": start_s,
        "ratio": second_s / first_s,
        "ratio_without_start": max(0.0, second_s - start_s) / (first_s - start_s),
        "events": [run[1]["events"] for run in runs],
    }


def memory(folder: Path) -> dict[str, Any]:
    """Return the peak memory of a short and of a long recording."""
    peaks = {}
    for seconds in LENGTHS_S:
        recording = folder / f"{seconds}.wav"
        starts = write_recording(recording, seconds)
        write_examples(folder / f"{seconds}.csv", recording, starts[:5])
        told = scan(recording, folder / f"{seconds}.csv", folder / f"{seconds}.scan", threads=2)
        peaks[str(seconds)] = told
        kept = sum(path.stat().st_size for path in (folder / f"{seconds}.scan").rglob("*.npy"))
        told["kept_bytes_per_hour"] = kept / seconds * 3600
    short, long = (peaks[str(seconds)]["peak_rss_bytes"] for seconds in LENGTHS_S)
    return {"by_seconds": peaks, "ratio": long / short}


def threads(folder: Path) -> dict[str, Any]:
    """Return the wall time of one thread and of two, in turns."""
    recording = folder / "threads.wav"
    starts = write_recording(recording, PIECE_S)
    write_examples(folder / "threads.csv", recording, starts[:5])
    scan(recording, folder / "threads.csv", folder / "compiling.scan")
    times: dict[int, list[float]] = {1: [], 2: []}
    for number in range(TIMES):
        for n_threads, seconds in times.items():
            out = folder / f"threads{number}-{n_threads}.scan"
            told = scan(recording, folder / "threads.csv", out, threads=n_threads)
            seconds.append(told["wall_s"])
    one, two = (statistics.median(seconds) for seconds in times.values())
    return {
        "recording_s": PIECE_S,
        "one_wall_s": one,
        "two_wall_s": two,
        "speedup": one / two,
        "load_average": os.getloadavg()[0],
        "cores": len(os.sched_getaffinity(0)),
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "second_question": second_question,
    "memory": memory,
    "threads": threads,
}


def main() -> None:
    """Measure all parts, or some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("--measure", nargs=3, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*given.measure)))
        return
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in given.part or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = PARTS[name](Path(folder))
        print(name, json.dumps(results[name], indent=1))
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
