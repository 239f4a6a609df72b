"""Killed with SIGKILL anywhere, a push leaves a whole commit or none, and a pull no half index."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earful.errors import SharingError
from earful.index import Index, verify_index
from earful.index.sharing.layout import PullLimits, SharedFile, require_files
from tests.support.killed_jobs import JobRunner, TrialCounts, index_contents, require_same
from tests.support.stub_hub import DataSet, StubHub, stub_hub

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]

Keep = Callable[..., None]
N_TRIALS = 40
PLACE = "ada/sounds"


@pytest.fixture(scope="module")
def hub() -> Iterator[StubHub]:
    with stub_hub() as found:
        yield found


@pytest.fixture(scope="module")
def indexes(jobs: JobRunner, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two states of an index: as built, and with more rows."""
    folder = tmp_path_factory.mktemp("indexes")
    jobs.run("build", corpus=str(corpus), index=str(folder / "first.index"))
    shutil.copytree(folder / "first.index", folder / "second.index")
    jobs.run("add", index=str(folder / "second.index"), n_steps=4)
    return [folder / "first.index", folder / "second.index"]


def require_whole(place: DataSet | None) -> None:
    """Every commit holds a whole index, or nothing of one."""
    for _, files in [] if place is None else place.commits:
        listed = [SharedFile(name=name, n_bytes=len(text)) for name, text in files.items()]
        if {file.name for file in listed} == {".gitattributes"}:
            continue
        parts, _ = require_files(listed, PLACE, PullLimits())
        manifests = [file.name for file in parts if file.name.endswith(".manifest")]
        data = [file.name for file in parts if "/data/" in file.name]
        assert (len(manifests), len(data)) == (1, 1)
        lines = files["checksums.txt"].decode().splitlines()
        assert {line.split("  ")[1] for line in lines} <= files.keys()


def kill_pushes(
    jobs: JobRunner, hub: StubHub, indexes: list[Path], *, n: int, seed: int, job: str = "push"
) -> TrialCounts:
    hub.sets.clear()
    moments, counts = random.Random(seed), TrialCounts()
    to: dict[str, Any] = {"place": PLACE, "address": hub.address, "token": hub.token}
    seconds = min(
        jobs.run("push", index=str(index), **{**to, "place": f"ada/unkilled{number}"}).seconds
        for number, index in enumerate(indexes)
    )
    while counts.trials < n:
        index = indexes[counts.finished % 2]
        ended = jobs.run(job, index=str(index), kill_after_s=counts.moment(moments, seconds), **to)
        counts.note(ended)
        place = hub.sets.get(PLACE)
        require_whole(place)
        if not ended.was_killed:
            counts.finished += 1
            assert place is not None
            assert f'"n": {len(Index.open(index))}'.encode() in place.files()["shared.json"]
    return counts


def test_a_killed_push_leaves_a_whole_commit_or_none(
    jobs: JobRunner, hub: StubHub, indexes: list[Path], keep_figures: Keep
) -> None:
    counts = kill_pushes(jobs, hub, indexes, n=N_TRIALS, seed=11)
    counts.keep(keep_figures, "kills-push", unit="")


def test_a_killed_pull_leaves_the_old_index_or_the_new_one(
    jobs: JobRunner, hub: StubHub, indexes: list[Path], tmp_path: Path, keep_figures: Keep
) -> None:
    hub.sets.clear()
    with_hub: dict[str, Any] = {"address": hub.address, "token": hub.token}
    revisions = []
    for index in indexes:
        jobs.run("push", index=str(index), place=PLACE, **with_hub)
        revisions.append(hub.sets[PLACE].head)
    wanted = [index_contents(Index.open(index)) for index in indexes]
    seconds = min(
        jobs.run("pull", place=PLACE, index=str(tmp_path / f"unkilled{n}"), **with_hub).seconds
        for n in range(2)
    )
    target = tmp_path / "pulled.index"
    moments, counts = random.Random(12), TrialCounts()
    while counts.trials < N_TRIALS:
        newest = counts.finished % 2
        ended = jobs.run(
            "pull",
            place=f"{PLACE}@{revisions[newest]}",
            index=str(target),
            kill_after_s=counts.moment(moments, seconds),
            **with_hub,
        )
        counts.note(ended)
        if target.exists():
            opened = Index.open(target)
            assert verify_index(opened).problems == ()
            assert index_contents(opened) in wanted
        if not ended.was_killed:
            require_same(index_contents(Index.open(target)), wanted[newest])
            counts.finished += 1
    assert not list(tmp_path.glob(".pulled.index.before"))
    counts.keep(keep_figures, "kills-pull", unit="")


def test_the_trials_find_a_push_in_several_commits(
    jobs: JobRunner, hub: StubHub, indexes: list[Path]
) -> None:
    with pytest.raises(SharingError, match="it has no"):
        kill_pushes(jobs, hub, indexes, n=20, seed=13, job="push_piecemeal")
