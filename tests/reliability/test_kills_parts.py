"""Killed with SIGKILL anywhere, shards, merges and drivers of units lose and double nothing.

Killed jobs are run again, under the same threat, until they are done; then all is as after one
build that nobody killed.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexFolderError
from earful.index import Index, merge_indexes
from earful.index.storage import read_header
from tests.reliability.test_kills_index import assert_same_index, stored
from tests.support.killed_jobs import JobRunner, TrialCounts, index_contents, require_same

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]

Keep = Callable[..., None]
N_SHARDS = 3


@pytest.fixture(scope="module")
def parts(jobs: JobRunner, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The shards that builds make when nobody kills them."""
    folder = tmp_path_factory.mktemp("parts")
    made = [folder / f"part-{i}.index" for i in range(1, N_SHARDS + 1)]
    for i, part in enumerate(made, start=1):
        jobs.run("build", corpus=str(corpus), index=str(part), shard=f"{i}/{N_SHARDS}")
    return made


def assert_same_merged(found: Path, wanted: Path) -> None:
    """Compare with one build; rejections of shards are listed by place, as people sort."""
    one, other = Index.open(found), Index.open(wanted)
    require_same(index_contents(one), index_contents(other))
    assert set(one.rejections()) == set(other.rejections())
    assert (one.info.n, one.info.labels) == (other.info.n, other.info.labels)


def kill_merges(
    jobs: JobRunner, parts: list[Path], whole: Path, folder: Path, *, n: int, job: str = "merge"
) -> TrialCounts:
    wanted = index_contents(Index.open(whole))
    given = list(map(str, parts))
    seconds = min(
        jobs.run("merge", parts=given, index=str(folder / f"unkilled{k}")).seconds for k in (0, 1)
    )
    moments = random.Random(31)
    counts = TrialCounts()
    index, before = folder / "index0", 0
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, parts=given, index=str(index), kill_after_s=after_s)
        counts.note(ended)
        rows = stored(index)
        assert len(rows) >= before, "a merged row is lost"
        require_same(rows, {id_: wanted[id_] for id_ in rows})
        before = len(rows)
        if not ended.was_killed:
            assert_same_merged(index, whole)
            counts.finished += 1
            shutil.rmtree(index)
            index, before = folder / f"index{counts.finished}", 0
    return counts


def test_killed_merges(
    jobs: JobRunner, parts: list[Path], whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    before = [stored(part) for part in parts]
    counts = kill_merges(jobs, parts, whole, tmp_path, n=80)
    require_same([stored(part) for part in parts], before)
    counts.keep(keep_figures, "kills-merge", unit="")


def test_killed_shards(
    jobs: JobRunner, corpus: Path, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    moments = random.Random(32)
    counts = TrialCounts()
    rounds = 0
    seconds = jobs.run(
        "build", corpus=str(corpus), index=str(tmp_path / "warm"), shard=f"1/{N_SHARDS}"
    ).seconds
    while counts.trials < 40:
        made = [tmp_path / f"round{rounds}-{i}.index" for i in range(1, N_SHARDS + 1)]
        for i, part in enumerate(made, start=1):
            before = 0
            while True:
                after_s = counts.moment(moments, seconds)
                shard = f"{i}/{N_SHARDS}"
                ended = jobs.run(
                    "build", corpus=str(corpus), index=str(part), shard=shard, kill_after_s=after_s
                )
                counts.note(ended)
                assert len(stored(part)) >= max(before, ended.safe), "an acknowledged row is lost"
                counts.acknowledged += max(0, ended.safe - before)
                before = len(stored(part))
                if not ended.was_killed:
                    break
                if (part / "index.json").exists() and read_header(part).shard is not None:
                    with pytest.raises(IndexFolderError, match=r"not come to its end|not given"):
                        merge_indexes([part], tmp_path / "never.index")
        rounds += 1
        counts.finished += 1
        merge_indexes(made, tmp_path / f"merged{rounds}")
        assert_same_merged(tmp_path / f"merged{rounds}", whole)
    counts.keep(keep_figures, "kills-shards")


def test_killed_drivers(
    jobs: JobRunner, corpus: Path, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    wanted = index_contents(Index.open(whole))
    run: dict[str, Any] = {"corpus": str(corpus)}
    seconds = min(
        jobs.run("drive", index=str(tmp_path / f"unkilled{k}"), **run).seconds for k in (0, 1)
    )
    moments = random.Random(33)
    counts = TrialCounts()
    index, before = tmp_path / "index0", 0
    while counts.trials < 80 or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run("drive", index=str(index), kill_after_s=after_s, **run)
        counts.note(ended)
        rows = stored(index)
        assert len(rows) >= max(before, ended.safe), "an acknowledged row is lost"
        require_same(rows, {id_: wanted[id_] for id_ in rows})
        counts.acknowledged += max(0, ended.safe - before)
        before = len(rows)
        if not ended.was_killed:
            assert_same_index(index, whole)
            assert not (index / "staging/run").exists()
            counts.finished += 1
            shutil.rmtree(index)
            index, before = tmp_path / f"index{counts.finished}", 0
    counts.keep(keep_figures, "kills-units")


def test_a_broken_merge_is_found_out(
    jobs: JobRunner, parts: list[Path], whole: Path, tmp_path: Path
) -> None:
    # By whoever looks at the index next: the trial, or the end of a merge that nobody kills.
    with pytest.raises(AssertionError, match=r"a row is there twice|merge_doubling ended with 1"):
        kill_merges(jobs, parts, whole, tmp_path, n=60, job="merge_doubling")
