"""Rendering: a prompt as the ids that a family's own processor makes of it, without any audio.

The processor renders its template, puts as many audio tokens as a recording takes in place of each
placeholder, and makes control tokens in people's text plain text. Only the features of recordings
are left out here: their number of tokens is known beforehand (``audio_tokens``).
"""

from __future__ import annotations

import copy
import logging
import re
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError, PromptError
from earful.model.hub_models.audio_tokens import WINDOW_TOKENS
from earful.model.hub_models.families import Family
from earful.model.hub_models.messages import Message, to_messages
from earful.model.hub_models.reading import Rendered, cut_points
from earful.model.prompt import Prompt

_log = logging.getLogger(__name__)

# Goes before a template that takes texts alone: each content becomes one text.
_FLATTEN = (
    "{%- set flat = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set text = namespace(all='') -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'audio' -%}{%- set text.all = text.all + 'AUDIO' -%}"
    "{%- else -%}{%- set text.all = text.all + part['text'] -%}{%- endif -%}{%- endfor -%}"
    "{%- set flat.messages = flat.messages + "
    "[{'role': message['role'], 'content': text.all}] -%}{%- endfor -%}"
    "{%- set messages = flat.messages -%}"
)

LEAST_S = 0.1
"""A recording that is shorter is lengthened with silence: encoders need some frames."""


class Renderer:
    """A family's processor, asked for ids, and for the features of single recordings.

    Args:
        processor: Of ``transformers``.
        family: Its family.
        name: Name of the model, for errors.
    """

    def __init__(self, processor: Any, family: Family, *, name: str) -> None:
        self.processor = processor
        self.family = family
        self.name = name
        self.tokenizer = processor.tokenizer
        extractor = getattr(processor, "feature_extractor", None) or processor.audio_processor
        self.sample_rate = int(extractor.sampling_rate)
        self.longest_s = family.longest_s(processor)
        self.audio_id = int(self.tokenizer.convert_tokens_to_ids(processor.audio_token))
        if family.one_a_conversation:
            # Its model takes any number; only the processor wants as many texts as recordings.
            processor.validate_inputs = types.MethodType(_validate_inputs, processor)
        self.system_text, self.end_id = self._try_template()
        own = [
            token.content
            for token in self._added_tokens()
            if not token.special and len(token.content) > 1 and not token.content.isspace()
        ]
        longest_first = sorted(own, key=len, reverse=True)
        self._own_tokens = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
        self._broken = self._find_unguarded(longest_first)
        self._silent = copy.copy(processor)
        self._counts: list[int] = []
        self._silent._process_audio = self._replace_audio
        if family.one_a_conversation:
            self._silent.validate_inputs = types.MethodType(_validate_inputs, self._silent)

    # --- ids -------------------------------------------------------------------------

    def render(self, prompt: Prompt, n_tokens: Sequence[int]) -> Rendered:
        """Return a prompt's ids, the recordings' tokens among them.

        Args:
            prompt: The prompt.
            n_tokens: Tokens that each recording takes, in order.

        Raises:
            PromptError: It is no prompt for a chat model.
            ModelError: The template does not show every recording once.
        """
        messages = self.messages(prompt)
        self._counts = list(n_tokens)
        if self.family.own_chat:
            # Its processor counts by itself: silence that takes as many tokens stands in.
            lengths = [round(n / WINDOW_TOKENS * 30 * self.sample_rate) for n in n_tokens]
            silences = [np.zeros(length, np.float32) for length in lengths]
            inputs = self._apply(self.processor, _with_audio(messages, silences))
        else:
            audio = np.zeros(round(LEAST_S * self.sample_rate), np.float32)
            inputs = self._apply(self._silent, _with_audio(messages, [audio] * len(n_tokens)))
        ids = inputs["input_ids"][0].numpy()
        is_audio = ids == self.audio_id
        if int(is_audio.sum()) != sum(n_tokens):
            raise ModelError(
                f"{self.name}: {int(is_audio.sum())} tokens for audio in a prompt of "
                f"{len(n_tokens)} recordings, expected {sum(n_tokens)}; its template or its "
                "tokenizer is not the one of its family"
            )
        kept = {key: x for key, x in inputs.items() if x.ndim == 2 and x.shape[1] == ids.size}
        cuts = cut_points(
            ids, is_audio, n_tokens, end_id=self.end_id, is_dialogue=prompt.is_dialogue
        )
        return Rendered(inputs=kept, is_audio=is_audio, cuts=cuts)

    def messages(self, prompt: Prompt) -> list[Message]:
        """Return a prompt as messages.

        Raises:
            PromptError: It is no prompt for a chat model.
        """
        return to_messages(prompt, name=self.name, system_text=self.system_text, clean=self._clean)

    def count(self, n_samples: int) -> int:
        """Return how many tokens a recording of a length takes."""
        least = round(LEAST_S * self.sample_rate)
        return max(0, self.family.count_tokens(max(n_samples, least), self.processor))

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text in which nothing is a control token."""
        ids: list[int] = []
        if self.family.own_chat:
            ids += self.tokenizer.encode(text, add_special_tokens=False)
            return ids
        # Only special tokens are split by the tokenizer; others of its own are split here.
        for piece in self._own_tokens.split(text):
            for part in (piece[:1], piece[1:]) if self._own_tokens.fullmatch(piece) else (piece,):
                if part:
                    ids += self.tokenizer.encode(
                        part, add_special_tokens=False, split_special_tokens=True
                    )
        return ids

    # --- one recording ---------------------------------------------------------------

    def hear(self, samples: NDArray[np.float32]) -> dict[str, Any]:
        """Return what the model takes to hear one recording alone.

        Args:
            samples: float32, shape ``(n,)``, at ``sample_rate``.

        Raises:
            ModelError: The processor refuses it.
        """
        least = round(LEAST_S * self.sample_rate)
        if samples.size < least:
            samples = np.pad(samples, (0, least - samples.size))
        part: Message = {"type": "audio", "audio": samples}
        message = {"role": "user", "content": [part, {"type": "text", "text": "x"}]}
        return self._apply(self.processor, [message])

    def full(self, prompt: Prompt, audios: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
        """Return a prompt with its audio, as the family's processor alone would make it."""
        return self._apply(self.processor, _with_audio(self.messages(prompt), audios))

    # --- the template ----------------------------------------------------------------

    def _try_template(self) -> tuple[bool, int]:
        """Try the template, and mend it where it takes texts alone.

        Returns:
            Whether it takes words of the system, and the id that ends an answer.

        Raises:
            ModelError: There is none, or it loses recordings or words.
        """
        processor = self.processor
        if self.family.own_chat:
            return False, int(self.tokenizer.eos_token_id)
        own = getattr(processor, "chat_template", None) or self.tokenizer.chat_template
        if not isinstance(own, str):
            raise ModelError(
                f"{self.name}: has no chat template, expected chat_template.jinja in its folder; "
                "fetch the instruction-tuned model of its family"
            )
        token = processor.audio_token.replace("\\", "\\\\").replace("'", "\\'")
        for template in (own, _FLATTEN.replace("AUDIO", token) + own):
            for system_text in (True, False):
                processor.chat_template = template
                if self._keeps_all(system_text=system_text):
                    return system_text, self._find_end()
        raise ModelError(
            f"{self.name}: its chat template loses recordings or words of a conversation; expected "
            f"one that shows each, as {self.family.title} does"
        )

    def _keeps_all(self, *, system_text: bool) -> bool:
        turns = [("user", 1), ("assistant", 0), ("user", 1)]
        if system_text:
            turns.insert(0, ("system", 0))
        words = [f"word{place}w" for place in range(len(turns))]
        messages = [_turn(role, word, n) for (role, n), word in zip(turns, words, strict=True)]
        text = self._rendered(messages)
        found = [text.find(word) for word in words]
        n_audios = text.count(self.processor.audio_token)
        return n_audios == 2 and -1 not in found and found == sorted(found) and "{" not in text

    def _find_end(self) -> int:
        """Return the id that ends an answer: what the template writes behind one."""
        asked = [_turn("user", "question", 1)]
        before = self._rendered(asked)
        after = self._rendered([*asked, _turn("assistant", "word0w"), _turn("user", "more", 1)])
        if after.startswith(f"{before}word0w"):
            ids = self.tokenizer.encode(after[len(before) + 6 :], add_special_tokens=False)
            if ids and ids[0] in self.tokenizer.added_tokens_decoder:
                return int(ids[0])
        end = self.tokenizer.eos_token_id
        _log.warning("%s: its template does not show how an answer ends", self.name)
        return int(end)

    def _rendered(self, messages: list[Message]) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self.processor.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError, KeyError, ValueError):
            return ""
        return text

    # --- internals -------------------------------------------------------------------

    def _apply(self, processor: Any, messages: list[Message]) -> dict[str, Any]:
        if self.family.own_chat:
            conversation = [_encoded(message, self.sample_rate) for message in messages]
            return dict(processor.apply_chat_template(conversation))
        options: dict[str, Any] = {
            "tokenize": True,
            "return_dict": True,
            "return_tensors": "pt",
            "add_generation_prompt": True,
            "sanitize_control_tokens": True,
        }
        try:
            try:
                inputs = processor.apply_chat_template(messages, **options)
            except NotImplementedError:
                # Its tokenizer would open a text with a token that its template does not write.
                inputs = processor.apply_chat_template(
                    messages,
                    processor_kwargs={"text_kwargs": {"add_special_tokens": False}},
                    **options,
                )
                return self._opened(dict(inputs))
        except (ValueError, TypeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ModelError(f"{self.name}: its processor refuses the prompt: {reason}") from error
        return dict(inputs)

    def _opened(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Put in front what the tokenizer puts in front of every text."""
        import torch

        plain = self.tokenizer.encode("x", add_special_tokens=False)
        opening = self.tokenizer.encode("x")[: -len(plain)]
        n = inputs["input_ids"].shape[1]
        for key, values in inputs.items():
            if values.ndim == 2 and values.shape[1] == n and opening:
                fill = opening if key == "input_ids" else [int("attention" in key)] * len(opening)
                inputs[key] = torch.cat([values.new_tensor([fill]), values], dim=1)
        return inputs

    def _replace_audio(self, audio: Any, **_options: Any) -> tuple[dict[str, Any], list[str]]:
        """Return what stands in place of each placeholder; no audio is looked at."""
        if len(audio) != len(self._counts):
            raise PromptError(f"{self.name}: {len(audio)} recordings, expected {len(self._counts)}")
        sizes = {
            "num_audio_tokens": self._counts,
            "audio_embed_sizes": self._counts,
            # Two layers of stride 2 leave one frame in four.
            "input_features_mask": [np.ones(4 * n, dtype=bool) for n in self._counts],
        }
        # One whose count is made of samples has the rule that gives the samples back.
        if hasattr(extractor := getattr(self.processor, "feature_extractor", None), "hop_length"):
            per_code = getattr(extractor, "hop_length", 1)
            sizes["padding_mask"] = [np.ones(n * per_code, dtype=bool) for n in self._counts]
        texts = [
            self.processor.replace_audio_token(sizes, audio_idx=place)
            for place in range(len(audio))
        ]
        return {}, texts

    def _added_tokens(self) -> list[Any]:
        # A tokenizer with conversations of its own never reads control tokens in a text.
        return [] if self.family.own_chat else [*self.tokenizer.added_tokens_decoder.values()]

    def _clean(self, text: str) -> str:
        """Break the control tokens that the processor would not take as text."""
        for token in self._broken:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _find_unguarded(self, own: Sequence[str]) -> tuple[str, ...]:
        """Return tokens that a text must not spell; of others the processor makes text itself."""
        template = str(getattr(self.processor, "chat_template", "") or "")
        unguarded = [token for token in own if token not in template]
        if not self.family.sanitises_audio:
            kinds = ("audio", "image", "video")
            names = [getattr(self.processor, f"{kind}_token", None) for kind in kinds]
            unguarded += [name for name in names if name]
        return tuple(unguarded)


def _turn(role: str, text: str, n_audios: int = 0) -> Message:
    audio: list[Message] = [{"type": "audio"}] * n_audios
    return {"role": role, "content": [*audio, {"type": "text", "text": text}]}


def _with_audio(messages: list[Message], audios: Sequence[NDArray[np.float32]]) -> list[Message]:
    left = iter(audios)
    return [
        {
            **message,
            "content": [
                {**part, "audio": next(left)} if part["type"] == "audio" else part
                for part in message["content"]
            ],
        }
        for message in messages
    ]


def _encoded(message: Message, sample_rate: int) -> Message:
    """Return a message with each recording as a WAV file in base64, the one form Voxtral takes."""
    if all(part["type"] == "text" for part in message["content"]):
        return {**message, "content": "".join(part["text"] for part in message["content"])}
    import base64
    import io

    import soundfile

    content = []
    for part in message["content"]:
        if part["type"] != "audio":
            content.append(part)
            continue
        file = io.BytesIO()
        soundfile.write(file, part["audio"], sample_rate, format="WAV", subtype="FLOAT")
        data = base64.b64encode(file.getvalue()).decode("ascii")
        content.append({"type": "audio", "base64": data})
    return {**message, "content": content}


def _validate_inputs(self: Any, audio: Any = None, text: Any = None, **options: Any) -> None:
    """Check that there are as many placeholders as recordings, as all processors do."""
    from transformers.processing_utils import ProcessorMixin

    ProcessorMixin.validate_inputs(self, audio=audio, text=text, **options)
