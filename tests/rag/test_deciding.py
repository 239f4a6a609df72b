"""Few-shot questions decided by a model that hears nothing and is told of exemplars in words."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from earful.errors import ModelError, PromptError
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings, evaluate
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Label, Task
from earful.testing.stub_endpoint import StubEndpoint

Open = Callable[..., FewShot]


@pytest.fixture
def opened(behind_stub: Callable[..., FewShot]) -> Open:
    """Open the index with a model behind a stub that decides."""
    return partial(behind_stub, scoring="decisions")


def test_exemplars_are_told_with_their_similarities(opened: Open, query: Path) -> None:
    stub = StubEndpoint(decides=255, prefers="low")
    few = opened(stub)
    answer = few.classify(query, shots=2, arm="model")
    assert (answer.text, answer.scoring) == ("low", "decisions")
    assert answer.confidence == answer.scores[0].score == pytest.approx(1 / 30 + 0.7)
    assert any("the model heard no recording" in note for note in answer.notes)
    assert not any("hears one recording" in note for note in answer.notes)
    (body,) = stub.asked
    told = body["input"].splitlines()
    nearest = answer.evidence[0]
    assert f"Recording 2, similarity {nearest.similarity:.2f}: low" in told
    assert {choice["value"] for choice in body["questions"][0]["choices"]} == {
        *("low", "middle", "high")
    }
    assert "OPTIONS" not in body["questions"][0]["instructions"]
    assert answer.report is not None
    assert answer.report.n_requests == 2  # the check among them
    # It is weighed against the vote as other scores are.
    assert few.classify(query, shots=2).blend is not None


def test_several_labels_are_decided_one_by_one(opened: Open, query: Path) -> None:
    stub = StubEndpoint(
        decides=255,
        prefers=lambda body: "yes" if "low" in body["questions"][0]["instructions"] else "no",
    )
    task = Task(name="t", kind="multilabel", labels={x: Label() for x in ("low", "middle", "high")})
    assert opened(stub).classify(query, task=task, shots=2, arm="model").labels == ("low",)
    assert len(stub.asked) == 3


def test_more_labels_than_a_decision_has_are_the_votes_likeliest(opened: Open, query: Path) -> None:
    stub = StubEndpoint(decides=2, prefers="low")
    answer = opened(stub).classify(query, shots=3, arm="model")
    assert len(stub.asked[0]["questions"][0]["choices"]) == 2
    assert any("chooses from 2 labels at once" in note for note in answer.notes)


def test_what_needs_ears_or_words_is_refused(opened: Open, query: Path) -> None:
    stub = StubEndpoint(decides=255)
    few = opened(stub)
    with pytest.raises(PromptError, match="cannot be shown exemplars as 'interleaved'"):
        few.classify(query, shots=1, shot_mode="interleaved")
    with pytest.raises(PromptError, match="--shots of 1 or more"):
        few.classify(query, shots=0, labels=["low", "high"])
    with pytest.raises(ModelError, match="no words of their own"):
        few.ask(query, "What is going on?", free_text=True)
    assert not stub.asked
    prior = few.classify(query, shots=1, arm="model", scoring=LabelScoring(prior=True))
    assert any("prior has no effect" in note for note in prior.notes)
    assert prior.scores[0].score > 0.5


def test_a_declined_question_leaves_the_others(opened: Open, query: Path) -> None:
    few = opened(StubEndpoint(decides=255, declines=True))
    found = list(few.classify_batch([query, query], shots=1, arm="model"))
    assert all(isinstance(one, PromptError) for one in found)


def test_half_the_shots_are_told_where_a_server_takes_less(opened: Open, query: Path) -> None:
    stub = StubEndpoint(decides=255)
    few = opened(stub)
    few.classify(query, shots=1, arm="model")
    stub.faults = [(413, "too large", {})]
    assert len(few.classify(query, shots=4, arm="model").evidence) == 2


def test_an_evaluation_leaves_out_what_is_asked_by_ear(opened: Open, tmp_path: Path) -> None:
    settings = EvaluationSettings(
        shots=(0, 2),
        arms=("zero-shot", "retrieved", "silent", "vote"),
        resamples=100,
        limit=4,
        near_duplicate=1.0,
    )
    few = opened(StubEndpoint(decides=255, prefers="low"))
    card = evaluate(few, Task(name="t"), settings=settings, out=tmp_path / "run.json").scorecard
    assert {score.arm.name for score in card.arms} == {"retrieved@2", "vote@2"}
    notes = " ".join(card.document["notes"])
    assert "is given no recording, so the arm zero-shot is left out" in notes
    assert all(score.n_faults == 0 for score in card.arms)
