from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import LeakageError
from earful.index import Index
from earful.index.corpus import open_corpus
from earful.rag import FewShot
from earful.rag.evaluation import evaluate
from earful.rag.evaluation.items import items_of_index
from earful.rag.evaluation.leakage import find_leaks, keep_apart
from earful.rag.retrieval import Retriever
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


def test_groups_and_near_duplicates_are_found_once_a_pair(index: Path) -> None:
    vectors = Index.open(index).vectors()
    items = items_of_index(TASK, vectors).items
    few = FewShot.open(index)
    candidates = Retriever(embedder=few.embedder, index=few.index).prepare(TASK).candidates
    # Asked about in turn, a group's other take is kept apart anyway.
    assert find_leaks(items, candidates, threshold=1.0, held_out=False) == ()
    grouped = find_leaks(items[:1], candidates, threshold=1.0, held_out=True)
    assert [(leak.kind, leak.exemplar) for leak in grouped] == [
        ("content", "high/0.wav"),
        ("group", "high/1.wav"),
    ]
    near = find_leaks(items[:1], candidates, threshold=0.5, held_out=False)
    assert {leak.kind for leak in near} == {"near-duplicate"}
    (kept_apart, *_) = keep_apart(items[:1], near, candidates)
    assert find_leaks([kept_apart], candidates, threshold=0.5, held_out=False) == ()
    with pytest.raises(ValueError, match="threshold=0"):
        find_leaks(items, candidates, threshold=0, held_out=True)


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
    (leak,) = find_leaks([named], candidates, threshold=1.0, held_out=False)
    assert (leak.kind, leak.shared) == ("origin", "freesound:7")
