"""Conversations: a prompt as the messages that chat templates take.

One recording a turn of the user, at its start, and an answer as a turn of the assistant: the one
layout that every family's template keeps. An exemplar without its recording is no turn, which would
teach to answer without listening: it is a line in the turn that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earful.errors import PromptError
from earful.model.prompt import ClipRef, Prompt, Prototype

Message = dict[str, Any]
"""Role and content; a part of the content of type ``audio`` holds a ``ClipRef``."""


def to_messages(
    prompt: Prompt, *, name: str, system_text: bool = True, clean: Callable[[str], str] = str
) -> list[Message]:
    """Return a prompt as messages, each recording a part with its ``ClipRef`` under ``audio``.

    Args:
        prompt: A question or a dialogue.
        name: Of the model, for errors.
        system_text: Whether the system speaks; if not, its words open the first turn.
        clean: Applied to every text.

    Raises:
        PromptError: The prompt has no recording, or a part that no chat model takes.
    """
    messages: list[Message] = []
    opening: list[str] = []
    lines: list[str] = []
    clip: ClipRef | None = None
    heard = said = False
    for part in prompt.parts:
        if isinstance(part, Prototype):
            raise PromptError(
                f"{name}: a prompt with the {part}, expected recordings; show its exemplars one "
                "by one"
            )
        if isinstance(part, ClipRef):
            if clip is not None:
                raise PromptError(
                    f"{name}: two recordings without a text between them, expected one a turn"
                )
            clip, heard = part, True
            continue
        text = clean(part.text)
        if part.kind == "system":
            opening.append(text)
        elif part.kind == "assistant" or (part.is_answer and said):
            messages.append(_message("assistant", text))
            said = False
        elif part.kind == "exemplar" and clip is None:
            # Shown in words: its answer stands behind what says which it is.
            if part.is_answer:
                lines[-1:] = [f"{lines[-1]}: {text}" if lines else text]
            else:
                lines.append(text)
        else:
            words = [text]
            if part.kind == "user":
                words, lines = [*lines, text], []
            if not system_text:
                words, opening = [*opening, *words], []
            messages.append(_message("user", "\n".join(words), clip))
            clip, said = None, True
    if not heard:
        raise PromptError(f"{name}: a prompt without a recording, expected one at least")
    if opening and system_text:
        messages.insert(0, _message("system", "\n".join(opening)))
    return messages


def _message(role: str, text: str, clip: ClipRef | None = None) -> Message:
    content: list[Message] = [{"type": "text", "text": text}]
    if clip is not None:
        content.insert(0, {"type": "audio", "audio": clip})
    return {"role": role, "content": content}
