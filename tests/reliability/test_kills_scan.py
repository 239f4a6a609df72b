"""Killed with SIGKILL anywhere, a scan loses no block that it kept, and a rerun finishes.

Killed scans are run again, under the same threat, until they are done; then every file is as after
a scan that nobody killed. At the end the trials have to find out a scan that is broken on purpose.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.forked_jobs import kept_blocks
from tests.support.killed_jobs import JobRunner, TrialCounts, require_same
from tests.support.step_stores import LevelSteps, files
from tests.support.tone_recordings import write_table

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(1800)]

Keep = Callable[..., None]
RATE = LevelSteps.steps_rate
# Of three blocks, of one, and of two to the sample.
SECONDS = (1500.0, 90.0, 1200.0)
N_BLOCKS = 3 + 1 + 2


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    for number, seconds in enumerate(SECONDS):
        samples = np.random.default_rng(number).uniform(-0.1, 0.1, round(seconds * RATE))
        for start_s in range(10, int(seconds), 50):
            samples[start_s * RATE : (start_s + 1) * RATE : 2] *= 8
        soundfile.write(folder / f"{number}.wav", samples, RATE, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = tmp_path_factory.mktemp("examples") / "calls.csv"
    return write_table(
        table, [("0.wav", start_s, start_s + 1, "beep") for start_s in (10, 60, 110)]
    )


def kill_scans(
    jobs: JobRunner,
    night: Path,
    examples: Path,
    folder: Path,
    *,
    n: int,
    seed: int,
    job: str = "scan",
) -> TrialCounts:
    inputs: dict[str, Any] = {"night": str(night), "examples": str(examples)}
    seconds = min(
        jobs.run("scan", out=str(folder / f"unkilled{number}"), **inputs).seconds
        for number in range(2)
    )
    wanted = files(folder / "unkilled0")
    require_same(files(folder / "unkilled1"), wanted)
    moments = random.Random(seed)
    counts = TrialCounts()
    out, before = folder / "out", 0
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, out=str(out), kill_after_s=after_s, **inputs)
        counts.note(ended)
        stored = out / "vectors/store.json"
        kept = kept_blocks(str(out)) if stored.exists() else 0
        assert kept >= max(before, ended.safe), "an acknowledged block is lost"
        counts.acknowledged += max(0, ended.safe - before)
        before = kept
        if not ended.was_killed:
            require_same(files(out), wanted)
            counts.finished += 1
            shutil.rmtree(out)
            before = 0
    return counts


def test_killed_scans(
    jobs: JobRunner, night: Path, examples: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    counts = kill_scans(jobs, night, examples, tmp_path, n=200, seed=31)
    counts.keep(keep_figures, "kills-scan", "blocks")


def test_a_scan_that_acknowledges_too_early_is_found_out(
    jobs: JobRunner, night: Path, examples: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="an acknowledged block is lost"):
        kill_scans(jobs, night, examples, tmp_path, n=60, seed=32, job="scan_boasting")
