"""Contestants that take turns: in one process, or each in one of its own that stays alive.

Rounds alternate (A B C, B C A, C A B, …), so that a busy moment of the machine hits all of
them, and only ratios within one run are told.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

SETTLE_S = 0.1
RESULTS = Path(__file__).resolve().parent / "results"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way to do the work.

    Attributes:
        command: A program that calls ``benchmarks.contestant.serve``.
        n_threads: Cores it may run on, and threads it is told to use.
        environment: What it needs beside the environment of this process.
    """

    command: Sequence[str]
    n_threads: int
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What came of it.

    Attributes:
        seconds: Of each contestant's rounds, in order.
        results: What each contestant's last round gave.
        told: What each said of itself.
    """

    seconds: dict[str, list[float]]
    results: dict[str, Any]
    told: dict[str, dict[str, Any]]


def in_turns(
    works: Mapping[str, Callable[[], object]],
    *,
    n_rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Let everybody work in this process; return the seconds of each one's rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(n_rounds + 1):
        for name, (took_s, _) in one_round(works, number, clock).items():
            if number:  # what happens on the first call only is nobody's pace
                seconds[name].append(took_s)
    return seconds


def one_round(
    works: Mapping[str, Callable[[], Result]],
    number: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, tuple[float, Result]]:
    """Let everybody work once, in the order of that round; return seconds and results."""
    found = {}
    for name in _order(works, number):
        started = clock()
        result = works[name]()
        found[name] = (clock() - started, result)
    return found


def take_turns(contestants: Mapping[str, Contestant], *, n_rounds: int) -> Turns:
    """Let everybody do one round after the other, each in a process of its own.

    Raises:
        RuntimeError: A contestant ended early; what it said stands on stderr.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    results: dict[str, Any] = {}
    told: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        workers = {}
        for name, contestant in contestants.items():
            print(f"starting {name}", file=sys.stderr, flush=True)
            workers[name] = stack.enter_context(_started(name, contestant))
            told[name] = _line_of(workers[name], name)
        for number in range(n_rounds):
            for name in _order(contestants, number):
                stdin = workers[name].stdin
                assert stdin is not None
                # Threads of the one before may spin for work on cores that are this one's now.
                time.sleep(SETTLE_S)
                stdin.write("go\n")
                stdin.flush()
                answer = _line_of(workers[name], name)
                seconds[name].append(answer["seconds"])
                results[name] = answer["result"]
            print(f"round {number + 1} of {n_rounds}", file=sys.stderr, flush=True)
    return Turns(seconds=seconds, results=results, told=told)


def _order(contestants: Mapping[str, object], number: int) -> list[str]:
    names = list(contestants)
    first = number % len(names)
    return names[first:] + names[:first]


@contextmanager
def _started(name: str, contestant: Contestant) -> Iterator[subprocess.Popen[str]]:
    cores = sorted(os.sched_getaffinity(0))[: contestant.n_threads]
    n_threads = str(contestant.n_threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": n_threads,
        "MKL_NUM_THREADS": n_threads,
        "OPENBLAS_NUM_THREADS": n_threads,
        "NUMBA_NUM_THREADS": n_threads,
        "HF_HUB_OFFLINE": "1",
        **contestant.environment,
    }
    # On its cores before anything in it counts them.
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores)), *contestant.command]
    worker = subprocess.Popen(
        pinned,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def _line_of(worker: subprocess.Popen[str], name: str) -> dict[str, Any]:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"{name} ended with code {worker.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def spread(seconds: Sequence[float], *, n: int = 1, digits: int = 3) -> dict[str, float]:
    """Return the least, middle and largest, in milliseconds for each of ``n``."""
    return {
        name: round(value * 1000 / n, digits)
        for name, value in (
            ("min", min(seconds)), ("median", median(seconds)), ("max", max(seconds))
        )
    }  # fmt: skip


def times(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Say how many times as long they took, round by round.

    >>> times([1.0, 2.0], [4.0, 6.0])
    {'min': 3.0, 'median': 3.5, 'max': 4.0}
    """
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {
        "min": round(min(ratios), 2), "median": round(median(ratios), 2),
        "max": round(max(ratios), 2),
    }  # fmt: skip


def table_of(rows: Mapping[str, Mapping[str, Mapping[str, float]]], unit: str) -> str:
    """Lay out ``{name: {"ms": spread, "times": times}}`` for a terminal."""
    lines = [f"{'':<44}{'min':>9}{'median':>9}{'max':>9}  {unit}   times as long as earful"]
    for name, row in rows.items():
        ms = "".join(f"{row['ms'][key]:>9.2f}" for key in ("min", "median", "max"))
        told = ""
        if "times" in row:
            least, middle, most = (row["times"][key] for key in ("min", "median", "max"))
            told = f"{middle:.2f} ({least:.2f} to {most:.2f})"
        lines.append(f"{name:<44}{ms}  {' ' * len(unit)}   {told}")
    return "\n".join(lines)


def use_threads(n: int) -> None:
    """Bound the threads of torch, and of the shipped encoders, which do without it."""
    import torch

    os.environ["OMP_NUM_THREADS"] = str(n)
    torch.set_num_threads(n)


def machine() -> dict[str, Any]:
    """Say where this ran."""
    import torch

    flags = _cpuinfo()["flags"].split()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return {
        "cpu": _cpuinfo()["model name"],
        "cpus": len(os.sched_getaffinity(0)),
        "instructions": wide,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def place_name(device: str) -> str:
    """Return the name of what computes."""
    if device == "cpu":
        return f"{_cpuinfo()['model name']}, {os.cpu_count()} CPUs"
    import torch

    return torch.cuda.get_device_name(device)


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the processor; not all processors have a name or flags."""
    told = {"model name": platform.machine(), "flags": ""}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        told[key.strip()] = value.strip()
    return told


def kept(name: str, folder: Path = RESULTS) -> Any:
    """Read what ``NAME.json`` among the results, or in another folder, holds."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def keep(name: str, report: Mapping[str, Any]) -> None:
    """Write a report to ``benchmarks/results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
