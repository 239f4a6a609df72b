import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import PromptError
from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.model import ClipRef, Generation, GenerationOptions, Prompt, ScriptedLanguageModel, Text
from earful.model.audio import Clip
from earful.model.scripted import CAPABILITIES
from earful.rag.generation import Chat, read_turns
from earful.rag.retrieval import Exclusions, Query

CLIP = Clip(samples=np.zeros(8, np.float32), sample_rate=8000, source="street.wav")
QUERY = Query(
    name="street.wav", vector=None, reference=ClipRef(audio=CLIP), exclusions=Exclusions()
)


def hit(name: str) -> Hit:
    return Hit(
        exemplar=Exemplar(id=name, audio=PurePosixPath(f"{name}.wav"), answer=name),
        similarity=0.5,
        rank=0,
        path=Path(f"/s/{name}.wav"),
        content_sha256=name,
    )


def words(prompt: Prompt) -> list[tuple[str, str]]:
    return [(part.kind, part.text) for part in prompt.parts if isinstance(part, Text)]


def test_each_turn_sees_the_ones_before() -> None:
    model = ScriptedLanguageModel(replies=["A train.", "No."])
    talk = Chat(model=model, query=QUERY)
    assert talk.ask("What do you hear?").text == "A train."
    assert talk.ask("Is it fast?").text == "No."
    assert words(model.prompts[1]) == [
        ("system", "The task is dialog."),
        ("user", "What do you hear?"),
        ("assistant", "A train."),
        ("user", "Is it fast?"),
    ]
    assert model.prompts[1].is_dialogue
    assert model.prompts[1].n_clips == 1
    assert [turn.assistant for turn in talk.turns] == ["A train.", "No."]


@given(st.integers(5, 9))
def test_a_dialogue_goes_on_beyond_four_rounds(n_rounds: int) -> None:
    model = ScriptedLanguageModel(replies=[f"answer {n}" for n in range(n_rounds)])
    talk = Chat(model=model, query=QUERY)
    for n in range(n_rounds):
        assert talk.ask(f"question {n}").notes == ()
    asked = [text for kind, text in words(model.prompts[-1]) if kind == "user"]
    assert asked == [f"question {n}" for n in range(n_rounds)]


def test_shots_go_first_then_the_oldest_rounds() -> None:
    tight = replace(CAPABILITIES, max_text_tokens=16)
    model = ScriptedLanguageModel(replies=["one two three"], capabilities=tight)
    talk = Chat(model=model, query=QUERY, hits=(hit("near"), hit("far")))
    # Opening 8 words with shots, 4 without; a shot 9; a round 4; a question 1.
    first = talk.ask("why")
    assert first.evidence == ()
    assert first.notes == ("0 of 2 shots are shown, the nearest; scripted takes 16 tokens",)
    for _ in range(2):
        talk.ask("why")
    last = talk.ask("why")
    assert "the first 1 of 3 rounds were left out; scripted takes 16 tokens" in last.notes
    assert len(talk.turns) == 4
    with pytest.raises(PromptError, match="without any shot"):
        talk.ask("why " * 20)
    assert len(talk.turns) == 4


def test_shots_stand_before_the_recording() -> None:
    model = ScriptedLanguageModel(replies=["yes"])
    Chat(model=model, query=QUERY, hits=(hit("near"), hit("far"))).ask("Is it near?")
    assert words(model.prompts[0])[0] == (
        "system",
        "Here are similar examples. The task is dialog.",
    )
    answers = [text for kind, text in words(model.prompts[0]) if kind == "exemplar"]
    assert answers[1::2] == ["far", "near"]
    assert model.prompts[0].clips[-1] is QUERY.reference


class Recording(ScriptedLanguageModel):
    """Remembers how it was to write."""

    def generate(
        self, prompt: Prompt, options: GenerationOptions = GenerationOptions(), **_: object
    ) -> Generation:
        self.options = options
        return super().generate(prompt, options)


def test_again_draws_another_answer_in_place_of_the_last() -> None:
    model = Recording(replies=["first", "second", "third"])
    options = GenerationOptions(max_new_tokens=9, seed=5, stop=("!",), stop_repetition=False)
    talk = Chat(model=model, query=QUERY, options=options)
    with pytest.raises(PromptError, match="nothing has been asked"):
        talk.again()
    talk.ask("why?")
    assert model.options.temperature == 0.0
    talk.again()
    assert (model.options.temperature, model.options.seed) == (1.0, 6)
    assert model.options.max_new_tokens == 9
    assert (model.options.stop, model.options.stop_repetition) == (("!",), False)
    talk.again()
    assert model.options.seed == 7
    assert [(turn.user, turn.assistant) for turn in talk.turns] == [("why?", "third")]
    assert len(words(model.prompts[-1])) == 2


def test_an_answer_that_repeats_itself_is_cut_and_says_so() -> None:
    looping = "a drum " * 9
    told: list[str] = []
    talk = Chat(model=ScriptedLanguageModel(replies=[looping]), query=QUERY)
    answer = talk.ask("What?", on_text=told.append)
    assert (answer.text, told) == ("a drum", ["a drum"])
    assert any("repeat itself" in note for note in answer.notes)
    assert talk.turns[-1].assistant == "a drum"
    options = GenerationOptions(stop_repetition=False)
    kept = Chat(model=ScriptedLanguageModel(replies=[looping]), query=QUERY, options=options)
    assert kept.ask("What?").text == looping.strip()


def test_a_conversation_is_saved_once(tmp_path: Path) -> None:
    talk = Chat(model=ScriptedLanguageModel(replies=["déjà vu"]), query=QUERY)
    talk.ask("why?")
    path = tmp_path / "talk.json"
    talk.save(path)
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["turns"][0]["assistant"] == "déjà vu"
    assert saved["turns"][0]["answer"]["model"] == "scripted"
    with pytest.raises(PromptError, match="exists and is not overwritten"):
        talk.save(path)
    with pytest.raises(PromptError, match="cannot be written"):
        talk.save(tmp_path / "none" / "talk.json")


def test_what_cannot_be_asked_is_refused() -> None:
    single = replace(CAPABILITIES, multi_turn=False)
    with pytest.raises(PromptError, match="one question at a time"):
        Chat(model=ScriptedLanguageModel(capabilities=single), query=QUERY)
    small = ScriptedLanguageModel(capabilities=replace(CAPABILITIES, writes_captions=False))
    with pytest.raises(PromptError, match="too small to write an answer of its own"):
        Chat(model=small, query=QUERY)
    assert Chat(model=small, query=QUERY, free_text=True).turns == ()
    talk = Chat(model=ScriptedLanguageModel(), query=QUERY)
    with pytest.raises(PromptError, match="question is empty"):
        talk.ask("  ")


def test_questions_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "turns.txt"
    path.write_text("# about the street\nWhat is it?\n\n  Is it near? \n")
    assert read_turns(path) == ("What is it?", "Is it near?")
    path.write_text("\n# nothing\n")
    with pytest.raises(PromptError, match="holds no question"):
        read_turns(path)
    with pytest.raises(PromptError, match=r"none\.txt: no such file"):
        read_turns(tmp_path / "none.txt")
    with pytest.raises(PromptError, match=r"cannot be read \(Is a directory\)"):
        read_turns(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PromptError, match="cannot be read as UTF-8"):
        read_turns(path)
