"""Twenty thousand recordings changed at random: no crash, no hang, one line or finite samples.

Run by ``./dev trials``. Recordings of every format that can be written here are mutated and
decoded in processes of their own, so that what kills or holds one up is seen and counted.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.audio_formats import CannotWriteError, every_format

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]
pytest.importorskip("av")

TRIED = 20_000
WORKERS = 2
HANGS_AFTER_S = 10.0
MOST_MIB = 2048


@dataclass
class Tally:
    """Outcomes of the mutants that one worker decoded."""

    verdicts: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    hangs: list[int] = field(default_factory=list)
    other_errors: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    most_mib: float = 0.0

    def add(self, number: int, outcome: str, mib: float, took_s: float) -> None:
        """Count one answer."""
        if outcome in ("accepted", "refused"):
            self.verdicts[outcome] += 1
        else:
            self.other_errors.append(f"{number}: {outcome}")
        self.slowest_s = max(self.slowest_s, took_s)
        self.most_mib = max(self.most_mib, mib)


def decode_share(seeds: Path, worker: int, errors: Path) -> Tally:
    """Decode every ``WORKERS``-th mutant, going on after one that stops a process."""
    here = Path(__file__).parent
    tally = Tally()
    number = worker
    while number < TRIED:
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, str(here / "decode_mutants.py"),
                 str(seeds), str(number), str(TRIED), str(WORKERS)],
                stdout=subprocess.PIPE, stderr=stderr,
                env={**os.environ, "PYTHONPATH": str(here.parents[1])},
            )  # fmt: skip
        number = listen(child, number, tally)
        if child.returncode and number < TRIED:
            last_words = errors.read_text(errors="replace")[-2000:]
            if tally.hangs[-1:] != [number]:
                tally.crashes.append(f"{number}: exit {child.returncode}: {last_words}")
            number += WORKERS
    return tally


def listen(child: subprocess.Popen[bytes], number: int, tally: Tally) -> int:
    """Read answers until there are no more; returns the first number without one."""
    assert child.stdout is not None
    with child, child.stdout:
        started = None  # the first answer waits for the imports
        while select.select([child.stdout], [], [], HANGS_AFTER_S + (started is None) * 60)[0]:
            line = child.stdout.readline()
            if not line:
                return number
            now = time.monotonic()
            decoded, outcome, mib = json.loads(line)
            tally.add(decoded, outcome, mib, 0.0 if started is None else now - started)
            started, number = now, decoded + WORKERS
        child.kill()
        tally.hangs.append(number)
    return number


def test_mutated_recordings(tmp_path: Path, keep_figures: Callable[..., None]) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for name, make in every_format(0.3).items():
        try:
            (seeds / name).write_bytes(make())
        except CannotWriteError:
            continue
    with ThreadPoolExecutor(WORKERS) as threads:
        shares = [
            threads.submit(decode_share, seeds, worker, tmp_path / f"errors-{worker}")
            for worker in range(WORKERS)
        ]
        tallies = [share.result() for share in shares]
    verdicts = sum((tally.verdicts for tally in tallies), Counter[str]())
    crashes = [crash for tally in tallies for crash in tally.crashes]
    hangs = [number for tally in tallies for number in tally.hangs]
    other_errors = [error for tally in tallies for error in tally.other_errors]
    assert (crashes, hangs, other_errors) == ([], [], [])
    assert verdicts.total() == TRIED
    assert min(verdicts["accepted"], verdicts["refused"]) > TRIED / 20  # both paths were walked
    most_mib = max(tally.most_mib for tally in tallies)
    assert most_mib < MOST_MIB
    keep_figures(
        "mutated-audio",
        tried=TRIED,
        formats=len(list(seeds.iterdir())),
        accepted=verdicts["accepted"],
        refused=verdicts["refused"],
        crashes=len(crashes),
        hangs=len(hangs),
        other_errors=len(other_errors),
        slowest_s=round(max(tally.slowest_s for tally in tallies), 1),
        most_mib=round(most_mib),
    )
