"""Arms asked about items, for every kind of task."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import AudioError, EvaluationError, ModelError
from earful.index import Index
from earful.index.builder import build_index
from earful.model import Prompt, ScriptedLanguageModel, Text
from earful.rag import FewShot
from earful.rag.evaluation import evaluate
from earful.rag.evaluation.arms import Arm, ArmRunner
from earful.rag.evaluation.arms.arms import How
from earful.rag.evaluation.items import items_of_index
from earful.rag.task import Label, Protocol, Task
from tests.support.labelled_tones import label_of
from tests.support.tone_evaluations import QUICK, TASK, listener, values, write_take


def test_a_recording_that_cannot_be_read_is_a_fault_and_counts_as_wrong(index: Path) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        if label_of(prompt.clips[-1]) == "low":
            raise AudioError("low.wav: has moved")
        return 0.0

    few = FewShot.open(index, model=ScriptedLanguageModel(log_probability=log_probability))
    settings = replace(QUICK, arms=("zero-shot", "vote"))
    found = evaluate(few, TASK, settings=settings)
    faults = {row["fault"] for row in found.document["rows"] if row["arm"] == "zero-shot"}
    assert faults == {"", "low.wav: has moved"}
    by_name = {score.arm.name: score for score in found.scorecard.arms}
    assert (by_name["zero-shot"].n_faults, by_name["vote@3"].n_faults) == (6, 0)
    assert by_name["zero-shot"].primary.value <= 2 / 3


@pytest.mark.slow
def test_several_labels_at_once_are_scored_by_average_precision(index: Path) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        asked = next(p.text for p in reversed(prompt.parts) if isinstance(p, Text))
        there = f"is there {label_of(prompt.clips[-1])} in" in asked
        return -0.1 if (answer == "yes") == there else -3.0

    model = ScriptedLanguageModel(log_probability=log_probability)
    task = replace(TASK, kind="multilabel", metric="mean-average-precision")
    scores = evaluate(FewShot.open(index, model=model), task, settings=QUICK).to_dict()
    assert values(scores, "mean-average-precision")["retrieved@3"] == 1.0
    assert values(scores, "micro-f1")["zero-shot"] == 1.0
    assert scores["per_class"]["labels"]["low"]["n"] == 6


def test_written_labels_are_matched_exactly_or_count_as_wrong(index: Path) -> None:
    model = ScriptedLanguageModel(replies=["Low.", "it is low", "high"])
    task = replace(
        TASK,
        labels={"low": Label(wording="low"), "high": Label(), "middle": Label()},
        protocol=Protocol(answers="written"),
    )
    settings = replace(QUICK, shots=(0,), arms=("zero-shot",), limit=3)
    found = evaluate(FewShot.open(index, model=model), task, settings=settings)
    rows = [(row["text"], row["labels"]) for row in found.document["rows"]]
    assert rows == [("Low.", ["low"]), ("it is low", []), ("high", ["high"])]
    assert "blend" not in {arm["how"] for arm in found.document["arms"]}
    # The nearest label is reported beside it, and does not count.
    (arm,) = found.to_dict()["arms"]
    truth = [item["labels"][0] for item in found.document["items"]]
    meant = ["low", "low", "high"]
    assert arm["near_accuracy"] == pytest.approx(sum(map(str.__eq__, truth, meant)) / 3, abs=1e-6)
    assert arm["metrics"]["accuracy"]["value"] <= arm["near_accuracy"]


def test_three_annotators_make_one_question(tmp_path: Path) -> None:
    rows = ["file_name,id,question,answer,group"]
    for number, hz in enumerate((200.0, 700.0, 2000.0)):
        write_take(tmp_path / f"{number}.wav", hz, number)
        answers = ("yes", "yes", "no") if number else ("no", "no", "no")
        rows += [
            f"{number}.wav,{number}-{n},Is it high?,{answer},{number}"
            for n, answer in enumerate(answers)
        ]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    build_index(tmp_path, tmp_path / "x.index", embedder="logmel")
    model = ScriptedLanguageModel(replies=["No.", "yes", "no"])
    task = Task(name="qa", kind="ask", yes_no_options=True)
    settings = replace(QUICK, shots=(0,), arms=("zero-shot",))
    few = FewShot.open(tmp_path / "x.index", model=model)
    found = evaluate(few, task, settings=settings)
    assert [item["references"] for item in found.document["items"]] == [
        ["no", "no", "no"],
        ["yes", "yes", "no"],
        ["yes", "yes", "no"],
    ]
    assert values(found.to_dict(), "exact-match")["zero-shot"] == pytest.approx(2 / 3)
    assert model.prompts[0].parts[-1] == Text(
        kind="user", text="Please answer this question: Is it high?\nOPTIONS:\nyes.\nno."
    )
    agreed = replace(task, protocol=Protocol(subset=("unanimous", "binary")))
    few = FewShot.open(tmp_path / "x.index", model=ScriptedLanguageModel(replies=["no"]))
    only = evaluate(few, agreed, settings=settings)
    assert len(only.document["items"]) == 1
    assert "1 of 3 questions are unanimous and binary" in only.document["notes"]
    votes = evaluate(few, task, settings=replace(QUICK, shots=(3,), arms=("vote", "majority")))
    # The answers of the two other clips: yes, yes, no twice, or no, no, no with one of them.
    assert {row["text"] for row in votes.document["rows"] if row["arm"] == "majority"} == {"no"}


def test_captions_are_scored_against_all_references(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    model = ScriptedLanguageModel(replies=["a low tone"])
    task = Task(name="captions", kind="caption")
    settings = replace(QUICK, shots=(0, 1), arms=("zero-shot", "vote"), limit=6)
    found = evaluate(FewShot.open(index, model=model), task, settings=settings)
    scores = found.to_dict()
    assert list(scores["arms"][0]["metrics"]) == ["cider", "bleu-4", "rouge-l"]
    # The nearest exemplar's own caption, which for tones is the right one.
    assert values(scores, "rouge-l")["vote@1"] == 1.0
    assert "points" not in found.scorecard.verdict.text


def test_arms_of_a_model_need_one_that_scores_labels(index: Path) -> None:
    few = FewShot.open(index)
    arms = [Arm(how="vote", k=1), Arm(how="zero-shot")]
    with pytest.raises(EvaluationError, match="zero-shot: expected a language model"):
        ArmRunner(few.retriever, None, TASK, arms, seeds=[0])
    with pytest.raises(ModelError, match="no log-probabilities"):
        ArmRunner(few.retriever, listener(scoring="text"), TASK, arms, seeds=[0])


def test_a_blend_and_the_model_alone_are_asked_for_once(index: Path) -> None:
    items = items_of_index(TASK, Index.open(index).vectors()).items[:1]
    n_prompts: dict[tuple[How, ...], int] = {}
    ways: tuple[tuple[How, ...], ...] = (("retrieved",), ("blend",), ("retrieved", "blend"))
    for hows in ways:
        model, few = listener(), FewShot.open(index)
        arms = [Arm(how=how, k=3) for how in hows]
        runner = ArmRunner(few.retriever, model, TASK, arms, seeds=[0])
        ((_, predictions),) = runner.ask(items)
        assert [prediction.arm for prediction in predictions] == [f"{how}@3" for how in hows]
        n_prompts[hows] = len(model.prompts)
    assert n_prompts["retrieved",] == 1
    assert n_prompts["retrieved", "blend"] == n_prompts["blend",]
