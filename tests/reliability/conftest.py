"""Shared by the trials: jobs to kill, a corpus, and the figures of ``docs/reliability.md``."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.killed_jobs import JobRunner

RATE = 8000
N_GOOD = 40
N_COPIES = 4


@pytest.fixture
def keep_figures() -> Callable[..., None]:
    """Keep a trial's counts for ``docs/reliability.md``, when ``./dev trials`` asks for them.

    Called last, as ``keep_figures("kills-build", trials=60, survived=60)``: what has failed
    leaves no figures.
    """

    def keep(name: str, **counts: float | str) -> None:
        folder = os.environ.get("EARFUL_FIGURES")
        if folder:
            text = json.dumps(counts, indent=2, sort_keys=True)
            Path(folder, f"{name}.json").write_text(text + "\n", encoding="utf-8")

    return keep


@pytest.fixture(scope="module")
def jobs() -> Iterator[JobRunner]:
    """A process to run jobs in."""
    started = JobRunner()
    yield started
    started.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two samples that tell, four of them twice, and three that are none."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(N_GOOD):
        angle = 0.1 + number / N_GOOD
        samples = np.array([np.cos(angle), np.sin(angle)] * 100, dtype=np.float32)
        path = folder / f"label{number % 4}/{number // 4:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    for number in range(N_COPIES):
        shutil.copy(folder / f"label0/{number:02}.wav", folder / f"label3/copy{number}.wav")
    for number in range(3):
        (folder / f"label{number}/broken.wav").write_bytes(b"no audio at all")
    return folder


@pytest.fixture(scope="module")
def whole(jobs: JobRunner, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index that a build makes when nobody kills it."""
    path = tmp_path_factory.mktemp("whole") / "sounds.index"
    assert jobs.run("build", corpus=str(corpus), index=str(path)).safe == N_GOOD + N_COPIES
    return path
