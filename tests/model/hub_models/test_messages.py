"""What is rendered: parts as messages, and the templates that are shipped."""

import itertools
import os
from pathlib import Path

import pytest

from earful.errors import PromptError
from earful.model import ClipRef, Place, Prompt, Prototype, Text
from earful.model.hub_models import HubLanguageModel
from earful.model.hub_models.language_model import without_thoughts
from earful.model.hub_models.messages import to_messages
from tests.model.hub_models.conftest import ask, noise

GOLDEN = Path(__file__).parents[2] / "golden"
QUERY = ClipRef(audio=Path("query.wav"))


def plain(prompt: Prompt, *, system_text: bool = True) -> list[tuple[str, list[str]]]:
    return [
        (
            message["role"],
            [
                part["text"] if part["type"] == "text" else f"<{part['audio']}>"
                for part in message["content"]
            ],
        )
        for message in to_messages(prompt, name="m", system_text=system_text)
    ]


def shot(n: int) -> list[Text | Place]:
    return [
        ClipRef(audio=Path(f"{n}.wav")),
        Text(kind="exemplar", text=f"q{n}"),
        Text(kind="exemplar", text=f"a{n}", is_answer=True),
    ]


def test_a_shot_is_a_turn_with_its_recording_first() -> None:
    user = Text(kind="user", text="which?")
    prompt = Prompt(parts=(Text(kind="system", text="S"), *shot(1), *shot(2), QUERY, user))
    assert plain(prompt) == [
        ("system", ["S"]),
        ("user", ["<1.wav>", "q1"]),
        ("assistant", ["a1"]),
        ("user", ["<2.wav>", "q2"]),
        ("assistant", ["a2"]),
        ("user", ["<query.wav>", "which?"]),
    ]


def test_without_a_role_of_the_system_its_words_open_the_first_turn() -> None:
    user = Text(kind="user", text="which?")
    prompt = Prompt(parts=(Text(kind="system", text="S"), *shot(1), QUERY, user))
    assert plain(prompt, system_text=False)[0] == ("user", ["<1.wav>", "S\nq1"])
    assert plain(prompt, system_text=False)[2] == ("user", ["<query.wav>", "which?"])


def test_an_exemplar_in_words_is_a_line_of_the_turn_that_asks() -> None:
    parts = [
        part
        for n in (1, 2)
        for part in (
            Text(kind="exemplar", text=f"Recording {n}, similarity 0.9{n}"),
            Text(kind="exemplar", text=f"a{n}", is_answer=True),
        )
    ]
    prompt = Prompt(parts=(*parts, QUERY, Text(kind="user", text="which?")))
    lines = "Recording 1, similarity 0.91: a1\nRecording 2, similarity 0.92: a2\nwhich?"
    assert plain(prompt) == [("user", ["<query.wav>", lines])]


def test_a_dialogue_keeps_its_turns() -> None:
    prompt = Prompt(
        parts=(
            QUERY,
            Text(kind="user", text="what?"),
            Text(kind="assistant", text="a dog"),
            Text(kind="user", text="where?"),
        ),
        is_dialogue=True,
    )
    assert plain(prompt) == [
        ("user", ["<query.wav>", "what?"]),
        ("assistant", ["a dog"]),
        ("user", ["where?"]),
    ]


def test_refuses_what_no_chat_model_takes() -> None:
    user = Text(kind="user", text="which?")
    with pytest.raises(PromptError, match="without a recording"):
        to_messages(Prompt(parts=(user,)), name="m")
    label = Prototype(label="dog", clips=(), similarity=0.5)
    with pytest.raises(PromptError, match=r"label 'dog'.*expected recordings"):
        to_messages(Prompt(parts=(label, QUERY, user)), name="m")
    with pytest.raises(PromptError, match="two recordings"):
        to_messages(Prompt(parts=(QUERY, QUERY, user)), name="m")


@pytest.mark.parametrize("model_type", ["audioflamingo3", "qwen2_audio"])
def test_renders_with_the_shipped_template(model_type: str, request: pytest.FixtureRequest) -> None:
    if model_type != "audioflamingo3":
        request.applymarker(pytest.mark.slow)
    model: HubLanguageModel = request.getfixturevalue("model_of")(model_type)
    golden = GOLDEN / f"hub_{model_type}.txt"
    found = "\n".join(f"--- {n} shots\n{rendered(model, n)}" for n in (0, 1, 3))
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def rendered(model: HubLanguageModel, n_shots: int) -> str:
    """Return what a model reads, with each recording's tokens as one."""
    clips = [noise(1.0, seed) for seed in range(n_shots + 1)]
    prompt = ask(*clips, question="what\nis <sound>?", answer="<|im_end|>")
    counts = [model.renderer.count(clip.samples.size) for clip in clips]
    ids = model.renderer.render(prompt, counts).inputs["input_ids"][0].tolist()
    tokenizer = model.renderer.tokenizer
    runs: list[str] = []
    for id_, run in itertools.groupby(ids):
        n = len(list(run))
        text = tokenizer.decode([id_]) if id_ in tokenizer.added_tokens_decoder else ""
        runs.append(f"[{text} x {n}]" if text else tokenizer.decode([id_] * n))
    assert sum(f" x {counts[0]}]" in run for run in runs) == len(clips)
    return "".join(runs)


def test_thoughts_are_left_out() -> None:
    assert without_thoughts("<think>a cat? no</think>\n\na dog") == "\n\na dog"
    assert without_thoughts("a dog") == "a dog"
