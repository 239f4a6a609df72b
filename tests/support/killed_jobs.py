"""Jobs that are killed at random moments, and what must be true afterwards.

Moments are drawn over the whole of an unkilled run and a little beyond. What a job has
acknowledged is what it had told this process before it was killed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earful.index import Index

Keep = Callable[..., None]

# From here on nothing says that a process should still be there.
END_OF_ORPHANS_S = 10.0
# No job takes that long.
LONGEST_S = 120.0
_PROGRAM = Path(__file__).with_name("forked_jobs.py")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """Exit code of a job, the amount it had acknowledged, and its seconds."""

    code: int
    safe: int
    seconds: float

    @property
    def was_killed(self) -> bool:
        return self.code != 0


class JobRunner:
    """A process that has imported everything and runs each job in a fork, to be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "PYTHONPATH": str(_ROOT),  # for what jobs share with tests
            },
        )
        self._n_jobs = 0

    def run(
        self, job: str, *, kill_after_s: float | None = None, apart: bool = False, **arguments: Any
    ) -> JobResult:
        """Run a job.

        Args:
            job: A name of ``forked_jobs.JOBS``.
            kill_after_s: Seconds from its beginning, imports apart, until it is killed.
            apart: Whether recordings are decoded in processes of their own; those must not
                outlive the job.
            arguments: Of the job.
        """
        self._n_jobs += 1
        mark = f"{self._process.pid}-{self._n_jobs}"
        environment = {"EARFUL_TRIAL": mark, "EARFUL_DECODE": "apart" if apart else "here"}
        self._send({"job": job, "arguments": arguments, "environment": environment})
        pid = safe = 0
        began = time.monotonic()
        killer: threading.Timer | None = None
        for word, number in self._answers():
            if word == "pid":
                pid = number
            elif word == "begin":
                began = time.monotonic()
                after_s = LONGEST_S if kill_after_s is None else kill_after_s
                killer = threading.Timer(after_s, kill, (pid,))
                killer.start()
            elif word == "safe":
                safe = number
            else:
                seconds = time.monotonic() - began
                if killer is not None:
                    killer.cancel()
                    killer.join()
                allowed = (0,) if kill_after_s is None else (0, -signal.SIGKILL)
                assert number in allowed, f"{job} ended with {number}"
                assert not orphans_of(mark), f"orphans of {job}"
                return JobResult(code=number, safe=safe, seconds=seconds)
        raise AssertionError("the process that forks jobs has ended")

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _answers(self) -> Iterator[tuple[str, int]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.partition(" ")
            yield word, int(number)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may have just ended
        os.kill(pid, signal.SIGKILL)


def orphans_of(mark: str) -> list[int]:
    """Return the processes that a job started and that do not end by themselves."""
    until = time.monotonic() + END_OF_ORPHANS_S
    while found := _started_by(mark):
        if time.monotonic() > until:
            return found
        time.sleep(0.02)
    return []


def _started_by(mark: str) -> list[int]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"EARFUL_TRIAL={mark}\0".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # another user's, or gone
            continue
    return found


@dataclass(kw_only=True)
class TrialCounts:
    """Counts of a series of trials."""

    trials: int = 0
    killed: int = 0
    acknowledged: int = 0
    finished: int = 0

    def moment(self, moments: random.Random, seconds: float) -> float | None:
        """Draw when to kill the next run, which takes so long when nobody does.

        Every eighth is left alone: a machine that has become slower would never see one end.
        """
        return None if self.trials % 8 == 7 else moments.uniform(0, 1.1 * seconds)

    def note(self, ended: JobResult) -> None:
        self.trials += 1
        self.killed += ended.was_killed

    def keep(self, keep_figures: Keep, name: str, unit: str = "rows") -> None:
        """Keep them; without a unit for jobs that acknowledge nothing before they end."""
        # Otherwise the moments were badly chosen, and nothing was shown.
        assert self.killed >= self.trials // 8
        assert self.finished >= 2
        acknowledged = {f"{unit}_acknowledged": self.acknowledged} if unit else {}
        keep_figures(
            name,
            trials=self.trials,
            killed=self.killed,
            reruns_finished=self.finished,
            **acknowledged,
        )


def index_contents(index: Index) -> dict[str, object]:
    """Return all that an index holds of its rows; none is there twice."""
    ids = index.read_table(["id"]).column("id").to_pylist()
    assert len(ids) == len(set(ids)), "a row is there twice"
    rows = index.vectors()
    return {
        exemplar.id: (exemplar, vector.tobytes(), content)
        for exemplar, vector, content in zip(
            rows.exemplars, rows.vectors, rows.content, strict=True
        )
    }


def require_same(found: object, wanted: object) -> None:
    """Compare without showing: a diff of so much would take minutes."""
    same = found == wanted
    assert same, "not what an unkilled run gives"
