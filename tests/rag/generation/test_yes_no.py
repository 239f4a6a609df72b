"""Yes or no: who is believed, and when nobody is."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model import ClipRef, Prompt, ScriptedLanguageModel
from earful.model.scripted import CAPABILITIES
from earful.rag.answer import LabelScore
from earful.rag.generation import ModelRequest, judge_choice, judge_label, score_yes_no
from earful.rag.generation.yes_no import LEAST_CHANGE, judge_catch, judge_log_odds
from earful.rag.task import Task
from tests.support.labelled_tones import texts

ODDS = st.floats(-50, 50)


def scores(**by_label: float) -> tuple[LabelScore, ...]:
    ranked = sorted(by_label.items(), key=lambda item: -item[1])
    return tuple(LabelScore(label=label, score=score) for label, score in ranked)


@pytest.mark.parametrize(
    ("heard", "unheard", "text", "doubt"),
    [
        (2.0, 0.0, "yes", ""),
        (-2.0, 0.0, "no", ""),
        (-2.0, 5.0, "no", ""),
        (0.3, -5.0, "yes", "about as likely"),
        (2.0, 1.9, "yes", "of silence"),
        (2.0, 5.0, "yes", "of silence"),
        (-2.0, -2.0, "no", "of silence"),
        (0.0, 0.0, "yes", "about as likely"),
        (1e6, 0.0, "yes", ""),
    ],
)
def test_a_preference_counts_as_far_as_it_comes_from_hearing(
    heard: float, unheard: float, text: str, doubt: str
) -> None:
    found = judge_log_odds(heard, unheard)
    assert found.text == text
    assert doubt in found.doubt
    assert bool(doubt) == bool(found.doubt)


@given(heard=ODDS, unheard=ODDS)
def test_yes_and_no_are_treated_alike(heard: float, unheard: float) -> None:
    one, other = judge_log_odds(heard, unheard), judge_log_odds(-heard, -unheard)
    assert one.confidence == pytest.approx(other.confidence)
    assert bool(one.doubt) == bool(other.doubt)
    assert sum(score.score for score in one.scores) == pytest.approx(1.0)
    assert one.scores[0].label == one.text
    assert one.confidence == one.scores[0].score >= 0.5
    if not one.doubt:
        assert abs(heard - unheard) >= LEAST_CHANGE
        assert one.confidence >= 0.6


@pytest.mark.parametrize(
    ("heard", "caught", "text", "doubt"),
    [
        (2.0, -1.0, "yes", ""),
        (2.0, 2.0 - LEAST_CHANGE - 0.01, "yes", ""),
        (2.0, 1.9, "yes", "whatever is asked"),
        (2.0, 3.0, "yes", "whatever is asked"),
        (-2.0, 1.0, "no", ""),
        (-2.0, -2.1, "no", "whatever is asked"),
    ],
)
def test_an_answer_to_everything_is_no_answer(
    heard: float, caught: float, text: str, doubt: str
) -> None:
    found = judge_catch(judge_log_odds(heard, 0.0), heard, caught)
    assert found.text == text
    assert doubt in found.doubt
    assert bool(doubt) == bool(found.doubt)


@pytest.mark.parametrize("always", ["yes", "no"])
def test_a_model_that_says_the_same_of_every_recording_is_not_believed(always: str) -> None:
    def log_probability(prompt: Prompt, answer: str) -> float:
        is_heard = isinstance(prompt.clips[-1].audio, Path)
        return math.log(0.93 if (answer == always) == is_heard else 0.07)

    model = ScriptedLanguageModel(log_probability=log_probability)
    found, _ = score_yes_no(model, asked("Is it near?"))
    assert found.text == always
    assert found.confidence == pytest.approx(0.93)
    assert "whatever is asked" in found.doubt


def test_a_small_model_is_never_believed() -> None:
    small = replace(CAPABILITIES, name="tiny-lm", writes_captions=False)
    model = ScriptedLanguageModel(log_probability=hears_what_is_asked, capabilities=small)
    found, _ = score_yes_no(model, asked("Is it near?"))
    assert found.text == "yes"
    assert "tiny-lm is too small" in found.doubt
    assert len(model.prompts) == 1


def asked(question: str) -> ModelRequest:
    """A question about a recording, without exemplars."""
    return ModelRequest(
        task=Task(name="t", kind="ask"),
        hits=(),
        query=ClipRef(audio=Path("q.wav")),
        question=question,
    )


def hears_what_is_asked(prompt: Prompt, answer: str) -> float:
    """Say yes of the recording, no of silence and of a question for silence."""
    is_heard = (
        isinstance(prompt.clips[-1].audio, Path) and "silence" not in texts(prompt, "user")[0]
    )
    return math.log(0.9 if (answer == "yes") == is_heard else 0.1)


def test_the_model_is_asked_about_the_recording_and_about_silence() -> None:

    request = asked("Is it near?")
    model = ScriptedLanguageModel(log_probability=hears_what_is_asked)
    found, fitted = score_yes_no(model, request)
    assert (found.text, found.doubt) == ("yes", "")
    assert found.confidence == pytest.approx(0.9)
    heard, silent, caught = model.prompts
    assert "Is this complete silence?" in texts(caught, "user")[0]
    assert caught.clips == heard.clips
    assert fitted.prompt is heard
    assert heard.clips[-1].audio == Path("q.wav")
    assert "silence" in str(silent.clips[-1])
    assert texts(heard, "user") == texts(silent, "user")
    options = CAPABILITIES.wording.yes_no_options
    assert texts(heard, "user") == [f"Please answer this question: Is it near?{options}"]
    # Options that the question has already, or that a model does not read, are not added.
    score_yes_no(model, replace(request, question=f"Near?{options}"))
    assert texts(model.prompts[-1], "user")[0].count("OPTIONS") == 1
    brief = replace(CAPABILITIES, lists_labels=False)
    score_yes_no(ScriptedLanguageModel(capabilities=brief), request)
    model = ScriptedLanguageModel(capabilities=brief)
    score_yes_no(model, request)
    assert "OPTIONS" not in texts(model.prompts[0], "user")[0]


@pytest.mark.parametrize(
    ("ranked", "text", "doubt"),
    [
        (scores(dog=0.8, cat=0.1, bell=0.1), "yes", ""),
        (scores(dog=0.1, cat=0.8, bell=0.1), "no", ""),
        (scores(dog=0.51, cat=0.49), "yes", "disagree"),
        (scores(dog=0.4, cat=0.1, bell=0.1), "yes", "disagree"),
        (scores(dog=0.05, cat=0.3, bell=0.2), "no", "disagree"),
        (scores(dog=1.0), "yes", ""),
    ],
)
def test_a_label_is_held_against_the_best_of_the_others(
    ranked: tuple[LabelScore, ...], text: str, doubt: str
) -> None:
    found = judge_label("dog", ranked, exclusive=True, likeness=0.9)
    assert found.text == text
    assert doubt in found.doubt
    assert bool(doubt) == bool(found.doubt)
    # What is like nothing is not known.
    assert "like this" in judge_label("dog", ranked, exclusive=True, likeness=0.4).doubt


def test_of_several_labels_each_is_decided_for_itself() -> None:
    ranked = scores(rain=0.9, wind=0.7, dog=0.1)
    found = judge_label("wind", ranked, exclusive=False, likeness=1.0)
    assert (found.text, found.yes, found.doubt) == ("yes", 0.7, "")
    assert judge_label("dog", ranked, exclusive=False, likeness=1.0).text == "no"


@pytest.mark.parametrize(
    ("ranked", "text", "share", "doubt"),
    [
        (scores(dog=0.8, cat=0.1, bell=0.1), "dog", 8 / 9, ""),
        (scores(dog=0.1, cat=0.8, bell=0.1), "cat", 8 / 9, ""),
        (scores(dog=0.45, cat=0.44, bell=0.11), "dog", 45 / 89, "cannot be told apart"),
        (scores(dog=0.1, cat=0.02, bell=0.88), "dog", 10 / 12, "none of these but for 'bell'"),
        (scores(dog=0.34, cat=0.15, bell=0.33, hum=0.18), "dog", 34 / 49, "none of these"),
    ],
)
def test_a_choice_is_among_the_labels_asked_about(
    ranked: tuple[LabelScore, ...], text: str, share: float, doubt: str
) -> None:
    found, why = judge_choice(("cat", "dog"), ranked, exclusive=True, likeness=0.9)
    assert found[0].label == text
    assert found[0].score == pytest.approx(share)
    assert sum(score.score for score in found) == pytest.approx(1.0)
    assert doubt in why
    assert bool(doubt) == bool(why)
    unlike = judge_choice(("cat", "dog"), ranked, exclusive=True, likeness=0.4)[1]
    assert "like this" in unlike


def test_a_choice_among_labels_of_which_several_may_be_right() -> None:
    ranked = scores(rain=0.9, wind=0.3, dog=0.1)
    assert judge_choice(("wind", "rain"), ranked, exclusive=False, likeness=1.0) == (ranked[:2], "")
    assert "none" in judge_choice(("wind", "dog"), ranked, exclusive=False, likeness=1.0)[1]
