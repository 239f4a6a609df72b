from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import PromptError
from earful.model import ClipRef, Prompt, Text
from earful.model.flamingo import Control, render_continuation, render_prompt
from earful.model.flamingo.prompt_format import Style

CLIP = ClipRef(audio=Path("a.wav"))
SHOT_CLIP = ClipRef(audio=Path("b.wav"), is_exemplar=True)
OPTIONS = "\nOPTIONS:\n - cough.\n - yawn."
STYLES: tuple[Style, ...] = ("inference", "benchmark", "training")
ALL: tuple[Style, ...] = (*STYLES, "brief")


def system(text: str) -> Text:
    return Text(kind="system", text=text)


def user(text: str) -> Text:
    return Text(kind="user", text=text)


def said(text: str) -> Text:
    return Text(kind="assistant", text=text)


def shot(question: str, answer: str) -> tuple[Text, Text]:
    return (
        Text(kind="exemplar", text=question),
        Text(kind="exemplar", text=answer, is_answer=True),
    )


def question(*parts: Text | ClipRef) -> Prompt:
    return Prompt(parts=parts)


def dialogue(*parts: Text | ClipRef) -> Prompt:
    return Prompt(parts=parts, is_dialogue=True)


def written(prompt: Prompt, style: Style = "inference") -> str:
    return "".join(render_prompt(prompt, style=style))


# --- the release's forms ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        (
            "inference",
            "</s>the task is tagging. <audio>classify it.\noptions:\n - cough.\n - yawn."
            "\nanswer:<SEP>",
        ),
        (
            "benchmark",
            "</s>the task is tagging.<audio>classify it.\noptions:\n - cough.\n - yawn."
            "\nanswer:<SEP>",
        ),
        (
            "training",
            "</s>The task is tagging. <audio>Classify it.\nOPTIONS:\n - cough.\n - yawn."
            "\nAnswer:<SEP>",
        ),
    ],
)
def test_a_question_about_one_recording(style: Style, wanted: str) -> None:
    prompt = question(system(" The task is tagging. "), CLIP, user(f" Classify it.{OPTIONS}"))
    assert written(prompt, style) == wanted


@pytest.mark.parametrize("style", STYLES)
def test_a_question_with_shots_keeps_its_openings_capitals(style: Style) -> None:
    prompt = question(
        system("Here are similar examples. The task is tagging."),
        *(SHOT_CLIP, *shot("classify it.", " yawn ")),
        *(SHOT_CLIP, *shot("classify it.", "cough")),
        *(CLIP, user(f"classify it.{OPTIONS}")),
    )
    options, suffix = OPTIONS, "\nAnswer:"
    if style != "training":
        options, suffix = options.lower(), suffix.lower()
    assert written(prompt, style) == (
        "</s>Here are similar examples. The task is tagging. "
        f"<audio>classify it.{suffix}<SEP>yawn<|endofchunk|>"
        f"<audio>classify it.{suffix}<SEP>cough<|endofchunk|>"
        f"<audio>classify it.{options}{suffix}<SEP>"
    )


@pytest.mark.parametrize(
    ("style", "wanted"),
    [("inference", "</s> <audio>"), ("benchmark", "</s><audio>"), ("training", "</s><audio>")],
)
def test_a_prompt_needs_no_opening(style: Style, wanted: str) -> None:
    assert written(question(CLIP, user("what?")), style).startswith(f"{wanted}what?")
    with_shot = question(SHOT_CLIP, *shot("q", "a"), CLIP, user("q"))
    assert written(with_shot, style).startswith("</s><audio>q")


def test_a_benchmark_keeps_spaces_before_the_answer() -> None:
    prompt = question(CLIP, user("  Is it raining?  "))
    assert written(prompt, "benchmark") == "</s><audio>is it raining?  \nanswer:<SEP>"
    assert written(prompt, "inference") == "</s> <audio>is it raining?\nanswer:<SEP>"


@pytest.mark.parametrize("n_rounds", [1, 2, 5])
def test_a_dialogue_of_any_length_keeps_its_case(n_rounds: int) -> None:
    rounds = [(f"What {n}? ", f"It is {n}.") for n in range(n_rounds)]
    turns = [part for q, a in rounds for part in (user(q), said(a))]
    prompt = dialogue(system("The task is dialog."), CLIP, *turns[:-1])
    told = "".join(f"user: {q} \nassistant: <SEP>{a}<|endofchunk|></s>\n" for q, a in rounds[:-1])
    rest = f"{told}user: {rounds[-1][0]} \nassistant: <SEP>"
    assert written(prompt) == f"</s>the task is dialog.<audio>{rest}"
    assert written(prompt, "training") == f"</s>The task is dialog. <audio>{rest}"


@pytest.mark.parametrize(
    ("style", "is_dialogue", "wanted"),
    [
        ("inference", False, "a dog.<|endofchunk|>"),
        ("benchmark", False, "a dog.<|endofchunk|></s>"),
        ("training", False, "A Dog.<|endofchunk|></s>"),
        ("inference", True, " A Dog. <|endofchunk|>"),
        ("training", True, " A Dog. <|endofchunk|></s>\n"),
        ("brief", False, "a dog.<|endofchunk|>"),
        ("brief", True, "a dog.<|endofchunk|>"),
    ],
)
def test_an_answer_is_closed(style: Style, is_dialogue: bool, wanted: str) -> None:
    segments = render_continuation(" A Dog. ", style=style, is_dialogue=is_dialogue)
    assert "".join(segments) == wanted


# --- the brief style ---------------------------------------------------------------------


def test_a_brief_question_has_nothing_around_it() -> None:
    prompt = question(system(" The task is Tagging. "), CLIP, user(f" Classify It.{OPTIONS} "))
    assert written(prompt, "brief") == (
        "</s>the task is tagging. <audio>classify it.\noptions:\n - cough.\n - yawn.<SEP>"
    )
    assert written(question(CLIP, user("What?")), "brief") == "</s><audio>what?<SEP>"


def test_a_brief_prompt_says_the_shared_question_once_at_the_query() -> None:
    prompt = question(
        system("Here are similar examples. The task is Tagging."),
        *(SHOT_CLIP, *shot("Classify it.", " Yawn ")),
        *(SHOT_CLIP, *shot("Classify it.", "Cough")),
        *(CLIP, user("Classify it.")),
    )
    assert written(prompt, "brief") == (
        "</s>here are similar examples. the task is tagging. "
        "<audio><SEP>yawn<|endofchunk|>"
        "<audio><SEP>cough<|endofchunk|>"
        "<audio>classify it.<SEP>"
    )


def test_a_brief_shot_says_a_question_of_its_own() -> None:
    prompt = question(
        *(SHOT_CLIP, *shot("Is it a Dog?", "No")),
        *(SHOT_CLIP, *shot("Is it a Cat?", "Yes")),
        *(CLIP, user("Is it a Cat?")),
    )
    assert written(prompt, "brief") == (
        "</s><audio>is it a dog?<SEP>no<|endofchunk|>"
        "<audio><SEP>yes<|endofchunk|>"
        "<audio>is it a cat?<SEP>"
    )


def test_a_brief_prompt_lists_shots_without_audio() -> None:
    prompt = question(
        *(system("T."), SHOT_CLIP, *shot("Q", "A")), *shot("Q", "B."), *(CLIP, user("Q"))
    )
    assert written(prompt, "brief") == (
        "</s>t. audio similar to this audio sounds like: b. "
        "<audio><SEP>a<|endofchunk|><audio>q<SEP>"
    )


def test_a_brief_dialogue_has_no_speakers() -> None:
    prompt = dialogue(
        system("The task is Dialog."),
        *(SHOT_CLIP, *shot("What is it?", "A Dog")),
        *(CLIP, user("What do You hear?"), said("A Cat."), user("Is it Near?")),
    )
    assert written(prompt, "brief") == (
        "</s>the task is dialog. "
        "<audio>what is it?<SEP>a dog<|endofchunk|>"
        "<audio>what do you hear?<SEP>a cat.<|endofchunk|>is it near?<SEP>"
    )


# --- forms of our own -------------------------------------------------------------------


def test_shots_without_audio_are_listed_before_the_only_recording() -> None:
    prompt = question(
        system("Here are similar examples. The task is tagging."),
        *(*shot("Classify it.", "Yawn. "), *shot("classify it.", "cough")),
        *(CLIP, user(f"Classify it.{OPTIONS}")),
    )
    assert written(prompt) == (
        "</s>Here are similar examples. The task is tagging. "
        "audio similar to this audio sounds like: yawn. cough. "
        "<audio>classify it.\noptions:\n - cough.\n - yawn.\nanswer:<SEP>"
    )


def test_a_shot_without_audio_says_its_question_where_it_is_another() -> None:
    prompt = question(*shot("Is it a dog?", "no"), CLIP, user("Is it a cat?"))
    assert written(prompt) == (
        "</s>audio similar to this audio sounds like: is it a dog? no. "
        "<audio>is it a cat?\nanswer:<SEP>"
    )


def test_shots_with_and_without_audio_mix() -> None:
    prompt = question(
        system("T."), *(SHOT_CLIP, *shot("q", "a")), *shot("q", "b"), *(CLIP, user("q"))
    )
    assert written(prompt) == (
        "</s>T. audio similar to this audio sounds like: b. "
        "<audio>q\nanswer:<SEP>a<|endofchunk|><audio>q\nanswer:<SEP>"
    )


def test_shots_stand_before_a_dialogue_as_before_a_question() -> None:
    prompt = dialogue(
        system("Here are similar examples. The task is dialog."),
        *(SHOT_CLIP, *shot("What is it?", "A dog")),
        *(CLIP, user("What do you hear?")),
    )
    assert written(prompt) == (
        "</s>Here are similar examples. The task is dialog. "
        "<audio>what is it?\nanswer:<SEP>a dog<|endofchunk|>"
        "<audio>user: What do you hear? \nassistant: <SEP>"
    )


# --- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (question(), "without a recording"),
        (question(user("what?")), "without a recording"),
        (question(*shot("q", "a"), user("what?")), "without a recording"),
        (question(CLIP), "prompt of recording: expected an opening or none"),
        (question(CLIP, CLIP, user("what?")), "recording, recording, user: expected"),
        (question(user("what?"), CLIP), "user, recording: expected"),
        (question(CLIP, user("a"), user("b")), "recording, user, user: expected"),
        (question(CLIP, user("a"), said("b"), user("c")), "user, assistant, user: expected"),
        (question(CLIP, shot("q", "a")[0], CLIP, user("q")), "recording, exemplar, recording"),
        (question(shot("q", "a")[1], CLIP, user("q")), "exemplar's answer, recording, user"),
        (question(system("a"), system("b"), CLIP, user("q")), "system, system, recording"),
        (dialogue(CLIP), "prompt of recording: expected"),
        (dialogue(CLIP, user("a"), said("b")), "recording, user, assistant: expected"),
        (dialogue(CLIP, said("b")), "recording, assistant: expected"),
        (dialogue(CLIP, user("a"), CLIP, user("b")), "recording, user, recording, user: expected"),
    ],
)
def test_a_prompt_without_a_form_is_refused(prompt: Prompt, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        render_prompt(prompt)


# --- nobody's words become control tokens -----------------------------------------------

words = st.lists(
    st.one_of(st.text(max_size=6), st.sampled_from([x.value for x in Control])), max_size=5
).map("".join)
words = st.one_of(words, st.sampled_from(Control))
shots = st.lists(st.tuples(st.booleans(), words, words), max_size=4)


@given(words, shots, st.lists(words, min_size=1, max_size=5), st.sampled_from(ALL))
def test_a_prompt_has_its_templates_control_tokens_whatever_is_said(
    opening: str, exemplars: list[tuple[bool, str, str]], said_words: list[str], style: Style
) -> None:
    parts: list[Text | ClipRef] = [system(opening)]
    for has_clip, asked, answer in exemplars:
        parts += [*([SHOT_CLIP] if has_clip else []), *shot(asked, answer)]
    said_words = said_words[: (len(said_words) - 1) | 1]
    turns = [said(text) if n % 2 else user(text) for n, text in enumerate(said_words)]
    prompts = [question(*parts, CLIP, turns[0]), dialogue(*parts, CLIP, *turns)]
    for prompt, n_answered in zip(prompts, (0, len(turns) // 2), strict=True):
        segments = render_prompt(prompt, style=style)
        controls = [x for x in segments if isinstance(x, Control)]
        n_shots = sum(has_clip for has_clip, *_ in exemplars)
        assert controls.count(Control.AUDIO) == prompt.n_clips == n_shots + 1
        assert controls.count(Control.SEPARATOR) == n_shots + n_answered + 1
        assert controls.count(Control.END_OF_CHUNK) == n_shots + n_answered
        n_closed = 0 if style == "brief" else n_answered
        assert controls.count(Control.END_OF_TEXT) == 1 + n_closed
        assert controls.count(Control.PAD) == 0
        # Texts are plain strings, which no tokenizer searches.
        assert {type(x) for x in segments} <= {str, Control}
        told = "".join(x for x in segments if not isinstance(x, Control))
        for text in said_words[:1] if prompt is prompts[0] else said_words:
            # A dialogue's words stand as they are, but in brief; a question's may lose case and
            # ends.
            kept = text if prompt.is_dialogue and style != "brief" else text.strip()
            assert kept in told or kept.lower() in told
