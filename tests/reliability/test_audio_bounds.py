"""Every nasty file, hours in kilobytes among them, within bounds on time and memory.

Run by ``./dev trials``. A file is probed, loaded and resampled as an embedder wants it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.audio_bombs import bombs
from tests.support.audio_formats import CannotWriteError
from tests.support.audio_verdicts import Accepted, Case, fault
from tests.support.nasty_audio import coded_cases, ffmpeg_cases, number_cases, wav_cases
from tests.support.nasty_files import kinds_of_file, odd_names, other_formats

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(600)]
pytest.importorskip("av")

QUICK = [
    *wav_cases(), *number_cases(), *coded_cases(), *ffmpeg_cases(),
    *other_formats(), *odd_names(), *kinds_of_file(),
]  # fmt: skip
# What one file may take, in seconds of CPU and MiB of the whole process.
MOST_CPU_S = 30
MOST_MIB = 2048
MOST_QUICK_CPU_S = 5
MOST_QUICK_MIB = 512


@contextmanager
def listener() -> Iterator[Callable[[Path], dict[str, Any]]]:
    """A process that decodes files."""
    here = Path(__file__).parent
    child = subprocess.Popen(
        [sys.executable, str(here / "decode_files.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": str(here.parents[1])},
    )  # fmt: skip
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def ask(path: Path) -> dict[str, Any]:
            # A name that is not UTF-8 goes through as an escape.
            stdin.write(json.dumps(str(path)) + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield ask
        stdin.close()
    assert child.returncode == 0


def outcome(found: list[int] | str) -> Accepted | str:
    return found if isinstance(found, str) else Accepted(*found)


def judge(nasty: Case, answer: dict[str, Any]) -> bool:
    """Compare with the verdict; tells whether the file was accepted."""
    probed, loaded = outcome(answer["probed"]), outcome(answer["loaded"])
    assert (nasty.name, fault(nasty.verdict, probed, loaded)) == (nasty.name, "")
    return isinstance(loaded, Accepted)


def test_every_nasty_file_is_within_bounds(
    tmp_path: Path, keep_figures: Callable[..., None]
) -> None:
    accepted, costs, sizes = [], [], []
    with listener() as ask:
        before_s = 0.0
        for number, nasty in enumerate(QUICK):
            folder = tmp_path / str(number)
            folder.mkdir()
            try:
                path = nasty.place(folder)
            except CannotWriteError:
                continue
            answer = ask(path)
            accepted.append(judge(nasty, answer))
            costs.append(answer["cpu_s"] - before_s)
            before_s = answer["cpu_s"]
            sizes.append(answer["mib"])
    assert max(costs[1:]) < MOST_QUICK_CPU_S, costs  # the first has the imports to itself
    assert max(sizes) < MOST_QUICK_MIB
    for nasty in bombs():
        try:
            path = nasty.place(tmp_path)
        except CannotWriteError:
            continue
        with listener() as ask:  # of its own: the largest size never falls
            answer = ask(path)
        path.unlink()
        accepted.append(judge(nasty, answer))
        costs.append(answer["cpu_s"])
        sizes.append(answer["mib"])
        assert answer["cpu_s"] < MOST_CPU_S, nasty.name
        assert answer["mib"] < MOST_MIB, nasty.name
    keep_figures(
        "audio-cases",
        cases=len(accepted),
        accepted=sum(accepted),
        refused=len(accepted) - sum(accepted),
        slowest_s=round(max(costs), 1),
        most_mib=round(max(sizes)),
    )
