"""Audio Flamingo as a ``LanguageModel``: from prompts to arrays to answers.

Each recording is encoded window by window before the audios see each other, so an
exemplar's features are worth keeping: with a ``FeatureCache`` a few-shot prompt encodes
only the query's audio.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, ModelError, PromptError
from earful.model.audio import BY_TIMES, Clip
from earful.model.capabilities import Capabilities
from earful.model.flamingo.audio import SAMPLE_RATE, WINDOW_SAMPLES
from earful.model.flamingo.decoding import FlamingoNetwork, Mode, PromptArrays
from earful.model.flamingo.prompt_format import WORDING, Style, render_continuation, render_prompt
from earful.model.flamingo.tokenizer import FlamingoTokenizer
from earful.model.flamingo.window_encoders import WindowEncoder
from earful.model.kept_features import FeatureCache
from earful.model.prompt import ClipRef, Prompt, Prototype
from earful.model.protocols import (
    Generation,
    GenerationOptions,
    PromptSize,
)
from earful.model.writing import require_distinct, write_answer
from earful.values import language_model_repr

Variant = Literal["foundation", "chat"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

MAX_TEXT_TOKENS = 512
"""Longest prompt that the released checkpoints were trained on, in tokens."""

MAX_AUDIOS = 8
"""Slots of the released table of positions: seven shots and the query."""

_CHAT_SLOTS = 4
_TOLERANCE_S = 0.05  # how far a header may be off
_KEPT_IN_MEMORY = 64  # recordings; a whole one is 64 KB
_DURATIONS_IN_MEMORY = 4096


class FlamingoLanguageModel:
    """Audio Flamingo v1 with its encoder and tokenizer.

    Args:
        network: Computes scores and tokens.
        encoder: Its window encoder.
        tokenizer: Its tokenizer.
        name: Name of the model in answers and errors.
        variant: Which of the two checkpoints' settings are the defaults.
        weights_sha256: Hex SHA-256 over all weights.
        arithmetic: Type and kind of device that it computes with; see ``Capabilities``.
        decoding: ``"full"``: new tokens look at all audios. ``"compat"``: at the first
            slot only, channels and stops as in the release, to reproduce its numbers.
        slots: Places for audio, including empty ones, which change the answer; ``None``
            for as many as the prompt has audios (``foundation``: 1 without shots, 8 with
            seven, as released) or at least four (``chat``, as released).
        max_text_tokens: Longest prompt, in tokens.
        licence: Permitted use of its weights.
        lists_labels: Whether its prompts list the labels to choose from.
        style: Format of its prompts.
        caveat: Warning to users about its answers.
        writes_captions: Whether it describes recordings in words of its own.
        prototypes_by: Weights of the embedder by which its prompts may hold prototypes of labels.
        blend: Weight and temperature of a blend with the vote, if its training found them.
    """

    def __init__(
        self,
        *,
        network: FlamingoNetwork,
        encoder: WindowEncoder,
        tokenizer: FlamingoTokenizer,
        name: str,
        variant: Variant = "foundation",
        weights_sha256: str = "",
        arithmetic: str = "",
        decoding: Mode = "full",
        slots: int | None = None,
        max_text_tokens: int = MAX_TEXT_TOKENS,
        licence: str = "",
        lists_labels: bool = True,
        style: Style = "inference",
        caveat: str = "",
        writes_captions: bool = True,
        prototypes_by: str = "",
        blend: tuple[float, float] | None = None,
    ) -> None:
        if slots is not None and not 1 <= slots <= MAX_AUDIOS:
            raise ModelError(f"{name}: slots={slots}, expected 1 to {MAX_AUDIOS}")
        self.network = network
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.variant = variant
        self.decoding = decoding
        self._slots = slots
        self._style: Style = style
        self._maker = hashlib.sha256(encoder.maker.encode()).hexdigest()[:32]
        self._cache: FeatureCache | None = None
        self._memory: OrderedDict[tuple[str, bool], NDArray[np.float32]] = OrderedDict()
        self._silence: NDArray[np.float32] | None = None
        self._known_duration_s = lru_cache(_DURATIONS_IN_MEMORY)(ClipRef.length_s)
        self._capabilities = Capabilities(
            name=name,
            weights_sha256=weights_sha256,
            arithmetic=arithmetic,
            max_audios=MAX_AUDIOS if slots is None else slots,
            max_seconds_per_audio=encoder.max_seconds,
            max_text_tokens=min(max_text_tokens, network.config.max_positions),
            multi_turn=True,
            batch_safe=True,
            decoding=decoding,
            licence=licence,
            lists_labels=lists_labels,
            caveat=caveat,
            sample_rate=SAMPLE_RATE,
            window_seconds=WINDOW_SAMPLES / SAMPLE_RATE,
            wording=WORDING,
            writes_captions=writes_captions,
            prototypes_by=prototypes_by,
            blend=blend,
        )

    __repr__ = language_model_repr

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities of the model."""
        return self._capabilities

    def keep_features(self, cache: FeatureCache) -> None:
        """Look up exemplars' features in a cache, and store new ones there."""
        self._cache = cache
        self._memory.clear()  # features of another cache are not in this one

    def encode_exemplar(self, clip: ClipRef) -> None:
        """Store an exemplar's features in the cache; see ``KeepsFeatures``."""
        self.features(replace(clip, is_exemplar=True))

    def slots_for(self, n_audios: int) -> int:
        """Return how many slots a prompt with so many audios gets."""
        if self._slots is not None:
            return self._slots
        return max(n_audios, _CHAT_SLOTS if self.variant == "chat" else 1)

    # --- LanguageModel ---------------------------------------------------------------

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure a prompt; see ``LanguageModel``."""
        return PromptSize(
            n_tokens=len(self._ids(prompt)),
            slots=self.slots_for(prompt.n_clips),
            cut=tuple(line for ref in prompt.clips if (line := self._cut(ref))),
        )

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score whole answers in one pass; see ``LanguageModel``."""
        ids = [self.answer_ids(answer, is_dialogue=prompt.is_dialogue) for answer in answers]
        name = self.capabilities.name
        require_distinct(answers, ids, reader=f"{name}, which reads them in lower case")
        arrays = self.arrays(prompt)
        room = self.network.config.max_positions - len(arrays.ids)
        for answer, own in zip(answers, ids, strict=True):
            if len(own) > room:
                raise PromptError(
                    f"answer {answer[:40]!r} has {len(own)} tokens, expected at most {room} after "
                    "this prompt; shorten it"
                )
        return self.network.score(arrays, ids, mode=self.decoding)

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer; see ``LanguageModel``."""
        config = self.network.config
        stops = [config.bos_id]
        if self.decoding == "full":
            # In training it ends every answer; the release stops only at the token after it.
            stops.append(config.end_of_chunk_id)
        steps = self.network.decode(
            self.arrays(prompt), options, stop_ids=stops, mode=self.decoding
        )
        return write_answer(steps, options, end_ids=stops, decode=self._text, on_text=on_text)

    # --- arrays ----------------------------------------------------------------------

    def answer_ids(self, answer: str, *, is_dialogue: bool = False) -> list[int]:
        """Return the tokens of a whole answer, including its end.

        Args:
            answer: Text of the answer; in lower case unless in a dialogue, as trained.
            is_dialogue: Whether it answers a turn of a dialogue.

        Raises:
            PromptError: The answer is empty.
        """
        if not answer.strip():
            raise PromptError("an answer is empty: expected at least one character")
        continuation = render_continuation(answer, style=self._style, is_dialogue=is_dialogue)
        return self.tokenizer.encode(continuation)[1:]

    def arrays(self, prompt: Prompt) -> PromptArrays:
        """Return a prompt as arrays.

        Raises:
            PromptError: The prompt exceeds a limit.
            AudioError: A recording cannot be read.
        """
        ids = self._ids(prompt)
        limits = self.capabilities
        if prompt.n_clips > limits.max_audios:
            raise PromptError(
                f"{prompt.n_clips} recordings in one prompt, expected at most "
                f"{limits.max_audios} for {limits.name}: show fewer shots"
            )
        if len(ids) > limits.max_text_tokens:
            raise PromptError(
                f"prompt of {len(ids)} tokens, expected at most {limits.max_text_tokens} for "
                f"{limits.name}: show fewer shots, fewer labels or a shorter question"
            )
        width = self.network.config.windows_per_audio
        n_slots = self.slots_for(prompt.n_clips)
        features = np.repeat(self._silent_window(), n_slots * width, axis=0)
        mask = np.zeros(n_slots * width, dtype=bool)
        for slot, own in enumerate(self.features_of(prompt)):
            own = own[:width]
            features[slot * width : slot * width + len(own)] = own
            mask[slot * width : slot * width + len(own)] = True
        return PromptArrays(ids=np.array(ids, dtype=np.int64), features=features, window_mask=mask)

    def features_of(self, prompt: Prompt) -> list[NDArray[np.float32]]:
        """Return the features of each of a prompt's places for audio, in order.

        Raises:
            PromptError: The prompt holds a prototype, which this model does not take.
            AudioError: A recording cannot be read.
        """
        found = []
        for place in prompt.places:
            if isinstance(place, Prototype):
                raise PromptError(
                    f"{self.capabilities.name}: a prompt with the {place}, expected recordings; "
                    "show its exemplars one by one"
                )
            found.append(self.features(place))
        return found

    def features(self, ref: ClipRef) -> NDArray[np.float32]:
        """Return a recording's window features, from a cache where possible.

        Returns:
            float32, shape ``(n_windows, dim)``, 1 to W windows; before the audio
            transformer, so they depend on nothing else in a prompt.

        Raises:
            AudioError: The recording cannot be read.
        """
        key = self._feature_key(ref)
        cache = self._cache if ref.is_exemplar and key else None
        # A query's features are never cached on disk, even if they are also an exemplar's.
        place = (key, cache is not None)
        if place in self._memory:
            self._memory.move_to_end(place)
            return self._memory[place]
        found = cache.get(key) if cache is not None else None
        if found is None:
            with ref.naming_exemplar():
                found = self.encoder.hear(ref)
            if cache is not None:
                cache.put(key, found)
        if key:
            self._memory[place] = found
            if len(self._memory) > _KEPT_IN_MEMORY:
                self._memory.popitem(last=False)
        return found

    def _silent_window(self) -> NDArray[np.float32]:
        if self._silence is None:
            self._silence = self.encoder.silence()
        return self._silence

    def _feature_key(self, ref: ClipRef) -> str:
        content = self.encoder.content_of(ref)
        return f"{self._maker}/{content}" if content else ""

    def _cut(self, ref: ClipRef) -> str:
        """Describe a recording that is longer than the model hears; empty when it is not."""
        max_seconds = self.encoder.max_seconds
        # A prompt may show dozens of exemplars, each of which has a file with a header to read.
        is_known = ref.content_sha256 and not isinstance(ref.audio, Clip)
        try:
            found_s = self._known_duration_s(ref) if is_known else ref.length_s()
        except AudioError:
            return ""  # its features may be cached; if not, reading it raises the error
        if found_s <= max_seconds + _TOLERANCE_S:
            return ""
        heard = f"only the first {max_seconds:g} s of {found_s:.2f} s"
        if not ref.is_exemplar:
            heard += f"; ask about another part {BY_TIMES}"
        return f"{ref}: the language model hears {heard}"

    def _ids(self, prompt: Prompt) -> list[int]:
        ids = self.tokenizer.encode(render_prompt(prompt, style=self._style))
        # Each audio belongs to one token: an extra token would shift all audios after it.
        n_places = ids.count(self.network.config.audio_id)
        if n_places != prompt.n_clips:
            raise ModelError(
                f"{self.capabilities.name}: {n_places} places for audio in a prompt of "
                f"{prompt.n_clips} recordings; its tokenizer is not the model's own, convert it "
                "again"
            )
        return ids

    def _text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.answer(ids).strip()
