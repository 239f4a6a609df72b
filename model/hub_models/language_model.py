"""Models of the hub as a ``LanguageModel``: prompts rendered, recordings heard, answers scored."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from earful.errors import AudioError, PromptError
from earful.model.capabilities import Capabilities
from earful.model.hub_models.hearing import Features, Hearing
from earful.model.hub_models.reading import (
    MOST_PROMPTS,
    HubNetwork,
    Question,
    Rendered,
    score_together,
)
from earful.model.hub_models.rendering import Renderer
from earful.model.hub_models.self_test import run_self_test
from earful.model.kept_features import FeatureCache
from earful.model.prompt import ClipRef, Prompt
from earful.model.protocols import Generation, GenerationOptions, PromptSize
from earful.model.writing import require_distinct, write_answer
from earful.values import language_model_repr

MOST_AUDIOS: Final = 128
"""Recordings in one prompt; the models have no limit but the length of their context."""

_WINDOW_S: Final = 30.0
_MOST_CONTEXT: Final = 1 << 20
_LONGEST_S: Final = 36_000
_MOST_AHEAD: Final = 512  # prompts whose scores wait to be asked for
_THOUGHTS: Final = ("<think>", "</think>")
_log = logging.getLogger(__name__)

Answers = tuple[tuple[int, ...], ...]


class HubLanguageModel:
    """Audio language model of ``transformers``.

    Args:
        renderer: Its processor.
        network: Its network.
        name: Its name in answers and errors.
        weights_sha256: Hex SHA-256 over its weights.
        quantised: How its layers were quantised as they were loaded; empty for not at all.
        licence: Permitted use of its weights.

    Attributes:
        self_test: What was found as it was loaded.

    Raises:
        ModelError: What is computed here is not what ``transformers`` computes.
    """

    def __init__(
        self,
        renderer: Renderer,
        network: HubNetwork,
        *,
        name: str,
        weights_sha256: str = "",
        quantised: str = "",
        licence: str = "",
    ) -> None:
        self.renderer = renderer
        self.network = network
        self.self_test = run_self_test(renderer, network)
        family = renderer.family
        context = _context(network.model, renderer.tokenizer)
        longest_s = _longest_s(renderer, context)
        dtype = str(network.dtype).removeprefix("torch.")
        arithmetic = ", ".join(filter(None, (dtype, quantised, network.device.type)))
        self._end_ids = sorted({renderer.end_id, *_stops(network.model)})
        # A processor counts, and a decoder is hooked: one call at a time.
        self._lock = threading.RLock()
        self._ahead: dict[tuple[str, Answers], list[NDArray[np.float64]]] = {}
        self._hearing = Hearing(
            renderer,
            network,
            longest_s=longest_s,
            maker=f"{weights_sha256}:{arithmetic}:{longest_s}",
        )
        self._capabilities = Capabilities(
            name=name,
            weights_sha256=weights_sha256,
            arithmetic=arithmetic,
            max_audios=MOST_AUDIOS,
            max_seconds_per_audio=longest_s,
            max_text_tokens=context,
            scoring="exact",
            multi_turn=True,
            batch_safe=self.self_test.batch_safe,
            licence=licence,
            caveat=family.caveat,
            sample_rate=renderer.sample_rate,
            window_seconds=min(_WINDOW_S, longest_s),
            shot_modes=("interleaved", "montage", "text"),
            system_text=renderer.system_text,
            hears="verified" if self.self_test.hears else "no",
            max_prompts=self._most_together(),
        )

    __repr__ = language_model_repr

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities of the model."""
        return self._capabilities

    def keep_features(self, cache: FeatureCache) -> None:
        """Look up exemplars' features in a cache, and store new ones there."""
        self._hearing.keep(cache)

    def encode_exemplar(self, clip: ClipRef) -> None:
        """Store an exemplar's features in the cache; see ``KeepsFeatures``."""
        with self._lock:
            self._hearing.features(replace(clip, is_exemplar=True))

    # --- LanguageModel ---------------------------------------------------------------

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure a prompt without decoding audio; see ``LanguageModel``.

        Where a file has another rate than the model, its length may be off by a token.
        """
        with self._lock:
            rendered = self.renderer.render(
                prompt, [self._hearing.count(ref) for ref in prompt.clips]
            )
        name = self.capabilities.name
        return PromptSize(
            n_tokens=rendered.n_tokens,
            slots=prompt.n_clips,
            cut=tuple(line for ref in prompt.clips if (line := self._hearing.cut(ref, name))),
        )

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score whole answers behind one reading of a prompt; see ``LanguageModel``."""
        with self._lock:
            asked = self._question(prompt, answers)
            # What was asked ahead is given once, so that nothing is held longer than needed.
            if self._ahead and (found := self._ahead.pop((asked.key, asked.answers), None)):
                return found
            return self.network.score(asked.prompt, asked.features, asked.answers)

    def ask_ahead(self, questions: Sequence[tuple[Prompt, Sequence[str]]]) -> None:
        """Score answers to several prompts at once, for ``score`` to give; see ``AsksAhead``."""
        with self._lock:
            if self.capabilities.max_prompts == 1:
                return
            asked: list[Question] = []
            for prompt, answers in questions:
                # Who asks for it alone is told what is wrong with it.
                with suppress(PromptError, AudioError):
                    asked.append(self._question(prompt, answers))
            try:
                found = score_together(self.network, asked)
            except torch.OutOfMemoryError:
                self.network.kept.clear()
                self._capabilities = replace(self._capabilities, max_prompts=1)
                _log.warning(
                    "%s: there is no memory for several prompts at once; they are read one at a "
                    "time from now on",
                    self.capabilities.name,
                )
                return
            for question, scores in zip(asked, found, strict=True):
                if scores is not None:
                    self._ahead[question.key, question.answers] = scores
            while len(self._ahead) > _MOST_AHEAD:
                del self._ahead[next(iter(self._ahead))]

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer; see ``LanguageModel``. Thoughts of models that think are left out."""
        with self._lock:
            rendered, features = self._read(prompt, room=options.max_new_tokens)
            steps = self.network.decode(rendered, features, options, end_ids=self._end_ids)
            return write_answer(
                steps, options, end_ids=self._end_ids, decode=self._decode, on_text=on_text
            )

    # --- parts -----------------------------------------------------------------------

    def _most_together(self) -> int:
        """Return how many prompts are read at once: on a GPU several, where that is safe."""
        # A CPU reads them no faster together, and what fills up the shorter ones is work.
        is_gpu = self.network.device.type == "cuda"
        return MOST_PROMPTS if is_gpu and self.self_test.asks_together else 1

    def _question(self, prompt: Prompt, answers: Sequence[str]) -> Question:
        ids = [self._answer_ids(answer) for answer in answers]
        require_distinct(answers, ids, reader=self.capabilities.name)
        rendered, features = self._read(prompt, room=max(map(len, ids), default=0))
        return Question(prompt=rendered, features=features, answers=tuple(ids))

    def _answer_ids(self, answer: str) -> tuple[int, ...]:
        if not answer.strip():
            raise PromptError("an answer is empty: expected at least one character")
        return (*self.renderer.encode(answer), self.renderer.end_id)

    def _read(self, prompt: Prompt, *, room: int) -> tuple[Rendered, Features]:
        limits = self.capabilities
        if prompt.n_clips > limits.max_audios:
            raise PromptError(
                f"{prompt.n_clips} recordings in one prompt, expected at most "
                f"{limits.max_audios} for {limits.name}: show fewer shots"
            )
        # A part that no chat model takes is said before any audio is heard.
        self.renderer.messages(prompt)
        heard = [self._hearing.features(ref) for ref in prompt.clips]
        rendered = self.renderer.render(prompt, [len(own) for own in heard])
        if rendered.n_tokens + room > limits.max_text_tokens:
            raise PromptError(
                f"prompt of {rendered.n_tokens} tokens, and {room} for an answer, expected at most "
                f"{limits.max_text_tokens} for {limits.name}: show fewer shots, fewer labels or a "
                "shorter question"
            )
        return rendered, np.concatenate(heard)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.renderer.tokenizer.decode(list(ids), skip_special_tokens=True)
        return without_thoughts(text).strip()


def without_thoughts(text: str) -> str:
    """Return a text without what a model thinks before it answers.

    >>> without_thoughts("<think>It barks.</think>a dog"), without_thoughts("<think>It b")
    ('a dog', '')
    """
    begin, end = _THOUGHTS
    if end in text:
        return text.rpartition(end)[2]
    return text.partition(begin)[0] if text.lstrip().startswith(begin) else text


def _context(model: Any, tokenizer: Any) -> int:
    stated = [
        getattr(model.config.get_text_config(), "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    return min([int(n) for n in stated if n and n < _MOST_CONTEXT], default=_MOST_CONTEXT)


def _longest_s(renderer: Renderer, context: int) -> float:
    """Return the seconds of a recording that are heard: the family's, or a whole context's."""
    if np.isfinite(renderer.longest_s):
        return renderer.longest_s
    low, high = 1, _LONGEST_S
    while low < high:
        middle = (low + high + 1) // 2
        fits = renderer.count(middle * renderer.sample_rate) <= context
        low, high = (middle, high) if fits else (low, middle - 1)
    return float(low)


def _stops(model: Any) -> list[int]:
    """Return the ids at which the model itself stops."""
    stated = getattr(model.generation_config, "eos_token_id", None)
    return [] if stated is None else [stated] if isinstance(stated, int) else list(stated)
