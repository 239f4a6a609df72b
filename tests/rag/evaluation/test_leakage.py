import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from earful.errors import LeakageError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import open_corpus
from earful.index.health import check_health
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings, evaluate
from earful.rag.evaluation.items import items_of_index
from earful.rag.evaluation.leakage import NEAR_DUPLICATE, find_leaks, keep_apart
from earful.rag.retrieval import Retriever
from earful.rag.task import Task
from tests.support.one_recording import RATE, other_forms, pump, same_motor, take
from tests.support.tone_evaluations import QUICK, TASK, write_take


def test_exemplars_that_give_items_away_stop_an_evaluation(index: Path, tmp_path: Path) -> None:
    (copied,) = (path for path in Index.open(index).vectors().paths[:1])
    (tmp_path / "high").mkdir()
    (tmp_path / "high/renamed.wav").write_bytes(copied.read_bytes())
    write_take(tmp_path / "low/new.wav", 200.0, 77)
    outside = open_corpus(tmp_path)
    few = FewShot.open(index)
    with pytest.raises(LeakageError) as caught:
        evaluate(few, TASK, settings=QUICK, corpus=outside)
    assert "1 item is given away by exemplars (1 by content)" in str(caught.value)
    assert caught.value.leaks == ("high/renamed.wav and high/0.wav: the same audio",)
    allowed = evaluate(few, TASK, settings=replace(QUICK, leaks="allow"), corpus=outside)
    assert [leak["kind"] for leak in allowed.document["leaks"]] == ["content"]
    assert "the numbers flatter" in " ".join(allowed.document["notes"])
    apart = evaluate(few, TASK, settings=replace(QUICK, leaks="exclude"), corpus=outside)
    for row in apart.document["rows"]:
        assert row["item"] != "high/renamed.wav" or "high/0.wav" not in row["shots"]


def test_groups_are_found_once_a_pair(index: Path) -> None:
    vectors = Index.open(index).vectors()
    items = items_of_index(TASK, vectors).items
    few = FewShot.open(index)
    candidates = Retriever(embedder=few.embedder, index=few.index).prepare(TASK).candidates
    # Asked about in turn, a group's other take is kept apart anyway.
    assert find_leaks(items, candidates, threshold=1.0, held_out=False).leaks == ()
    grouped = find_leaks(items[:1], candidates, threshold=1.0, held_out=True).leaks
    assert [(leak.kind, leak.exemplar) for leak in grouped] == [
        ("content", "high/0.wav"),
        ("group", "high/1.wav"),
    ]
    # Other takes of a tone are no copies, however near the vectors are.
    for threshold in (0.5, 0.97):
        assert find_leaks(items, candidates, threshold=threshold, held_out=False).leaks == ()
    with pytest.raises(ValueError, match="threshold=0"):
        find_leaks(items, candidates, threshold=0, held_out=True)


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two states of stationary machines, all alike to the vectors, and one copy as MP3."""
    root = tmp_path_factory.mktemp("pumps")
    for label, make, first in (("pump", pump, 0), ("worn", same_motor, 50)):
        (root / label).mkdir()
        for unit in range(8):
            samples = take(make, first + unit, 2.0)
            soundfile.write(root / label / f"{unit}.wav", samples, RATE)
    (form,) = (found for found in other_forms(take(pump, 0, 2.0), RATE) if found[0] == "MP3 0.5")
    soundfile.write(root / "pump/copy.mp3", 0.1 * form[1], form[2])
    path = tmp_path_factory.mktemp("indexes") / "pumps.index"
    build_index(root, path, embedder="logmel")
    return path


@pytest.mark.slow
def test_stationary_sounds_are_no_near_duplicates_and_their_copy_is(pumps: Path) -> None:
    vectors = Index.open(pumps).vectors()
    few = FewShot.open(pumps)
    task = Task(name="pumps")
    items = items_of_index(task, vectors).items
    candidates = Retriever(embedder=few.embedder, index=few.index).prepare(task).candidates
    alike = vectors.vectors @ vectors.vectors.T >= NEAR_DUPLICATE
    assert alike.sum() > 40  # by the vectors alone, all would be refused
    found = find_leaks(items, candidates, held_out=False)
    assert [(leak.item, leak.exemplar, leak.kind) for leak in found.leaks] == [
        ("pump/0.wav", "pump/copy.mp3", "near-duplicate"),
        ("pump/copy.mp3", "pump/0.wav", "near-duplicate"),
    ]
    assert found.unheard == ()
    told = str(found.leaks[0])
    assert told.startswith("pump/0.wav and pump/copy.mp3: one recording in two forms")
    (kept_apart, *_) = keep_apart(items[:1], found.leaks, candidates)
    assert find_leaks([kept_apart], candidates, held_out=False).leaks == ()
    with pytest.raises(LeakageError, match="2 items are given away by exemplars"):
        evaluate(few, task, settings=EvaluationSettings(shots=(1,), arms=("vote",)))
    settings = EvaluationSettings(shots=(1,), arms=("vote",), leaks="exclude", resamples=100)
    assert evaluate(few, task, settings=settings).document["rows"]
    (finding,) = (
        one for one in check_health(Index.open(pumps)).findings if one.kind == "near-duplicate"
    )
    assert finding.ids == ("pump/0.wav", "pump/copy.mp3")


@pytest.mark.slow
def test_a_recording_that_is_gone_is_named_and_no_leak(pumps: Path, tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    shutil.copytree(Index.open(pumps).vectors().paths[0].parents[1], root)
    build_index(root, tmp_path / "moved.index", embedder="logmel")
    (root / "worn/7.wav").unlink()
    few = FewShot.open(tmp_path / "moved.index")
    settings = EvaluationSettings(shots=(1,), arms=("vote",), resamples=100, leaks="allow")
    notes = evaluate(few, Task(name="pumps"), settings=settings).document["notes"]
    (note,) = (note for note in notes if "could not be compared" in note)
    assert note.startswith("1 recording could not be compared")
    assert "7.wav" in note


def test_one_origin_in_two_datasets_is_a_leak(index: Path) -> None:
    vectors = Index.open(index).vectors()
    (item, *_) = items_of_index(TASK, vectors).items
    few = FewShot.open(index)
    candidates = Retriever(embedder=few.embedder, index=few.index).prepare(TASK).candidates
    candidates.exemplars = [
        replace(exemplar, meta={"origin": "freesound:7"}) if n == 9 else exemplar
        for n, exemplar in enumerate(candidates.exemplars)
    ]
    named = replace(item, origin="freesound:7")
    (leak,) = find_leaks([named], candidates, threshold=1.0, held_out=False).leaks
    assert (leak.kind, leak.shared) == ("origin", "freesound:7")
