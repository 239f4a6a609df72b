"""Killed with SIGKILL anywhere, an index loses no acknowledged row, and a rerun finishes.

Killed jobs are run again, under the same threat, until they are done; then all is as after a
run that nobody killed. At the end the trials have to find out jobs that are broken on purpose.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earful.index import Index, verify_index
from earful.index.corpus import open_corpus
from tests.support import killed_jobs
from tests.support.killed_jobs import JobRunner, TrialCounts, index_contents, require_same

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]

Keep = Callable[..., None]
N_STEPS = 8
COMMIT_ROWS = 4


def assert_same_index(found: Path, wanted: Path) -> None:
    one, other = Index.open(found), Index.open(wanted)
    assert verify_index(one).problems == verify_index(other).problems == ()
    require_same(index_contents(one), index_contents(other))
    assert one.rejections() == other.rejections()
    assert (one.info.n, one.info.labels) == (other.info.n, other.info.labels)


def kill_builds(
    jobs: JobRunner,
    corpus: Path,
    whole: Path,
    folder: Path,
    *,
    n: int,
    seed: int,
    job: str = "build",
    apart: bool = False,
) -> TrialCounts:
    wanted = index_contents(Index.open(whole))
    order = [row.exemplar.id for row in open_corpus(corpus) if row.exemplar.id in wanted]
    inputs: dict[str, Any] = {"corpus": str(corpus)}
    seconds = min(
        jobs.run("build", index=str(folder / f"unkilled{n}"), apart=apart, **inputs).seconds
        for n in range(2)
    )
    moments = random.Random(seed)
    counts = TrialCounts()
    index, before = folder / "index0", 0
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, index=str(index), kill_after_s=after_s, apart=apart, **inputs)
        counts.note(ended)
        rows = stored(index)
        # Rows are committed in the corpus's order; one commit may not have been told.
        assert len(rows) >= max(before, ended.safe), "an acknowledged row is lost"
        require_same(rows, {id_: wanted[id_] for id_ in order[: len(rows)]})
        assert len(rows) <= max(before, ended.safe) + COMMIT_ROWS
        counts.acknowledged += max(0, ended.safe - before)
        before = len(rows)
        if not ended.was_killed:
            assert_same_index(index, whole)
            counts.finished += 1
            shutil.rmtree(index)
            index, before = folder / f"index{counts.finished}", 0
    return counts


def stored(index: Path) -> dict[str, object]:
    """Return the rows of an index; none when the kill came before there was one."""
    return index_contents(Index.open(index)) if (index / "index.json").exists() else {}


@pytest.mark.parametrize("apart", [False, True], ids=["here", "apart"])
def test_killed_builds(
    jobs: JobRunner,
    corpus: Path,
    whole: Path,
    tmp_path: Path,
    keep_figures: Keep,
    *,
    apart: bool,
) -> None:
    n = 30 if apart else 100
    counts = kill_builds(jobs, corpus, whole, tmp_path, n=n, seed=20 + apart, apart=apart)
    counts.keep(keep_figures, "kills-build-decoding-apart" if apart else "kills-build")


@pytest.mark.parametrize("job", ["add", "remove"])
def test_killed_changes(
    jobs: JobRunner, whole: Path, tmp_path: Path, keep_figures: Keep, job: str
) -> None:
    states = [index_contents(Index.open(whole))]
    for step in range(N_STEPS):
        index = shutil.copytree(whole, tmp_path / f"state{step}")
        seconds = jobs.run(job, index=str(index), n_steps=step + 1).seconds
        states.append(index_contents(Index.open(index)))
    assert len({len(state) for state in states}) == N_STEPS + 1
    moments = random.Random(21)
    counts = TrialCounts()
    index, before = shutil.copytree(whole, tmp_path / "index0"), 0
    while counts.trials < 40 or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, index=str(index), n_steps=N_STEPS, kill_after_s=after_s)
        counts.note(ended)
        found = index_contents(Index.open(index))
        n_done = next(n for n, state in enumerate(states) if state == found)
        assert max(before, ended.safe) <= n_done <= max(before, ended.safe) + 1
        counts.acknowledged += (2 if job == "remove" else 3) * max(0, ended.safe - before)
        before = n_done
        if not ended.was_killed:
            assert_same_index(index, tmp_path / f"state{N_STEPS - 1}")
            counts.finished += 1
            shutil.rmtree(index)
            index, before = shutil.copytree(whole, tmp_path / f"index{counts.finished}"), 0
    counts.keep(keep_figures, f"kills-{job}")


def test_killed_compactions(
    jobs: JobRunner, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    wanted = index_contents(Index.open(whole))
    warm = shutil.copytree(whole, tmp_path / "warm")
    seconds = jobs.run("compact", index=str(warm)).seconds
    moments = random.Random(22)
    counts = TrialCounts()
    index = shutil.copytree(whole, tmp_path / "index0")
    while counts.trials < 40:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run("compact", index=str(index), kill_after_s=after_s)
        counts.note(ended)
        require_same(index_contents(Index.open(index)), wanted)
        if not ended.was_killed:
            assert_same_index(index, whole)
            counts.finished += 1
            shutil.rmtree(index)
            index = shutil.copytree(whole, tmp_path / f"index{counts.finished}")
    counts.keep(keep_figures, "kills-compact", unit="")


def test_killed_repairs(
    jobs: JobRunner, corpus: Path, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    wanted = index_contents(Index.open(whole))
    order = [row.exemplar.id for row in open_corpus(corpus) if row.exemplar.id in wanted]
    damaged = tmp_path / "damaged"
    shutil.copytree(corpus, damaged / "sounds")
    index = damaged / "sounds.index"
    jobs.run("build", **parts(damaged))
    first = min(index.glob("table/*/data/*"), key=lambda path: path.stat().st_mtime_ns)
    first.write_bytes(first.read_bytes()[:100])
    # Only the rows of the first commit can be embedded again: the others must be kept.
    for id_ in order[COMMIT_ROWS:]:
        (damaged / "sounds" / id_).unlink()
    warm = shutil.copytree(damaged, tmp_path / "warm")
    seconds = jobs.run("repair", **parts(warm)).seconds
    moments = random.Random(29)
    counts = TrialCounts()
    place = shutil.copytree(damaged, tmp_path / "place0")
    while counts.trials < 20 or counts.finished < 2:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run("repair", kill_after_s=after_s, **parts(place))
        counts.note(ended)
        if not ended.was_killed:
            require_same(index_contents(Index.open(place / "sounds.index")), wanted)
            counts.finished += 1
            shutil.rmtree(place)
            place = shutil.copytree(damaged, tmp_path / f"place{counts.finished}")
    counts.keep(keep_figures, "kills-repair", unit="")


def parts(folder: Path) -> dict[str, Any]:
    return {"corpus": str(folder / "sounds"), "index": str(folder / "sounds.index")}


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("build_boasting", "an acknowledged row is lost"),
        ("build_doubling", "a row is there twice"),
        ("build_leaving", "orphans of build_leaving"),
    ],
)
def test_a_broken_build_is_found_out(
    jobs: JobRunner,
    corpus: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    message: str,
) -> None:
    monkeypatch.setattr(killed_jobs, "END_OF_ORPHANS_S", 0.5)
    with pytest.raises(AssertionError, match=message):
        kill_builds(jobs, corpus, whole, tmp_path, n=60, seed=26, job=job)
