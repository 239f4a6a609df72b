"""Ctrl-C during a build: prompt, one line, exit code 130, and what was committed is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index import Index, verify_index
from earful.index.storage.lock import LOCK_NAME

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(300)]

N_FILES = 400
MOMENTS_S = (0.0, 0.2, 0.5, 1.0)
# Enough for a machine with other things to do; a build that went on would take longer.
PROMPT_S = 10.0


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    random = np.random.default_rng(0)
    for number in range(N_FILES):
        path = folder / f"label{number % 4}/{number:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.normal(size=8000 * 5) * 0.1, 8000)
    return folder


def build(corpus: Path, index: Path, mark: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "earful", "index", "build", str(corpus), "-i", str(index)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EARFUL_TRIAL": mark, "OMP_NUM_THREADS": "1"},
        # A shell has what it runs in the background ignore SIGINT, these tests included.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def writer_of(index: Path) -> int:
    """Return the process that wrote its name into the lock of an index; 0 for none."""
    try:
        return int(json.loads((index / LOCK_NAME).read_bytes())["pid"])
    except (FileNotFoundError, ValueError):
        return 0


def left_of(mark: str) -> list[str]:
    """Return the processes that a build started and left."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"EARFUL_TRIAL={mark}\0".encode() in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:  # another user's, or gone
            continue
    return found


def test_interrupted_builds(
    corpus: Path, tmp_path: Path, keep_figures: Callable[..., None]
) -> None:
    index = tmp_path / "sounds.index"
    slowest_s, n_kept = 0.0, 0
    for number, moment_s in enumerate(MOMENTS_S):
        mark = f"{os.getpid()}-{number}"
        with build(corpus, index, mark) as process:
            # Not before: an interruption of Python's own start is Python's to tell of.
            while writer_of(index) != process.pid or not (index / "index.json").exists():
                assert process.poll() is None
                time.sleep(0.02)
            time.sleep(moment_s)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, told = process.communicate(timeout=60)
            slowest_s = max(slowest_s, time.monotonic() - began)
        # Interrupted where it runs code given as text, as imports do, Python ends itself by the
        # signal when all is done; a shell calls both 130.
        assert process.returncode in (130, -signal.SIGINT), told
        lines = [line for line in told.replace("\r", "\n").split("\n") if "interrupt" in line]
        assert lines == ["interrupted; what was committed is kept"]
        assert "Traceback" not in told
        assert left_of(mark) == []
        n_before, n_kept = n_kept, Index.open(index).info.n
        assert n_before <= n_kept < N_FILES
    assert slowest_s < PROMPT_S
    with build(corpus, index, "last") as process:
        _, told = process.communicate(timeout=250)
    assert process.returncode == 0, told
    opened = Index.open(index)
    assert (opened.info.n, verify_index(opened).problems) == (N_FILES, ())
    shutil.rmtree(index)
    keep_figures("interrupts-build", trials=len(MOMENTS_S), slowest_s=round(slowest_s, 1))
