"""Ctrl-C: one line that says what is kept and how to go on, exit code 130, no traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.tone_recordings import every, record, write_track

Run = Callable[..., tuple[int, str, str]]
WRENS = every(4, 6, "wren", first_s=2)
SCAN = ("scan", "night", "--examples", "a.txt", "-o", "night.scan")


@pytest.fixture
def night(run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    record(Path("night/a.wav"), 26, WRENS)
    write_track(Path("a.txt"), WRENS[:3])
    return Path("night")


def interrupt(monkeypatch: pytest.MonkeyPatch, place: str, after: int = 0) -> None:
    """Replace a function by one that is interrupted at a further call."""
    module, _, name = place.rpartition(".")
    __import__(module)
    whole, calls = getattr(sys.modules[module], name), [0]

    def interrupted(*args: Any, **given: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        return whole(*args, **given)

    monkeypatch.setattr(place, interrupted)


def test_what_is_kept_of_each_command_is_said(
    run: Run, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    with monkeypatch.context() as patched:
        interrupt(patched, "earful.rag.scan.run.fit_detectors")
        code, out, err = run(*SCAN, "--vectors", "kept")
    assert (code, out) == (130, "")
    assert err == (
        "interrupted; what was decoded is kept in kept; the same command goes on where it was\n"
    )
    assert "all kept" in run(*SCAN, "--vectors", "kept")[1]
    with monkeypatch.context() as patched:
        interrupt(patched, "earful.index.annotations.writers.clips.write_clip", after=2)
        code, out, err = run("events", "clips", "night.scan", "-o", "clips")
    assert (code, out) == (130, "")
    assert err == (
        "interrupted; the clips written by now stay in clips, listed; the same command writes all\n"
    )
    listed = Path("clips/clips.csv").read_text().splitlines()[1:]
    assert len(listed) == len(list(Path("clips").glob("*/*"))) == 2
    assert run("events", "clips", "night.scan", "-o", "clips")[0] == 0
    assert len(Path("clips/clips.csv").read_text().splitlines()) == 7
    Path("sounds.index").mkdir()
    with monkeypatch.context() as patched:
        interrupt(patched, "earful.rag.review.commit_labels")
        code, out, err = run("labels", "commit", "night.scan", "-i", "sounds.index")
    assert (code, out) == (130, "")
    assert err == (
        "interrupted; what was committed to sounds.index is kept; the same command does what is "
        "left to do\n"
    )


@pytest.mark.slow
def test_a_scan_is_interrupted_from_the_keyboard(run: Run, night: Path) -> None:
    record(Path("night/b.wav"), 2 * 3600.0)
    with subprocess.Popen(
        [sys.executable, "-m", "earful", *SCAN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # All of the group, decoders too, as a terminal does it.
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not list(Path("night.scan/vectors").rglob("*.npy*")):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        out, told = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), told
    assert out == ""
    lines = [line for line in told.splitlines() if not line.startswith("encoding")]
    assert lines == [
        "interrupted; what was decoded is kept in night.scan/vectors; the same command goes on "
        "where it was"
    ]
