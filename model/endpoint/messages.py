"""Messages: a prompt as turns of OpenAI's chat protocol, each with one recording at its beginning.

One recording a turn, audio first, an exemplar's answer as the assistant's: the one layout that all
servers and templates keep. Control strings in texts are broken, as the server renders the template
itself. Recordings are sent as they are, 16 kHz mono WAV of 16 bits: lossless, and no address that
a server would fetch.
"""

from __future__ import annotations

import base64
import io
import math
import wave
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np

from earful.errors import PromptError
from earful.model.audio import Clip
from earful.model.chat import break_control_strings
from earful.model.prompt import ClipRef, Prompt, Prototype, Text

SAMPLE_RATE: Final = 16_000
"""Rate at which recordings are sent, in Hz."""

AudioForm = Literal["input_audio", "audio_url"]
"""How a recording is written into a message: OpenAI's form, or vLLM's and SGLang's."""

Message = dict[str, Any]

_FULL_SCALE: Final = 32_767
_KEPT: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Layout of messages.

    Attributes:
        form: Form of recordings.
        max_seconds: Most seconds of each recording that are sent.
        system_end: Is added to the opening.
        question_end: Is added to every question about a recording.
        answer: Turns an exemplar's answer into what is shown.
    """

    form: AudioForm = "input_audio"
    max_seconds: float = math.inf
    system_end: str = ""
    question_end: str = ""
    answer: Callable[[str], str] = str


def to_messages(prompt: Prompt, layout: Layout) -> list[Message]:
    """Return a prompt as messages.

    Args:
        prompt: A question or a dialogue.
        layout: How it is laid out.

    Raises:
        PromptError: It has no question, or a label's prototype, which these models do not take.
        AudioError: A recording cannot be read.
    """
    system, turns = "", list[Message]()
    told: list[str] = []  # exemplars in words stand before the question about the query
    audio: list[Message] = []
    asked = ""
    for part in prompt.parts:
        if isinstance(part, Prototype):
            raise PromptError(
                f"a prompt with the {part}: an endpoint takes recordings, not prototypes"
            )
        if isinstance(part, ClipRef):
            audio.append(audio_part(part, layout))
        elif part.kind == "system":
            system += break_control_strings(part.text)
        elif part.kind == "exemplar" and not part.is_answer:
            asked = break_control_strings(part.text)
        elif part.kind == "exemplar":
            answer = break_control_strings(layout.answer(part.text))
            if audio:
                turns += [_user(audio, asked + layout.question_end), _assistant(answer)]
                audio = []
            else:
                told.append(f"{asked}: {answer}")
        elif part.kind == "user":
            question = "\n".join((*told, break_control_strings(part.text)))
            turns.append(_user(audio, question + layout.question_end))
            audio, told = [], []
        else:
            turns.append(_assistant(break_control_strings(part.text)))
    if not turns or turns[-1]["role"] != "user":
        raise PromptError("a prompt without a question at its end: expected one; ask something")
    opening = "\n".join(filter(None, (system, layout.system_end)))
    return [{"role": "system", "content": opening}, *turns] if opening else turns


def without_system(messages: list[Message]) -> list[Message]:
    """Put the words of the system before the first question, for templates that know no system."""
    if messages[0]["role"] != "system":
        return messages
    opening, first, *others = messages
    parts = list(first["content"])
    parts[-1] = {"type": "text", "text": f"{opening['content']}\n{parts[-1]['text']}"}
    return [{**first, "content": parts}, *others]


def texts_of(prompt: Prompt) -> list[str]:
    """Return the texts of a prompt."""
    return [part.text for part in prompt.parts if isinstance(part, Text)]


def audio_part(place: ClipRef, layout: Layout) -> Message:
    """Return a recording as a part of a message.

    Raises:
        AudioError: It cannot be read.
    """
    data = _encoded(place, layout.max_seconds)
    if layout.form == "audio_url":
        return {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{data}"}}
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def wav_bytes(clip: Clip) -> bytes:
    """Return a clip as the bytes of a WAV file of 16 bits; beyond full scale it is cut off."""
    samples = np.clip(np.rint(clip.samples * _FULL_SCALE), -_FULL_SCALE - 1, _FULL_SCALE)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(clip.sample_rate)
        written.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _encoded(place: ClipRef, max_seconds: float) -> str:
    if isinstance(place.audio, Clip):
        return _read_and_encoded(place, max_seconds)
    with place.naming_exemplar():
        return _kept(place, max_seconds)


def _read_and_encoded(place: ClipRef, max_seconds: float) -> str:
    samples = place.read(SAMPLE_RATE, longest_s=max_seconds)
    clip = Clip(samples=samples, sample_rate=SAMPLE_RATE, content_sha256=place.known_content)
    return base64.b64encode(wav_bytes(clip)).decode("ascii")


# Exemplars are sent with one question after the other.
_kept = lru_cache(maxsize=_KEPT)(_read_and_encoded)


def _user(audio: list[Message], text: str) -> Message:
    return {"role": "user", "content": [*audio, {"type": "text", "text": text}]}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
