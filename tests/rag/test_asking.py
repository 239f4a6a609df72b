"""Questions to a model with exemplars beside it: who answers, and when nobody does."""

from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import PromptError
from earful.index.builder import build_index
from earful.model import Prompt, ScriptedLanguageModel, load_language_model
from earful.model.scripted import CAPABILITIES
from earful.rag import FewShot
from tests.support.labelled_tones import write_sound

SMALL = replace(CAPABILITIES, name="small", writes_captions=False)


def ears(prompt: Prompt, answer: str) -> float:
    """Say no of silence and of a question for it, yes of anything else."""
    is_heard = isinstance(prompt.clips[-1].audio, Path) and "silence" not in prompt.render()
    return -0.1 if (answer == "yes") == is_heard else -3.0


@pytest.fixture(scope="module")
def small(index: Path) -> FewShot:
    return FewShot.open(index, model=ScriptedLanguageModel(replies=["a lie"], capabilities=SMALL))


def test_exemplars_answer_a_question_about_a_label(small: FewShot, queries: Path) -> None:
    path = queries / "low/100.wav"
    told: list[str] = []
    answer = small.ask(path, "Do you hear a low sound?", on_text=told.append)
    assert (answer.text, told) == ("yes", ["yes"])
    assert answer.model == "neighbour-vote"
    assert [score.label for score in answer.scores] == ["yes", "no"]
    assert answer.confidence == answer.scores[0].score > 0.9
    assert not answer.abstained
    assert answer.vote[0].label == "low"
    assert any("their vote gives 'low'" in note for note in answer.notes)
    assert answer.evidence[0].exemplar.labels == ("low",)
    other = small.ask(path, "Is this high?")
    assert (other.text, other.abstained) == ("no", False)
    assert other.scores[0].label == "no"
    assert isinstance(small.model, ScriptedLanguageModel)
    assert not small.model.prompts


def test_what_is_like_no_exemplar_is_not_known(small: FewShot, queries: Path) -> None:
    answer = small.ask(queries / "hiss/100.wav", "Is this high?")
    assert answer.abstained
    assert answer.summary().startswith("not sure; best guess:")
    assert any(note.startswith("not sure: ") for note in answer.notes)


def test_another_question_for_yes_or_no_is_scored(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(replies=["a hum"], log_probability=ears)
    few = FewShot.open(index, model=model)
    answer = few.ask(query, "Is it coming closer?", shots=2)
    assert (answer.text, answer.abstained, answer.model) == ("yes", False, "scripted")
    assert {score.label for score in answer.scores} == {"yes", "no"}
    assert answer.confidence == answer.scores[0].score == pytest.approx(0.948, abs=1e-3)
    assert len(answer.evidence) == 2
    assert len(model.prompts) == 3  # of the recording, of silence, and a question for silence
    assert answer.to_dict()["scores"]
    # Without shots, or without an index, no label is known.
    assert few.ask(query, "Is this low?", shots=0).model == "scripted"
    assert FewShot(model=model).ask(query, "Is this low?").text == "yes"


def test_a_model_that_says_the_same_of_silence_is_not_believed(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(log_probability=lambda _, answer: -float(len(answer)))
    answer = FewShot.open(index, model=model).ask(query, "Is it near?")
    assert (answer.text, answer.abstained) == ("no", True)
    assert "not sure" in answer.summary()
    assert any("of silence nearly as much" in note for note in answer.notes)


def test_a_small_model_says_yes_or_no_with_doubt(small: FewShot, queries: Path) -> None:
    answer = small.ask(queries / "low/100.wav", "Is it near?")
    assert answer.abstained
    assert any("small is too small a model" in note for note in answer.notes)


def test_other_forms_of_a_label_are_answered_by_exemplars(small: FewShot, queries: Path) -> None:
    path = queries / "low/100.wav"
    for question in ("Is the machine low?", "Is the pump running low?", "Is there a low call?"):
        answer = small.ask(path, question)
        assert (answer.text, answer.abstained, answer.model) == ("yes", False, "neighbour-vote")


def test_a_negated_question_is_doubted(small: FewShot, queries: Path) -> None:
    answer = small.ask(queries / "low/100.wav", "Is it not low?")
    assert (answer.text, answer.abstained, answer.model) == ("no", True, "neighbour-vote")
    assert any("negated" in note for note in answer.notes)
    other = small.ask(queries / "low/100.wav", "Is it not near?")
    assert other.abstained


def test_a_choice_between_labels_is_the_votes(small: FewShot, queries: Path) -> None:
    told: list[str] = []
    answer = small.ask(queries / "low/100.wav", "Is it high or low?", on_text=told.append)
    assert (answer.text, told, answer.abstained) == ("low", ["low"], False)
    assert [score.label for score in answer.scores] == ["low", "high"]
    assert answer.confidence == answer.scores[0].score > 0.9
    assert any("their vote gives 'low'" in note for note in answer.notes)
    unlike = small.ask(queries / "hiss/100.wav", "Is it high or low?")
    assert unlike.abstained
    assert any("not sure: " in note for note in unlike.notes)


def test_free_text_is_written_whatever_is_asked(index: Path, query: Path) -> None:
    model = ScriptedLanguageModel(replies=["it may be"], capabilities=SMALL)
    few = FewShot.open(index, model=model)
    assert few.ask(query, "Is this low?", free_text=True).text == "it may be"
    assert few.caption(query, free_text=True).text == "it may be"
    mute = ScriptedLanguageModel(
        replies=["maybe"], capabilities=replace(CAPABILITIES, scoring="text")
    )
    assert FewShot.open(index, model=mute).ask(query, "Is it near?").text == "maybe"


def test_a_small_model_describes_by_exemplars(small: FewShot, queries: Path) -> None:
    path = queries / "low/100.wav"
    answer = small.caption(path)
    assert answer.text == "a recording of a low"
    assert (answer.model, answer.abstained, answer.scores) == ("neighbour-vote", False, ())
    assert answer.confidence == answer.vote[0].score
    assert len(answer.evidence) == 7
    assert small.ask(path, "Describe this sound.").text == answer.text
    assert small.ask(path, "What is this sound?").text == "a low"
    assert list(answer.timings) == ["decode_s", "embed_s", "retrieve_s", "score_s"]


def test_a_small_model_declines_rather_than_makes_up(small: FewShot, queries: Path) -> None:
    hiss = small.caption(queries / "hiss/100.wav")
    assert hiss.declined
    assert hiss.abstained
    assert hiss.text.startswith("I cannot describe this: ")
    assert "the nearest is" in hiss.text
    assert hiss.summary() == hiss.text
    assert any("small writes no sentence of its own" in note for note in hiss.notes)
    low = queries / "low/100.wav"
    for answer in (
        small.caption(low, shots=0),
        FewShot(model=small.model).caption(low),
        FewShot(model=small.model).ask(low, "What is it?"),
        FewShot(model=small.model).ask(low, "Why?"),
        small.ask(low, "Who sang it?"),
    ):
        assert answer.declined
        assert "a lie" not in answer.text
        assert answer.confidence == 0.0
    with pytest.raises(PromptError, match="has no question"):
        small.ask(low, "")


def test_a_query_never_describes_itself(corpus: Path, small: FewShot) -> None:
    answer = small.caption(corpus / "low/0.wav", group="low-0")
    assert answer.evidence
    assert all(hit.exemplar.group != "low-0" for hit in answer.evidence)


def test_captions_of_exemplars_are_taken(tmp_path: Path, queries: Path) -> None:
    rows = ["file_name,label,answer"]
    for label in ("low", "high"):
        for take in range(9):
            write_sound(tmp_path / f"c/{label}{take}.wav", label, take)
            rows.append(f"{label}{take}.wav,{label},a {label} tone in take {take}")
    (tmp_path / "c/metadata.csv").write_text("\n".join(rows) + "\n")
    build_index(tmp_path / "c", tmp_path / "s.index", embedder="logmel")
    few = FewShot.open(tmp_path / "s.index", model=ScriptedLanguageModel(capabilities=SMALL))
    answer = few.caption(queries / "low/100.wav")
    assert answer.text == answer.evidence[0].exemplar.answer
    assert answer.text.startswith("a low tone in take ")
    # The same without labels: the captions have to be alike, and the recording like theirs.
    rows = [line.replace(",low,", ",,").replace(",high,", ",,") for line in rows]
    (tmp_path / "c/metadata.csv").write_text("\n".join(rows) + "\n")
    build_index(tmp_path / "c", tmp_path / "t.index", embedder="logmel")
    few = FewShot.open(tmp_path / "t.index", model=ScriptedLanguageModel(capabilities=SMALL))
    assert few.ask(queries / "low/100.wav", "What is this?").declined
    assert few.caption(queries / "hiss/100.wav").declined
    assert few.caption(queries / "low/100.wav").text.startswith("a low tone in take ")


def test_which_models_write(index: Path) -> None:
    assert not load_language_model("earful-small", device="cpu").capabilities.writes_captions
    assert CAPABILITIES.writes_captions
