"""Killed with SIGKILL anywhere, features, models and runs are whole, and a rerun finishes.

Killed jobs are run again, under the same threat, until they are done; then all is as after a
run that nobody killed. At the end the trials have to find out jobs that are broken on purpose.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import ModelError
from earful.index import Index
from earful.index.storage import IndexFolder
from earful.model.flamingo.checkpoint import open_flamingo_folder, verify_flamingo_folder
from earful.model.flamingo.checkpoint.folder import old_folder
from tests.support.killed_jobs import (
    JobRunner,
    TrialCounts,
    index_contents,
    require_same,
)

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]

Keep = Callable[..., None]


def test_killed_features(jobs: JobRunner, whole: Path, tmp_path: Path, keep_figures: Keep) -> None:
    model = tmp_path / "flamingo"
    jobs.run("convert", folder=str(model), seed=0)
    warm = shutil.copytree(whole, tmp_path / "warm")
    seconds = jobs.run("features", index=str(warm), model=str(model)).seconds
    wanted = kept_features(warm)
    rows = IndexFolder.open(whole).rows(index_contents(Index.open(whole)))
    order = [row.content_sha256 for row in rows.values()]
    moments = random.Random(23)
    counts = TrialCounts()
    index, before = shutil.copytree(whole, tmp_path / "index0"), 0
    while counts.trials < 20 or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run("features", index=str(index), model=str(model), kill_after_s=after_s)
        counts.note(ended)
        found = kept_features(index)
        require_same(found, {name: wanted.get(name) for name in found})
        missing = set(order[: ended.safe]) - {Path(name).stem[:64] for name in found}
        assert not missing, "kept features are lost"
        counts.acknowledged += max(0, ended.safe - before)
        before = len(found)
        if not ended.was_killed:
            require_same(found, wanted)
            counts.finished += 1
            shutil.rmtree(index)
            index, before = shutil.copytree(whole, tmp_path / f"index{counts.finished}"), 0
    counts.keep(keep_figures, "kills-features", "features")


def kept_features(index: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (index / "features").rglob("*.npy")}


def kill_conversions(
    jobs: JobRunner, folder: Path, *, n: int, seed: int, job: str = "convert"
) -> TrialCounts:
    digests = []
    for number in range(2):
        unkilled = folder / f"unkilled{number}"
        seconds = jobs.run("convert", folder=str(unkilled), seed=number).seconds
        digests.append(whole_model(unkilled))
    moments = random.Random(seed)
    counts = TrialCounts()
    place = folder / "models/flamingo"
    place.parent.mkdir()
    while counts.trials < n or not counts.finished:
        target = counts.finished % 2
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, folder=str(place), seed=target, kill_after_s=after_s)
        counts.note(ended)
        counts.acknowledged += ended.safe
        if place.exists():
            found = digests.index(whole_model(place))
            assert found == target or not ended.safe
        elif counts.finished:
            # Between two renames; what stood there waits for the next conversion.
            assert whole_model(old_folder(place)) == digests[1 - target]
        if not ended.was_killed:
            assert os.listdir(place.parent) == ["flamingo"]
            assert whole_model(place) == digests[target]
            counts.finished += 1
    return counts


def whole_model(folder: Path) -> str:
    """Return the digest of a converted model that is all there."""
    try:
        problems = verify_flamingo_folder(folder)
        digest = open_flamingo_folder(folder).weights_sha256
    except ModelError as error:
        problems, digest = (str(error),), ""
    assert problems == (), "half a model"
    return digest


def test_killed_conversions(jobs: JobRunner, tmp_path: Path, keep_figures: Keep) -> None:
    counts = kill_conversions(jobs, tmp_path, n=60, seed=24)
    counts.keep(keep_figures, "kills-convert", "models")


def kill_evaluations(
    jobs: JobRunner, whole: Path, folder: Path, *, n: int, seed: int, job: str = "evaluate"
) -> TrialCounts:
    unkilled = folder / "unkilled.json"
    seconds = jobs.run("evaluate", index=str(whole), out=str(unkilled)).seconds
    wanted = without_timings(unkilled)
    moments = random.Random(seed)
    counts = TrialCounts()
    out, before = folder / "runs/run.json", 0
    out.parent.mkdir()
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = jobs.run(job, index=str(whole), out=str(out), kill_after_s=after_s)
        counts.note(ended)
        if out.exists():
            require_same(without_timings(out), wanted)
        else:
            items = answered(out.with_name("run.json.partial"))
            assert len(items) == len(set(items)), "an answer is there twice"
            assert len(items) >= max(before, ended.safe), "an acknowledged answer is lost"
            assert len(items) <= max(before, ended.safe) + 1
            counts.acknowledged += max(0, ended.safe - before)
            before = len(items)
        if not ended.was_killed:
            assert os.listdir(out.parent) == ["run.json"]
            counts.finished += 1
            out.unlink()
            before = 0
    return counts


def answered(partial: Path) -> list[str]:
    """Return the items that a partial has whole lines of."""
    if not partial.exists():
        return []
    whole_lines = partial.read_text().split("\n")[1:-1]
    return [json.loads(line)["item"] for line in whole_lines]


def without_timings(run: Path) -> str:
    """Return a run's file with its timings set to zero, otherwise as it is."""
    document = json.loads(run.read_text())
    document["embedding_s"] = 0.0
    for row in document["rows"]:
        row["spent_s"] = 0.0
    return json.dumps(document, indent=1)


def test_killed_evaluations(
    jobs: JobRunner, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    counts = kill_evaluations(jobs, whole, tmp_path, n=60, seed=25)
    counts.keep(keep_figures, "kills-evaluate", "answers")


def test_a_converter_that_writes_in_place_is_found_out(jobs: JobRunner, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="half a model"):
        kill_conversions(jobs, tmp_path, n=60, seed=27, job="convert_in_place")


def test_a_run_that_is_rewritten_is_found_out(jobs: JobRunner, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="an acknowledged answer is lost"):
        kill_evaluations(jobs, whole, tmp_path, n=60, seed=28, job="evaluate_rewriting")
