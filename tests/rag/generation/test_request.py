"""Requests to a language model: the prompts and label scores that they lead to."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earful.errors import PromptError
from earful.model import ClipRef, Prompt, PromptWording, ScriptedLanguageModel
from earful.model.audio import Clip
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from earful.rag.retrieval import LabelScoring
from earful.rag.task import Label, Shots, Task
from tests.support.labelled_tones import prefers, texts


def test_labels_are_listed_for_a_model_that_wants_them(index: Path, query: Path) -> None:
    questions = []
    for lists_labels in (True, False):
        capabilities = replace(CAPABILITIES, lists_labels=lists_labels)
        model = ScriptedLanguageModel(
            log_probability=prefers("high"), capabilities=capabilities, replies=["a hum"]
        )
        few = FewShot.open(index, model=model)
        # Either way it chooses from the labels, and the shots that fit are those of the prompt
        # it gets.
        answer = few.classify(query, shots=3, arm="model")
        assert answer.text == "high"
        assert answer.prompt == model.prompts[0]
        assert few.ask(query, "What is it?", shots=1).text == "a hum"
        questions.append([texts(prompt, "user")[0] for prompt in model.prompts])
    asked = "Classify this sound."
    assert questions[0][0] == f"{asked}\nOPTIONS:\n - high.\n - low.\n - middle."
    assert questions[1][0] == asked
    assert questions[0][1] == questions[1][1] == "Please answer this question: What is it?"


def test_a_models_own_wording_stands_in_its_prompts(index: Path, query: Path) -> None:
    wording = PromptWording(
        classify_opening="Name the sound.",
        similar_examples="Neighbours first. ",
        classify_question="Which is it?",
        options_header="\nOne of",
        option=" {label}!",
        question_prefix="Q: ",
        presence_question="any {label}?",
        yes_no_options=" (yes or no)",
    )
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, wording=wording))
    few = FewShot.open(index, model=model)
    few.classify(query, shots=1, arm="model")
    (prompt,) = model.prompts
    assert texts(prompt, "system") == ["Neighbours first. Name the sound."]
    assert texts(prompt, "exemplar") == ["Which is it?"]
    assert texts(prompt, "user") == ["Which is it?\nOne of high! low! middle!"]
    few.ask(query, "What is near?", shots=0)
    assert texts(model.prompts[1], "user") == ["Q: What is near?"]
    task = Task(name="t", kind="multilabel", labels={"low": Label(), "high": Label()})
    few.classify(query, task=task, shots=0, arm="model")
    questions = [texts(prompt, "user") for prompt in model.prompts[2:]]
    assert questions == [["Q: any low? (yes or no)"], ["Q: any high? (yes or no)"]]
    # Without a model the words are plain ones.
    plain = FewShot.open(index).prompt_for(query, shots=1)
    assert texts(plain, "system") == [
        "Here are similar examples. The task is event classification."
    ]


def test_labels_that_are_not_listed_leave_room_for_shots(index: Path, query: Path) -> None:
    # Opening 9 words, question 3, a shot 4: the six words of the options are a shot and more.
    for lists_labels, shown in ((True, 3), (False, 5)):
        capabilities = replace(CAPABILITIES, lists_labels=lists_labels, max_text_tokens=32)
        model = ScriptedLanguageModel(capabilities=capabilities)
        answer = FewShot.open(index, model=model).classify(query, shots=6)
        assert len(answer.evidence) == shown


def test_the_prior_is_what_silence_gets(index: Path, query: Path) -> None:
    def biased(prompt: Prompt, answer: str) -> float:
        last = prompt.clips[-1].audio
        is_silent = isinstance(last, Clip) and not last.samples.any()
        # It prefers "high" in any case, and of a recording "low" somewhat more than of silence.
        return 0.0 if answer == "high" else -2.0 if answer == "low" and not is_silent else -3.0

    few = FewShot.open(index, model=ScriptedLanguageModel(log_probability=biased))
    assert few.classify(query, shots=2, arm="model").text == "high"
    corrected = few.classify(query, shots=2, arm="model", scoring=LabelScoring(prior=True))
    assert corrected.text == "low"
    assert corrected.confidence == pytest.approx(np.e / (np.e + 2))


@pytest.mark.parametrize(
    ("limit", "shown", "why"),
    [
        ({"max_audios": 3}, 2, "3 recordings"),
        # Opening 9 words, question and options 10, a shot 4.
        ({"max_text_tokens": 31}, 3, "31 tokens"),
    ],
)
def test_whole_shots_are_dropped_farthest_first_with_a_note(
    index: Path, query: Path, limit: dict[str, int], shown: int, why: str
) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, **limit))  # type: ignore[arg-type]
    few = FewShot.open(index, model=model)
    all_hits = FewShot.open(index).classify(query, shots=6).evidence
    answer = few.classify(query, shots=6)
    assert answer.evidence == all_hits[:shown]
    assert answer.notes == (f"{shown} of 6 shots are shown, the nearest; scripted takes {why}",)
    assert answer.prompt is not None
    assert answer.prompt.n_clips == shown + 1


def test_a_question_too_long_by_itself_is_refused(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_text_tokens=20))
    few = FewShot.open(index, model=model)
    with pytest.raises(PromptError, match=r"takes \d+ tokens without any shot; scripted takes 20"):
        few.ask(query, "why " * 30, shots=2)


def test_text_shots_take_no_place_for_audio(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_audios=1))
    answer = FewShot.open(index, model=model).classify(query, shots=4, shot_mode="text")
    assert len(answer.evidence) == 4
    assert answer.slots == 1
    assert texts(model.prompts[0], "exemplar", answers=True) == ["low"] * 4


def test_several_labels_are_asked_one_by_one(index: Path, query: Path) -> None:
    def hears(prompt: Prompt, answer: str) -> float:
        asked = texts(prompt, "user")[0]
        return math.log(0.9 if ("low" in asked) == (answer == "yes") else 0.1)

    task = Task(
        name="bands", kind="multilabel", labels={"low": Label(wording="low tone"), "high": Label()}
    )
    model = ScriptedLanguageModel(log_probability=hears)
    answer = FewShot.open(index, model=model).classify(query, task=task, shots=2, arm="model")
    assert answer.text == "low"
    assert {s.label: round(s.score, 6) for s in answer.scores} == {"low": 0.9, "high": 0.1}
    assert texts(model.prompts[0], "user") == [
        "Please answer this question: is there low tone in this sound?\nOPTIONS:\nyes.\nno."
    ]
    assert texts(model.prompts[0], "exemplar", answers=True) == ["yes", "yes"]
    assert texts(model.prompts[1], "exemplar", answers=True) == ["no", "no"]


def test_random_shots_are_announced_as_such(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel()
    task = Task(name="t", shots=Shots(strategy="random", k=2))
    FewShot.open(index, model=model).classify(query, task=task)
    assert texts(model.prompts[0], "system")[0].startswith("Here are random examples. ")


def test_the_prompt_can_be_had_without_an_answer(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, max_audios=2))
    few = FewShot.open(index, model=model)
    prompt = few.prompt_for(query, shots=3)
    assert prompt.n_clips == 2
    assert not model.prompts
    text_only = few.prompt_for(query, shots=3, shot_mode="text")
    assert [isinstance(part, ClipRef) for part in text_only.parts].count(True) == 1
