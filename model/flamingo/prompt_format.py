"""The prompt format of Audio Flamingo, equal to the release's to the byte.

The release has three styles: ``inference`` (its example scripts, and the default of
``FlamingoLanguageModel``), ``benchmark`` (its evaluation, without the space before a single
``<audio>``) and ``training`` (with capitals). With shots the first two are the same. A text is
never searched for marks: the prompt's parts show where it divides.

The fourth style, ``brief``, is that of the shipped small model: a question that exemplars
share with the query is written once, at the query, and no words lead from question to answer.

Two forms are ours and not the release's. Exemplars shown as text only are listed before
the recording, in the manner of RECAP (Ghosh et al., ICASSP 2024, arXiv 2309.09836).
Exemplars in a dialogue stand before it as they do before a question.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

from earful.errors import PromptError
from earful.model.flamingo.tokenizer import Control, Segment
from earful.model.prompt import ClipRef, Place, Prompt, PromptWording, Text

Style = Literal["inference", "benchmark", "training", "brief"]

_TEXT_ONLY = "audio similar to this audio sounds like:"
_EXPECTED = (
    "an opening or none; for each shot its recording (or none), question and answer; the "
    "query's recording; the user's question, or in a dialogue user and assistant in turn, "
    "the user last"
)


WORDING = PromptWording(
    classify_opening="The task is event classification.",
    multilabel_opening="The task is tagging.",
    ask_opening="The task is audio question answering.",
    caption_opening="The task is audio captioning.",
    dialogue_opening="The task is dialog.",
    similar_examples="Here are similar examples. ",
    random_examples="Here are random examples. ",
    classify_question="Classify this sound.",
    multilabel_question="Use a few labels to describe this sound.",
    caption_question="Describe the sound in a sentence.",
    exemplar_question="What is this sound?",
    question_prefix="Please answer this question: ",
    presence_question="is there {label} in this sound?",
    yes_no_options="\nOPTIONS:\nyes.\nno.",
    options_header="\nOPTIONS:",
    option="\n - {label}.",
    no_label="none",
)
"""Phrases of the data sets that Audio Flamingo v1 was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shot:
    question: str
    answer: str
    has_clip: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """The pieces of a prompt; ``turns`` alternate, and begin and end with the user's."""

    opening: str
    shots: tuple[_Shot, ...]
    turns: tuple[str, ...]


def render_prompt(prompt: Prompt, *, style: Style = "inference") -> tuple[Segment, ...]:
    r"""Write a prompt as text and control tokens, up to where the answer begins.

    Args:
        prompt: With at least one recording; each becomes one ``Control.AUDIO``.
        style: One of the styles above. In ``training`` a question's letters stay as they
            are, so that ``OPTIONS:`` keeps its capitals; the data loader lowers the
            others.

    Raises:
        PromptError: There is no recording, or the format has no place for the parts' order.

    >>> from pathlib import Path
    >>> query = ClipRef(audio=Path("street.wav"))
    >>> question = Text(kind="user", text="Classify this sound.")
    >>> opening = Text(kind="system", text="The task is event classification.")
    >>> "".join(render_prompt(Prompt(parts=(opening, query, question))))
    '</s>the task is event classification. <audio>classify this sound.\nanswer:<SEP>'
    """
    outline = _take_apart(prompt)
    segments: list[Segment] = [
        Control.END_OF_TEXT,
        _opening(outline, style, is_dialogue=prompt.is_dialogue),
    ]
    for shot in outline.shots:
        if shot.has_clip:
            asked = _question(shot.question, style)
            if style == "brief" and asked == _question(outline.turns[0], style):
                asked = ""
            segments += [Control.AUDIO, asked, Control.SEPARATOR]
            segments += [_answer(shot.answer, style), Control.END_OF_CHUNK]
    segments.append(Control.AUDIO)
    if not prompt.is_dialogue:
        return (*segments, _question(outline.turns[0], style), Control.SEPARATOR)
    for number, words in enumerate(outline.turns):
        if number % 2:
            segments += _said(words, style)
        else:
            segments += [_turn(words, style), Control.SEPARATOR]
    return tuple(segments)


def render_continuation(
    answer: str, *, style: Style = "inference", is_dialogue: bool = False
) -> tuple[Segment, ...]:
    """Write a whole answer, including its end, as it follows its prompt.

    Args:
        answer: The words; in a dialogue they keep their case.
        style: The prompt's style. The release ends its references and its training texts
            with one more control token than a model needs to write.
        is_dialogue: Whether the prompt is a dialogue.

    >>> "".join(render_continuation("A dog."))
    'a dog.<|endofchunk|>'
    """
    words = str(answer) if is_dialogue and style != "brief" else _answer(answer, style)
    if style in ("inference", "brief"):
        return (words, Control.END_OF_CHUNK)
    closed = (words, Control.END_OF_CHUNK, Control.END_OF_TEXT)
    return (*closed, "\n") if is_dialogue else closed


def _take_apart(prompt: Prompt) -> _Outline:
    """Split a prompt by the order of its parts, never by what a text says."""
    if not prompt.n_clips:
        raise PromptError("prompt without a recording: expected the query's at least")
    rest = list(prompt.parts)
    opening = ""
    if isinstance(rest[0], Text) and rest[0].kind == "system":
        opening = rest[0].text
        del rest[0]
    shots: list[_Shot] = []
    while shot := _first_shot(rest):
        shots.append(shot)
        del rest[: 3 if shot.has_clip else 2]
    # A member of ``Control`` given as the words of a turn is plain text.
    turns = [str(part.text) for part in rest[1:] if isinstance(part, Text)]
    n_turns = len(turns) if prompt.is_dialogue else 1
    # With an even number of turns, or none, the last turn of the user is missing.
    speakers = islice(cycle(("user", "assistant")), n_turns | 1)
    if [_kind(part) for part in rest] != ["recording", *speakers]:
        found = ", ".join(map(_kind, prompt.parts))
        raise PromptError(f"prompt of {found}: expected {_EXPECTED}")
    return _Outline(opening=opening, shots=tuple(shots), turns=tuple(turns))


def _first_shot(parts: list[Text | Place]) -> _Shot | None:
    has_clip = not isinstance(parts[0], Text) if parts else False
    match parts[has_clip : has_clip + 2]:
        case [
            Text(kind="exemplar", is_answer=False, text=question),
            Text(kind="exemplar", is_answer=True, text=answer),
        ]:
            return _Shot(question=question, answer=answer, has_clip=has_clip)
    return None


def _kind(part: Text | Place) -> str:
    if not isinstance(part, Text):
        return "recording" if isinstance(part, ClipRef) else "label"
    return "exemplar's answer" if part.is_answer else part.kind


def _opening(outline: _Outline, style: Style, *, is_dialogue: bool) -> str:
    """Write the text before the first ``<audio>``."""
    if style == "brief":
        both = (outline.opening.strip(), _text_only(outline))
        return "".join(f"{text} " for text in both if text).lower()
    if outline.shots or style == "training":
        texts = [text for text in (outline.opening.strip(), _text_only(outline)) if text]
        return "".join(f"{text} " for text in texts)
    if is_dialogue:
        return outline.opening.lower()
    opening = outline.opening.strip().lower()
    return f"{opening} " if style == "inference" else opening


def _text_only(outline: _Outline) -> str:
    """List the answers of exemplars without a recording, with those questions that differ."""
    asked = outline.turns[0].strip().lower()
    answers = [_TEXT_ONLY]
    for shot in outline.shots:
        if not shot.has_clip:
            question = shot.question.strip().lower()
            # The query's own question may continue with its options.
            said = "" if asked.startswith(question) else f"{question} "
            answers.append(f"{said}{shot.answer.strip().lower().removesuffix('.')}.")
    return " ".join(answers) if len(answers) > 1 else ""


def _turn(words: str, style: Style) -> str:
    """Write the user's turn of a dialogue, up to the separator."""
    return _question(words, style) if style == "brief" else f"user: {words} \nassistant: "


def _said(words: str, style: Style) -> tuple[Segment, ...]:
    """Write an earlier answer of a dialogue, including its end."""
    if style == "brief":
        return (_answer(words, style), Control.END_OF_CHUNK)
    return (words, Control.END_OF_CHUNK, Control.END_OF_TEXT, "\n")


def _question(text: str, style: Style) -> str:
    """Write the question between ``<audio>`` and the separator."""
    if style == "training":
        return f"{text}\nAnswer:".strip()
    if style == "brief":
        return text.strip().lower()
    if style == "benchmark":
        # Spaces at the question's end stay: the release trims both together.
        return f"{text}\nanswer:".strip().lower()
    return f"{text.strip().lower()}\nanswer:"


def _answer(text: str, style: Style) -> str:
    return text.strip() if style == "training" else text.strip().lower()
