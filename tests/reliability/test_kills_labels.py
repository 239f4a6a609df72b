"""Killed with SIGKILL anywhere, labelling loses no acknowledged label, and its index catches up.

Every label follows from its number, so each line of the journal can be checked. Each run begins
with a commit, after which the index has to hold what the journal says, worked out by itself. At the
end the trials have to find out labelling that acknowledges too early.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from earful import Events, build_index, open_corpus
from earful.index.annotations import RecordingRow
from earful.index.labels import Label, LabelJournal, journal_path
from tests.support.killed_jobs import JobRunner, TrialCounts
from tests.support.labelling_jobs import is_line, line_of, require_agreement
from tests.support.levels import Levels, write_level

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(1800)]

Keep = Callable[..., None]
N_LINES = 4
N_KILLS = 1000
RUNNERS = 2
# Journals begin anew, so that each run is about as long.
RUNS_OF_A_JOURNAL = 25
WRITERS, N_EACH = 4, 250


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scan of one recording, and an index."""
    folder = tmp_path / "begun"
    write_level(folder / "night/a.wav", 0.3, seconds=14.0)
    write_level(folder / "sounds/fox/0.wav", 0.6)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    rows = (RecordingRow(recording="night/a.wav", sha256="", duration_s=14.0),)
    Events(recordings=rows, scan={"paths": ["night"]}).write("night.scan")
    build_index(open_corpus("sounds"), "i", embedder=Levels())
    return folder


def check_lines(scan: str, safe: int) -> int:
    """Require all that was acknowledged, and nothing that was not said; return the last number."""
    lines = LabelJournal(journal_path(scan)).read()
    assert [one.seq for one in lines] == list(range(1, len(lines) + 1))
    assert len(lines) >= safe, "an acknowledged label is lost"
    assert all(is_line(one.seq, one) for one in lines), "a line is not what was said"
    return len(lines)


def kill_labelling(
    jobs: JobRunner,
    begun: Path,
    *,
    n: int,
    seed: int,
    job: str = "labelling",
) -> TrialCounts:
    moments, counts = random.Random(seed), TrialCounts()
    while counts.killed < n:
        folder = begun.with_name(f"{seed}-{counts.trials}")
        shutil.copytree(begun, folder)
        place: dict[str, Any] = {"scan": str(folder / "night.scan"), "index": str(folder / "i")}
        seconds = jobs.run("labelling", n_lines=N_LINES, **place).seconds
        before = check_lines(place["scan"], N_LINES)
        for _ in range(RUNS_OF_A_JOURNAL):
            after_s = counts.moment(moments, seconds)
            ended = jobs.run(job, n_lines=N_LINES, kill_after_s=after_s, **place)
            counts.note(ended)
            now = check_lines(place["scan"], max(before, ended.safe))
            counts.acknowledged += max(0, ended.safe - before)
            if not ended.was_killed:
                counts.finished += 1
                seconds = 0.5 * seconds + 0.5 * ended.seconds
            before = now
            if counts.killed == n:
                break
        jobs.run("labelling", n_lines=0, **place)
        require_agreement(**place)
        shutil.rmtree(folder)
    return counts


def test_killed_labelling(begun: Path, keep_figures: Keep) -> None:
    runners = [JobRunner() for _ in range(RUNNERS)]
    with ThreadPoolExecutor(RUNNERS) as pool:
        series = [
            pool.submit(kill_labelling, jobs, begun, n=N_KILLS // RUNNERS, seed=41 + number)
            for number, jobs in enumerate(runners)
        ]
    for jobs in runners:
        jobs.close()
    found = [one.result() for one in series]
    counts = TrialCounts(
        trials=sum(one.trials for one in found),
        killed=sum(one.killed for one in found),
        acknowledged=sum(one.acknowledged for one in found),
        finished=sum(one.finished for one in found),
    )
    assert counts.killed >= N_KILLS
    counts.keep(keep_figures, "kills-labels", "labels")


def test_labelling_that_acknowledges_too_early_is_found_out(jobs: JobRunner, begun: Path) -> None:
    with pytest.raises(AssertionError, match="an acknowledged label is lost"):
        kill_labelling(jobs, begun, n=200, seed=42, job="labelling_hasty")


def test_writers_at_once_lose_nothing_and_share_no_number(
    tmp_path: Path, keep_figures: Keep
) -> None:
    path = tmp_path / "labels.jsonl"
    one = line_of(1)
    assert isinstance(one, Label)
    program = (
        "import json, sys\n"
        "from dataclasses import replace\n"
        "from earful.index.labels import Label, LabelJournal\n"
        "path, name, said = sys.argv[1], sys.argv[2], Label.from_dict(json.loads(sys.argv[3]))\n"
        "journal = LabelJournal(path)\n"
        f"for n in range({N_EACH}):\n"
        "    told = journal.append(replace(said, item=f'{name}{n}', reviewer=name))\n"
        "    print(told.seq)\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), f"r{number}", json.dumps(one.to_dict())],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for number in range(WRITERS)
    ]
    told = [writer.communicate(timeout=300)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    lines = LabelJournal(path).read()
    assert [line.seq for line in lines] == list(range(1, WRITERS * N_EACH + 1))
    for number, seqs in enumerate(told):
        own = [line for line in lines if line.reviewer == f"r{number}"]
        assert [str(line.seq) for line in own] == seqs
        assert [line.item for line in own if isinstance(line, Label)] == [
            f"r{number}{n}" for n in range(N_EACH)
        ]
    # Otherwise they took turns, and nothing was shown.
    assert len({line.reviewer for line in lines[: N_EACH + 1]}) > 1 or WRITERS == 1
    keep_figures("races-labels", writers=WRITERS, labels=len(lines))
