"""Answers by the neighbour vote, as users ask for them."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from earful.errors import AudioError, IndexMismatchError, TaskError
from earful.model import ScriptedLanguageModel
from earful.model.audio import load_audio
from earful.rag import Answer, FewShot, default_model
from earful.rag.retrieval import Audio, Query, Retrieved
from earful.rag.task import Answerer, Label, Shots, Task, load_task
from tests.support.labelled_tones import RATE, prefers, sound, write_wav


def test_unseen_sounds_get_their_label_and_show_why(few: FewShot, queries: Path) -> None:
    for label in ("low", "middle", "high"):
        path = queries / label / "100.wav"
        answer = few.classify(path)
        assert answer.text == label
        assert answer.confidence is not None
        assert answer.confidence > 0.8
        assert not answer.abstained
        assert answer.model == "neighbour-vote"
        assert answer.audio == str(path)
        assert answer.scores[0].label == label
        assert sum(score.score for score in answer.scores) == pytest.approx(1.0)
        assert {score.label for score in answer.scores} == {"low", "middle", "high"}
        assert len(answer.evidence) == 8
        assert [hit.rank for hit in answer.evidence] == list(range(8))
        assert answer.evidence[0].exemplar.labels == (label,)
        assert list(answer.timings) == ["decode_s", "embed_s", "retrieve_s", "score_s"]
        assert answer.prompt is not None
        assert answer.prompt.digest == answer.prompt_digest
        # Nearest last: the last exemplar before the query is the best hit.
        assert str(answer.evidence[0].path) in answer.prompt.render().splitlines()[-9]


def test_the_json_holds_what_is_promised(few: FewShot, queries: Path) -> None:
    values = few.classify(queries / "low/100.wav").to_dict()
    assert list(values)[:13] == [
        "audio",
        "start_s",
        "end_s",
        "group",
        "text",
        "labels",
        "confidence",
        "abstained",
        "reason",
        "scores",
        "evidence",
        "model",
        "prompt_digest",
    ]
    json.dumps(values, allow_nan=False)


def test_equal_queries_get_equal_answers(index: Path, queries: Path) -> None:
    def values() -> dict[str, object]:
        answer = FewShot.open(index).classify(queries / "low/101.wav", strategy="random", seed=3)
        return answer.to_dict()

    assert values() == values()


@pytest.mark.parametrize("arm", ["vote", "model", "blend"])
def test_a_batch_has_the_answers_of_one_after_the_other(
    index: Path, queries: Path, arm: Answerer
) -> None:
    model = ScriptedLanguageModel(log_probability=prefers("high"))
    few = FewShot.open(index, model=model)
    (read,) = few.retriever.retrieve(
        [queries / "high/101.wav"],
        Task(name="t"),
        None,
        shots=3,
        need_exemplars=True,
        seed=0,
        sample_rate=0,
    )
    assert isinstance(read, Retrieved)
    clip = load_audio(queries / "middle/100.wav")
    recordings: list[Audio | Query] = [
        queries / "low/100.wav",
        str(queries / "hiss/100.wav"),
        clip,
        read.query,
    ]
    answers = list(few.classify_batch(recordings, shots=3, arm=arm))
    alone = [few.classify(audio, shots=3, arm=arm) for audio in recordings]
    assert list(map(untimed, answers)) == list(map(untimed, alone))


def test_a_recording_that_cannot_be_read_leaves_the_others_of_its_batch(
    few: FewShot, queries: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    paths = [tmp_path / "none.wav", queries / "low/100.wav", tmp_path / "broken.wav"]
    answers = list(few.classify_batch([*paths, queries / "high/100.wav"]))
    assert [type(answer) for answer in answers] == [AudioError, Answer, AudioError, Answer]
    assert "none.wav" in str(answers[0])
    assert "broken.wav" in str(answers[2])
    assert [answer.text for answer in answers if isinstance(answer, Answer)] == ["low", "high"]
    assert list(few.classify_batch([])) == []
    # What is wrong with the task is an error at once, before anything is read.
    with pytest.raises(TaskError, match="is of kind 'caption'"):
        few.classify_batch(paths, task=Task(name="t", kind="caption"))


def untimed(answer: Answer | Exception) -> Answer:
    assert isinstance(answer, Answer)
    return replace(answer, timings=MappingProxyType({}))


def test_the_default_model_is_the_shipped_one_unless_the_task_asks_for_the_vote() -> None:
    assert default_model(None) == default_model(Task(name="t")) == "earful-small"
    assert default_model(Task(name="t", arm="model")) == "earful-small"
    assert default_model(Task(name="t", arm="vote")) is None


def test_labels_narrow_the_choice(few: FewShot, queries: Path) -> None:
    answer = few.classify(queries / "middle/100.wav", labels=["low", "high"])
    assert [score.label for score in answer.scores] in (["low", "high"], ["high", "low"])
    assert {label for hit in answer.evidence for label in hit.exemplar.labels} <= {"low", "high"}
    with pytest.raises(TaskError, match=r"no exemplar has the label 'midle'\..*'middle'"):
        few.classify(queries / "middle/100.wav", labels=["low", "midle"])


def test_shots_and_strategy_can_be_changed(few: FewShot, queries: Path) -> None:
    path = queries / "low/100.wav"
    assert len(few.classify(path, shots=3).evidence) == 3
    balanced = few.classify(path, shots=3, strategy="balanced").evidence
    assert {hit.exemplar.answer for hit in balanced} == {"low", "middle", "high"}
    with pytest.raises(TaskError, match="unknown strategy 'nearst'"):
        few.classify(path, strategy="nearst")
    with pytest.raises(TaskError, match="0 shots"):
        few.classify(path, shots=0)


def test_a_task_with_examples_needs_no_index(queries: Path, tmp_path: Path) -> None:
    lines = ['name = "own"', "examples = ["]
    for label in ("low", "high"):
        for take in (100, 101):
            audio = json.dumps(str(queries / label / f"{take}.wav"))
            lines.append(f'  {{audio = {audio}, label = "{label}"}},')
    path = tmp_path / "own.toml"
    path.write_text("\n".join([*lines, "]"]))
    task = load_task(path, allow_outside=True)
    few = FewShot.from_task(task, embedder="logmel")
    answer = few.classify(queries / "low/102.wav", task=task)
    assert answer.text == "low"
    assert answer.notes == (
        "only 4 of 8 shots could be found",
        "too few exemplars to calibrate on; confidence is a rough guess",
    )
    assert (
        FewShot.from_task(load_task(path, allow_outside=True), embedder=few.embedder)
        .classify(queries / "low/102.wav", task=task)
        .scores
        == answer.scores
    )
    with pytest.raises(ValueError, match="there is no index"):
        few.search(queries / "low/102.wav")
    with pytest.raises(TaskError, match="brings no examples"):
        FewShot.from_task("urban-sounds", embedder="logmel")


def test_a_label_without_exemplars_is_noted(few: FewShot, queries: Path) -> None:
    labels = {name: Label() for name in ("low", "high", "purring")}
    answer = few.classify(queries / "low/100.wav", task=Task(name="t", labels=labels))
    assert answer.notes[0] == "no exemplar has the label 'purring'"
    assert answer.scores[0].label == "low"
    assert len(answer.scores) == 3
    with pytest.raises(TaskError, match="no exemplar has the label"):
        few.classify(queries / "low/100.wav", task="emotion")


def test_an_unsure_answer_is_an_abstention(few: FewShot, queries: Path) -> None:
    task = Task(name="t", abstain_below=0.999)
    # Hiss is unlike every tone: the answer is flat.
    answer = few.classify(queries / "hiss/100.wav", task=task)
    sure = few.classify(queries / "low/100.wav", task=replace(task, abstain_below=0.5))
    assert answer.abstained
    assert answer.text in {"low", "middle", "high"}
    assert answer.confidence is not None
    assert sure.confidence is not None
    assert answer.confidence < sure.confidence
    assert not sure.abstained


def test_several_labels_are_decided_each_for_itself(few: FewShot, queries: Path) -> None:
    task = Task(name="t", kind="multilabel", labels={"low": Label(), "high": Label()})
    answer = few.classify(queries / "high/100.wav", task=task, labels=["low", "high"])
    assert answer.text == "high"
    scores = {score.label: score.score for score in answer.scores}
    assert scores["high"] > 0.8
    assert scores["low"] < 0.2
    assert answer.confidence == min(scores["high"], 1 - scores["low"])


def test_a_task_for_a_language_model_is_refused_with_its_prompt_at_hand(
    few: FewShot, queries: Path
) -> None:
    task = Task(name="t", kind="ask", question="How does it sound?")
    with pytest.raises(TaskError, match="is of kind 'ask', which takes a language model"):
        few.classify(queries / "low/100.wav", task=task)
    prompt = few.prompt_for(queries / "low/100.wav", task=task, shots=2, question="Is it low?")
    assert prompt.n_clips == 3
    assert prompt.render().endswith("[user] Please answer this question: Is it low?")


def test_the_prompt_of_a_classification_is_the_same_by_both_ways(
    few: FewShot, queries: Path
) -> None:
    path = queries / "low/100.wav"
    assert few.prompt_for(path).digest == few.classify(path).prompt_digest


def test_a_query_that_cannot_be_read_is_an_audio_error(few: FewShot, tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        few.classify(tmp_path / "none.wav")


def test_a_segment_of_a_recording_can_be_asked_about(few: FewShot, tmp_path: Path) -> None:
    path = write_wav(
        tmp_path / "two.wav", np.concatenate([sound("low", 200), sound("high", 200)]), RATE
    )
    assert few.classify(path, start_s=0.0, end_s=0.5).text == "low"
    second = few.classify(path, start_s=0.5)
    assert second.text == "high"
    assert second.prompt is not None
    assert f"{path} [0.5-end s]" in second.prompt.render()
    with pytest.raises(ValueError, match="start_s and end_s are for files"):
        few.classify(load_audio(path), start_s=0.5)


def test_an_index_is_opened_with_the_embedder_that_made_it_only(index: Path) -> None:
    # logmel's revision is logmel's: earful-tiny is not asked for one of that name.
    with pytest.raises(
        IndexMismatchError, match=r"use its own embedder, --embedder logmel.*'earful-tiny'"
    ):
        FewShot.open(index, embedder="earful-tiny")


def test_tasks_can_be_read_without_anything_heavy() -> None:
    probe = (
        "import earful.rag.task as t, sys; t.load_task('urban-sounds'); "
        "print([n for n in ('torch', 'pyarrow', 'lancedb', 'soundfile') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_default_shots_of_a_task_are_used(few: FewShot, queries: Path) -> None:
    task = Task(name="t", shots=Shots(k=5, order="nearest-first"))
    answer = few.classify(queries / "low/100.wav", task=task)
    assert len(answer.evidence) == 5
    assert answer.prompt is not None
    assert str(answer.evidence[0].path) in answer.prompt.render().splitlines()[1]


def test_models_are_not_pickled_and_the_error_says_what_to_do(few: FewShot) -> None:
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"FewShot cannot be pickled.*in each process"):
            attempt(few)
