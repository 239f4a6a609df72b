"""A prompt in Audio Flamingo's own words, to the byte as the release writes it.

Three styles, since the release has three: ``inference`` (its example scripts and few-shot
evaluation; what ``FlamingoLanguageModel`` uses), ``benchmark`` (its evaluation of single
recordings, without the space before ``<audio>``) and ``training`` (with capitals).

Two forms are ours and not the release's. Exemplars shown as text only are listed before
the recording, in the manner of RECAP (Ghosh et al., arXiv 2309.09836). Exemplars in a
dialogue stand before it as they stand before a question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from earful.errors import PromptError
from earful.model.prompt import ClipRef, Prompt, Text
from earful.model.tokenizer import Control, Segment

Style = Literal["inference", "benchmark", "training"]

OPTIONS = "\nOPTIONS:\n"
"""Stands between a question and its options; the one capital word that training keeps."""

_RECAP = "audio similar to this audio sounds like:"


@dataclass(slots=True)
class _Outline:
    """A prompt taken apart."""

    opening: str = ""
    shots: list[tuple[str, str]] = field(default_factory=list)
    read_only: list[str] = field(default_factory=list)
    turns: list[tuple[str, str]] = field(default_factory=list)


def render_prompt(
    prompt: Prompt, *, style: Style = "inference", answer: str | None = None
) -> tuple[Segment, ...]:
    """Write a prompt as text and control tokens.

    Args:
        prompt: With one recording at least; each becomes one ``Control.AUDIO``.
        style: Which of the release's ways.
        answer: The right answer, for training and for reading it with its prompt; it
            closes the text.

    Raises:
        PromptError: There is no recording, or the parts are in no order that has a form.
    """
    outline = _take_apart(prompt)
    if prompt.is_dialogue:
        return (Control.END_OF_TEXT, *_dialogue(outline, style, answer))
    segments: list[Segment] = [Control.END_OF_TEXT, _opening(outline, style)]
    for question, solution in outline.shots:
        segments += [*_asked(question, style), _lower(solution), Control.END_OF_CHUNK]
    ((question, _),) = outline.turns
    segments += _asked(question, style)
    if answer is not None:
        segments += [_lower(answer), Control.END_OF_CHUNK, Control.END_OF_TEXT]
    return tuple(segments)


def render_continuation(answer: str) -> tuple[Segment, ...]:
    """Write a whole answer to a question, its end included."""
    return (_lower(answer), Control.END_OF_CHUNK)


def _take_apart(prompt: Prompt) -> _Outline:
    outline = _Outline()
    clip: ClipRef | None = None
    question = ""
    for part in prompt.parts:
        if isinstance(part, ClipRef):
            if clip is not None or outline.turns:
                raise PromptError(f"{part}: a second recording without words between")
            clip = part
        elif part.kind == "system":
            outline.opening = part.text.strip()
        elif part.kind == "exemplar" and not part.is_answer:
            question = part.text
        elif part.kind == "exemplar" and clip is not None:
            outline.shots.append((question, part.text))
            clip = None
        elif part.kind == "exemplar":
            outline.read_only.append(part.text)
        elif part.kind == "user" and clip is not None:
            outline.turns.append((part.text, ""))
        elif part.kind == "assistant" and outline.turns:
            outline.turns[-1] = (outline.turns[-1][0], part.text)
        else:
            raise _no_recording(part)
    if not outline.turns:
        raise PromptError("a prompt without a question; want a recording and a question about it")
    if len(outline.turns) > 1 and not prompt.is_dialogue:
        raise PromptError(f"{len(outline.turns)} questions; want one, or a dialogue")
    return outline


def _no_recording(part: Text) -> PromptError:
    return PromptError(f"{part.kind} {part.text[:40]!r} without a recording; want one before it")


def _opening(outline: _Outline, style: Style) -> str:
    """Write what stands before the first ``<audio>``."""
    opening = outline.opening
    if outline.read_only:
        told = " ".join(f"{answer.strip().rstrip('.')}." for answer in outline.read_only)
        opening = f"{opening} {_RECAP} {told}"
    if outline.shots or style == "training":
        return f"{opening} "
    return opening.lower() if style == "benchmark" else f"{opening.lower()} "


def _asked(question: str, style: Style) -> list[Segment]:
    if style != "training":
        return [Control.AUDIO, f"{_lower(question)}\nanswer:", Control.SEPARATOR]
    asked, options, listed = question.strip().partition(OPTIONS)
    worded = asked.lower() + options + listed.lower()
    return [Control.AUDIO, f"{worded}\nAnswer:", Control.SEPARATOR]


def _dialogue(outline: _Outline, style: Style, answer: str | None) -> list[Segment]:
    segments: list[Segment] = []
    if outline.shots or outline.read_only:
        segments.append(_opening(outline, style))
    else:
        # No space before <audio> here, but in training.
        is_training = style == "training"
        segments.append(f"{outline.opening} " if is_training else outline.opening.lower())
    for question, solution in outline.shots:
        segments += [*_asked(question, style), _lower(solution), Control.END_OF_CHUNK]
    segments.append(Control.AUDIO)
    for number, (user, assistant) in enumerate(outline.turns, start=1):
        is_last = number == len(outline.turns)
        segments += [f"user: {user} \nassistant: ", Control.SEPARATOR]
        if is_last and answer is None:
            break
        said = answer if is_last and answer is not None else assistant
        segments += [said, Control.END_OF_CHUNK, Control.END_OF_TEXT, "\n"]
    return segments


def _lower(text: str) -> str:
    return text.strip().lower()
