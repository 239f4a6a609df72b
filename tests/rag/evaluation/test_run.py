"""Evaluations of tones, by scripted models that listen, follow their shots, or neither."""

import json
import math
import shutil
import wave
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earful.errors import AudioError, CorpusError, EvaluationError, LeakageError, TaskError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import open_corpus
from earful.model import ClipRef, Prompt, ScriptedLanguageModel, Text
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.evaluation import (
    EvaluationSettings,
    evaluate,
    load_evaluation,
    repeat_run,
    write_verdict,
)
from earful.rag.evaluation.arms import Arm, arms_of
from earful.rag.evaluation.items import items_of_index
from earful.rag.evaluation.leakage import find_leaks, keep_apart
from earful.rag.evaluation.metrics import Difference
from earful.rag.evaluation.run_file import read_run
from earful.rag.evaluation.scores import Scorecard
from earful.rag.evaluation.scores.results import Comparison
from earful.rag.evaluation.scores.verdict import _compared
from earful.rag.retrieval import Retriever
from earful.rag.task import Label, Protocol, Shots, Task, load_task

RATE = 8000
HZ = {"low": 200.0, "middle": 700.0, "high": 2000.0}
TASK = Task(name="tones", shots=Shots(k=3))
# Takes of one tone are as near as copies would be; the tests of leaks look at them.
QUICK = EvaluationSettings(shots=(0, 1, 3), seeds=2, resamples=200, near_duplicate=1.0)


def write(path: Path, hz: float, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(RATE // 4) / RATE
    random = np.random.default_rng(seed)
    samples = 0.3 * np.sin(2 * np.pi * hz * random.uniform(0.9, 1.1) * time_s)
    samples += random.normal(size=time_s.size) * 0.05
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six takes a tone, two of a group; the last group is the test split."""
    root = tmp_path_factory.mktemp("tones")
    rows = ["file_name,label,group,split,question,answer"]
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(6):
            path = write(root / label / f"{take}.wav", hz, 10 * number + take)
            split = "test" if take >= 4 else "train"
            name = path.relative_to(root)
            rows.append(f"{name},{label},{label}-{take // 2},{split},Which tone is it?,{label}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def index(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(corpus, path, embedder="logmel")
    return path


def heard(clip: ClipRef) -> str:
    """Say what is in a place for audio; silence is none of the tones."""
    return Path(str(clip.audio)).parent.name if isinstance(clip.audio, Path) else ""


def listener(**capabilities: Any) -> ScriptedLanguageModel:
    """A model with a perfect ear, that looks at no shot."""
    return ScriptedLanguageModel(
        log_probability=lambda prompt, answer: -0.1 if heard(prompt.clips[-1]) == answer else -3.0,
        capabilities=replace(CAPABILITIES, **capabilities),
    )


def follower() -> ScriptedLanguageModel:
    """A deaf model, that says what most of its shots say."""

    def log_probability(prompt: Prompt, answer: str) -> float:
        said = [part.text for part in prompt.parts if isinstance(part, Text) and part.is_answer]
        return math.log(0.01 + Counter(said)[answer])

    return ScriptedLanguageModel(log_probability=log_probability)


def values(told: dict[str, Any], metric: str = "accuracy") -> dict[str, float]:
    return {arm["name"]: arm["metrics"][metric]["value"] for arm in told["arms"]}


def test_every_arm_answers_every_item_and_the_controls_tell_who_listens(index: Path) -> None:
    few = FewShot.open(index, model=listener())
    found = evaluate(few, TASK, settings=QUICK)
    told = found.to_dict()
    assert told["n_items"] == 18
    assert told["n_groups"] == 9
    right = values(told)
    assert set(right) == {
        *("zero-shot", "retrieved@1", "retrieved@3", "blend@1", "blend@3", "vote@1", "vote@3"),
        *("random@1", "random@3", "shuffled@3", "silent@0", "silent@3", "probe", "majority"),
    }
    # A perfect ear needs no shots, and is not misled by wrong ones; silence is what it fears.
    assert right["zero-shot"] == right["retrieved@3"] == right["shuffled@3"] == 1.0
    assert right["silent@0"] == pytest.approx(1 / 3)
    assert right["majority"] == pytest.approx(1 / 3)
    # Tones are easily told apart by their vectors.
    assert right["vote@3"] == right["probe"] == 1.0
    rows = found.document["rows"]
    assert len(rows) == 18 * (14 + 3)  # the three arms that draw have two seeds
    assert all(row["fault"] == "" for row in rows)
    assert json.loads(json.dumps(found.document)) == found.document


def test_a_model_that_only_follows_its_shots_is_found_out(index: Path) -> None:
    found = evaluate(FewShot.open(index, model=follower()), TASK, settings=QUICK)
    right = values(found.to_dict())
    assert right["retrieved@3"] == right["silent@3"] > 0.8
    assert right["zero-shot"] == pytest.approx(1 / 3)
    assert right["shuffled@3"] < 0.7
    pair = next(
        one
        for one in found.scorecard.comparisons
        if (one.first, one.second) == ("retrieved@3", "silent@3")
    )
    assert (pair.difference.value, pair.difference.p_value) == (0.0, 1.0)
    text = found.scorecard.verdict.text
    gain = 100 * (max(right["retrieved@1"], right["retrieved@3"]) - right["zero-shot"])
    assert text.startswith(f"retrieval adds {gain:.1f} points over zero-shot (95% CI ")
    assert "; the neighbour vote " in text
    assert "; use the neighbour vote with " in text


def told_of(card: Scorecard, low: float, value: float, high: float) -> str:
    """Return what is said of a difference, in shares."""
    gap = Difference(value=value, low=low, high=high, p_value=0.5)
    return _compared(card, Comparison(first="a", second="b", difference=gap, mcnemar=None))


def test_only_what_is_surely_near_is_called_as_good(index: Path) -> None:
    settings = replace(QUICK, shots=(1,), arms=("vote",))
    card = evaluate(FewShot.open(index), TASK, settings=settings).scorecard
    # Nine groups are too few to call anything as good, whatever the interval.
    assert told_of(card, 0.0, 0.0, 0.0) == "cannot be told apart (0.0, 0.0 to 0.0)"
    assert "the items come from 9 groups only" in " ".join(card.document["notes"])
    card.groups = [str(n) for n in range(20)]
    assert told_of(card, -0.02, 0.0, 0.02) == "is as good (0.0, -2.0 to 2.0)"
    assert told_of(card, -0.2, 0.0, 0.2) == "cannot be told apart (0.0, -20.0 to 20.0)"
    assert told_of(card, 0.01, 0.1, 0.2) == "is better (10.0, 1.0 to 20.0)"
    assert told_of(card, -0.2, -0.1, -0.01) == "is worse (-10.0, -20.0 to -1.0)"


def test_no_item_ever_meets_its_own_recording_or_group(index: Path) -> None:
    found = evaluate(FewShot.open(index), TASK, settings=QUICK)
    group = {item["id"]: item["group"] for item in found.document["items"]}
    for row in found.document["rows"]:
        assert row["item"] not in row["shots"]
        assert group[row["item"]] not in {group[shot] for shot in row["shots"]}


def test_rows_of_a_split_are_answered_by_the_others(index: Path) -> None:
    found = evaluate(
        FewShot.open(index, model=listener()), TASK, settings=replace(QUICK, split="test")
    )
    assert {item["id"].split("/")[1] for item in found.document["items"]} == {"4.wav", "5.wav"}
    shots = {shot for row in found.document["rows"] for shot in row["shots"]}
    assert {shot.split("/")[1] for shot in shots} <= {f"{n}.wav" for n in range(4)}
    assert found.document["exemplars"]["n"] == 12
    with pytest.raises(TaskError, match=r"unknown split 'tst' \(did you mean 'test'"):
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, split="tst"))


def test_items_come_from_a_corpus_outside(index: Path, tmp_path: Path) -> None:
    for number, (label, hz) in enumerate(HZ.items()):
        write(tmp_path / label / "new.wav", hz, 100 + number)
    found = evaluate(FewShot.open(index), TASK, settings=QUICK, corpus=open_corpus(tmp_path))
    assert values(found.to_dict())["vote@3"] == 1.0
    assert found.document["source"]["corpus"] == str(tmp_path)
    task = replace(TASK, labels={"low": Label(), "middle": Label()})
    with pytest.raises(TaskError, match=r"new.wav: label 'high' is none of task 'tones'"):
        evaluate(FewShot.open(index), task, corpus=open_corpus(tmp_path))
    (tmp_path / "low/broken.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"low/broken.wav: .*low/broken.wav"):
        evaluate(FewShot.open(index), TASK, corpus=open_corpus(tmp_path))
    write(tmp_path / "loose.wav", 200.0, 7)
    with pytest.raises(CorpusError, match=r"loose.wav: lies beside the label folders"):
        evaluate(FewShot.open(index), TASK, corpus=open_corpus(tmp_path))
    with pytest.raises(EvaluationError, match="split 'test' chooses rows of the index"):
        evaluate(
            FewShot.open(index),
            TASK,
            settings=replace(QUICK, split="test"),
            corpus=open_corpus(tmp_path),
        )


def test_a_recording_that_cannot_be_heard_is_an_answer_that_is_missing(index: Path) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        if heard(prompt.clips[-1]) == "low":
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


# --- leaks ---------------------------------------------------------------------------------


def test_exemplars_that_give_items_away_stop_an_evaluation(index: Path, tmp_path: Path) -> None:
    (copied,) = (path for path in Index.open(index).vectors().paths[:1])
    (tmp_path / "high").mkdir()
    (tmp_path / "high/renamed.wav").write_bytes(copied.read_bytes())
    write(tmp_path / "low/new.wav", 200.0, 77)
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
    (guarded, *_) = keep_apart(items[:1], near, candidates)
    assert find_leaks([guarded], candidates, threshold=0.5, held_out=False) == ()
    with pytest.raises(ValueError, match="threshold=0"):
        find_leaks(items, candidates, threshold=0, held_out=True)


def test_a_split_that_is_not_there_names_the_index_and_its_splits(index: Path) -> None:
    with pytest.raises(TaskError, match=r"\.index: unknown split 'tset' .*; known: test, train\. "):
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, split="tset"))


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


# --- runs ----------------------------------------------------------------------------------


def answers(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (row["item"], row["arm"], row["seed"], row["text"], row["shots"], row["digest"])
        for row in document["rows"]
    ]


def test_a_run_that_is_killed_goes_on_where_it_was(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"

    def stop(done: int, _of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    model = listener()
    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index, model=model), TASK, settings=QUICK, out=out, progress=stop)
    partial = tmp_path / "run.json.partial"
    lines = partial.read_text().splitlines()
    assert len(lines) == 1 + 5
    # Killed in the midst of a line, that item is asked about again.
    partial.write_text("\n".join(lines)[:-20])
    again = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out)
    assert again.n_asked == 18 - 4
    assert not partial.exists()
    whole = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK)
    assert answers(read_run(out)) == answers(whole.document)
    # And nothing is asked twice of a run that is there.
    assert (
        evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out).n_asked == 0
    )


def test_a_run_killed_after_its_last_answer_is_finished_by_the_next(
    index: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"

    def stop(done: int, of: int) -> None:
        if done == of:
            raise KeyboardInterrupt

    settings = replace(QUICK, arms=("vote",))
    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index), TASK, settings=settings, out=out, progress=stop)
    assert not out.exists()
    assert evaluate(FewShot.open(index), TASK, settings=settings, out=out).n_asked == 0
    assert len(read_run(out)["items"]) == 18
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_another_run_is_never_overwritten(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    evaluate(FewShot.open(index), TASK, settings=QUICK, out=out)
    before = out.read_bytes()
    with pytest.raises(EvaluationError, match=r"run.json is of another run: other settings"):
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, shots=(2,)), out=out)
    assert out.read_bytes() == before
    with pytest.raises(EvaluationError, match="is no folder"):
        evaluate(FewShot.open(index), TASK, settings=QUICK, out=tmp_path / "no/run.json")


def test_the_same_file_gives_the_same_numbers(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    found = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out)
    assert load_evaluation(out).to_dict() == found.to_dict()
    assert load_evaluation(out).n_asked == 0
    broken = tmp_path / "other.json"
    broken.write_text("[1, 2]")
    with pytest.raises(EvaluationError, match=r"other.json: is not a run"):
        load_evaluation(broken)
    broken.write_text(out.read_text().replace('"version": 1', '"version": 2', 1))
    with pytest.raises(EvaluationError, match="expected format 1, got 2"):
        load_evaluation(broken)


def test_asking_again_tells_what_changed(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    settings = replace(QUICK, arms=("retrieved", "vote", "zero-shot"))
    evaluate(FewShot.open(index, model=listener()), TASK, settings=settings, out=out)
    same = repeat_run(FewShot.open(index, model=listener()), out)
    assert same.is_same
    assert same.describe() == f"{same.n_rows} of {same.n_rows} answers are the same"
    other = repeat_run(FewShot.open(index, model=follower()), out)
    assert not other.is_same
    # Who has no ear says the same of every tone before it is shown any.
    assert sum(", zero-shot: was " in line for line in other.different) == 12


def test_items_are_drawn_with_the_labels_taking_turns(index: Path) -> None:
    items = items_of_index(TASK, Index.open(index).vectors())
    few = items.limited(7, seed=0)
    assert sorted(Counter(item.labels[0] for item in few.items).values()) == [2, 2, 3]
    assert few.items == items.limited(7, seed=0).items
    assert "7 of 18 items were drawn" in few.notes[0]
    assert items.limited(None, seed=0) is items


# --- other kinds of task --------------------------------------------------------------------


def test_several_labels_at_once_are_scored_by_average_precision(index: Path) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        asked = next(p.text for p in reversed(prompt.parts) if isinstance(p, Text))
        there = f"is there {heard(prompt.clips[-1])} in" in asked
        return -0.1 if (answer == "yes") == there else -3.0

    model = ScriptedLanguageModel(log_probability=log_probability)
    task = replace(TASK, kind="multilabel", metric="mean-average-precision")
    told = evaluate(FewShot.open(index, model=model), task, settings=QUICK).to_dict()
    assert values(told, "mean-average-precision")["retrieved@3"] == 1.0
    assert values(told, "micro-f1")["zero-shot"] == 1.0
    assert told["per_class"]["labels"]["low"]["n"] == 6


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
    # What was meant is told beside it, and does not count.
    (arm,) = found.to_dict()["arms"]
    truth = [item["labels"][0] for item in found.document["items"]]
    meant = ["low", "low", "high"]
    assert arm["near_accuracy"] == pytest.approx(sum(map(str.__eq__, truth, meant)) / 3, abs=1e-6)
    assert arm["metrics"]["accuracy"]["value"] <= arm["near_accuracy"]


def test_three_annotators_make_one_question(tmp_path: Path) -> None:
    rows = ["file_name,id,question,answer,group"]
    for number, hz in enumerate((200.0, 700.0, 2000.0)):
        write(tmp_path / f"{number}.wav", hz, number)
        said = ("yes", "yes", "no") if number else ("no", "no", "no")
        rows += [f"{number}.wav,{number}-{n},Is it high?,{x},{number}" for n, x in enumerate(said)]
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
    told = found.to_dict()
    assert list(told["arms"][0]["metrics"]) == ["cider", "bleu-4", "rouge-l"]
    # The nearest exemplar's own caption, which for tones is the right one.
    assert values(told, "rouge-l")["vote@1"] == 1.0
    assert "points" not in found.scorecard.verdict.text


# --- arms and the task file -------------------------------------------------------------------


def test_arms_that_a_task_cannot_have_are_left_out_and_said() -> None:
    arms, notes = arms_of(TASK, shots=(0, 4, 8), has_model=True, most=7)
    assert {arm.k for arm in arms if arm.how == "retrieved"} == {4, 7}
    assert {arm.k for arm in arms if arm.how == "vote"} == {4, 8}
    assert notes == ("the language model hears 7 shots at most: 7 stand for 8",)
    arms, notes = arms_of(Task(name="c", kind="caption"), shots=(0,), has_model=True, most=7)
    assert {arm.how for arm in arms} == {"zero-shot", "silent"}
    assert len(notes) == 2
    arms, _ = arms_of(TASK, shots=(0, 2), has_model=False, most=None)
    assert {arm.name for arm in arms} == {"vote@2", "probe", "majority"}
    arms, _ = arms_of(
        TASK,
        shots=(2,),
        strategies=("nearest", "balanced"),
        only=("vote",),
        has_model=False,
        most=None,
    )
    assert [arm.name for arm in arms] == ["vote@2", "vote-balanced@2"]


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"shots": (-1,)}, "-1 shots: .*0 to 1000"),
        ({"shots": (1,), "strategies": ("nearst",)}, "did you mean 'nearest'"),
        ({"shots": (1,), "only": ("votes",)}, "did you mean 'vote'"),
        ({"shots": (0,), "only": ("retrieved",)}, "no arm is left"),
    ],
)
def test_arms_that_there_are_none_of_are_told(choices: dict[str, Any], told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        arms_of(TASK, has_model=True, most=None, **choices)


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"limit": 0}, {"leaks": "no"}, {"confidence": 1.0}, {"resamples": 5}]
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match=next(iter(wrong))):
        EvaluationSettings(**wrong)


def test_a_verdict_becomes_the_task_file_s_default(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "tones.toml"
    path.write_text(
        '# What I wrote.\nname = "tones"\n\n[shots]\nk = 2  # for now\norder = "random"\n'
    )
    task = load_task(path)
    found = evaluate(FewShot.open(index, model=follower()), task, settings=QUICK)
    assert write_verdict(task, found.scorecard.verdict) == "arm = vote, k = 1, strategy = nearest"
    again = load_task(path)
    assert (again.arm, again.shots.k, again.shots.order) == ("vote", 1, "random")
    assert path.read_text().startswith("# What I wrote.\n")
    assert "# for now" in path.read_text()
    with pytest.raises(TaskError, match="has no file of its own"):
        write_verdict(TASK, found.scorecard.verdict)
    with pytest.raises(TaskError, match=r"is built in .*; copy /.*speech\.toml to a file"):
        write_verdict(load_task("speech"), found.scorecard.verdict)
    with pytest.raises(TaskError, match="the verdict is the probe arm"):
        write_verdict(task, replace(found.scorecard.verdict, arm=Arm(how="probe")))
    # A link stays one, and what it names keeps its mode.
    path.chmod(0o600)
    link = tmp_path / "linked.toml"
    link.symlink_to(path)
    write_verdict(load_task(link), found.scorecard.verdict)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    path.chmod(0o444)
    with pytest.raises(TaskError, match="is read-only"):
        write_verdict(load_task(link), replace(found.scorecard.verdict, arm=Arm(how="vote", k=3)))
    assert path.read_text() == before


def test_nobody_to_answer_or_nothing_to_ask_is_told(index: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothing in the index can be asked about"):
        evaluate(FewShot.open(index), Task(name="x", labels={"cat": Label(), "dog": Label()}))
    build_index(open_corpus(index_corpus(tmp_path)), tmp_path / "one.index", embedder="logmel")
    with pytest.raises(EvaluationError, match="every row of the index is of split 'test'"):
        evaluate(FewShot.open(tmp_path / "one.index"), TASK, settings=replace(QUICK, split="test"))


def index_corpus(root: Path) -> Path:
    write(root / "corpus/a.wav", 200.0, 1)
    (root / "corpus/metadata.csv").write_text("file_name,label,split\na.wav,low,test\n")
    return root / "corpus"
