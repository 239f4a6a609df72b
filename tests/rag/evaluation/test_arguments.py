"""What a program may give to ``evaluate``, and what it is told where it gives another thing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.errors import EvaluationError
from earful.index.corpus import open_corpus
from earful.rag import FewShot
from earful.rag.evaluation import ModelSource, Scorecard, evaluate, load_evaluation, write_report
from tests.support.tone_evaluations import HZ, QUICK, TASK, follower, listener, write_take

VOTES = replace(QUICK, shots=(2,), arms=("vote", "majority"), resamples=100)


def test_a_task_is_taken_as_a_file_and_no_task_means_all_labels(
    index: Path, tmp_path: Path
) -> None:
    few = FewShot.open(index)
    file = tmp_path / "tones.toml"
    file.write_text(f"labels = {list(HZ)}\n")
    by_file = evaluate(few, str(file), settings=VOTES, out=str(tmp_path / "run.json"))
    by_none = evaluate(few, settings=VOTES)
    assert by_file.accuracy() == by_none.accuracy() == 1.0
    assert by_none.document["task"]["name"] == "all-labels"
    assert load_evaluation(tmp_path / "run.json").to_dict() == by_file.to_dict()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"task": 3}, "task=3: expected a Task"),
        ({"settings": {"shots": (2,)}}, "expected EvaluationSettings"),
        ({"corpus": "held"}, r"corpus='held': expected a corpus, such as earful.open_corpus"),
        ({"models": "earful-small"}, r"expected a list of models, such as \['earful-small'\]"),
    ],
)
def test_another_thing_is_refused_with_the_right_one(
    wrong: dict[str, Any], told: str, index: Path
) -> None:
    with pytest.raises(TypeError, match=told):
        evaluate(FewShot.open(index), **{"task": TASK, "settings": VOTES, **wrong})


def test_a_model_alone_has_no_embedder_for_the_items(corpus: Path) -> None:
    with pytest.raises(EvaluationError, match=r"FewShot\.from_task"):
        evaluate(FewShot(model=listener()), TASK, settings=VOTES, corpus=open_corpus(corpus))


def test_items_of_which_no_label_can_be_chosen_are_refused(index: Path, tmp_path: Path) -> None:
    for take in range(2):
        write_take(tmp_path / "Low" / f"{take}.wav", HZ["low"], 90 + take)
    with pytest.raises(EvaluationError, match="expected some of high, low, middle, got Low;"):
        evaluate(FewShot.open(index), settings=VOTES, corpus=open_corpus(tmp_path))
    # One that can be is enough: the others are counted in a note.
    write_take(tmp_path / "low" / "9.wav", HZ["low"], 99)
    found = evaluate(FewShot.open(index), settings=VOTES, corpus=open_corpus(tmp_path))
    assert "2 items have a label without any exemplar" in " ".join(found.document["notes"])


def test_a_model_may_have_another_name_in_a_run_than_it_gives_itself(
    index: Path, tmp_path: Path
) -> None:
    models = [
        ModelSource(name="openai:", load=listener),
        ModelSource(name="folder/", load=follower),
    ]
    settings = replace(QUICK, shots=(0, 2), arms=("zero-shot", "retrieved"), limit=6)
    found = evaluate(FewShot.open(index), TASK, settings=settings, models=models)
    assert [name for name, _ in found.scorecard.spent_texts] == ["openai:", "folder/"]
    assert [one["name"] for one in found.to_dict()["models"]] == ["openai:", "folder/"]
    write_report(Scorecard(found.document), tmp_path / "report.html")
    assert "12 requests" in (tmp_path / "report.html").read_text()
