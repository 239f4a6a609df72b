"""The table of families: what ``transformers`` calls them, and what each needs of us.

``ran`` says that the family was executed with small random weights (the tests do it again); where
it is false, its code was read and nobody ran it. No real weights were run here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from earful.errors import ModelError
from earful.model.hub_models import audio_tokens
from earful.model.hub_models.audio_tokens import CountTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of audio language models.

    Attributes:
        title: Its name.
        model_types: What ``config.json`` calls it.
        model_class: Class of ``transformers``.
        decoder: Path, from the model, of the module that takes embedded tokens.
        count_tokens: Counts a recording's tokens from its length in samples.
        longest_s: Returns the seconds of one recording that it hears, from its processor.
        one_a_conversation: Whether its processor refuses a second recording, a check that is
            not the model's and is left out.
        sanitises_audio: Whether its processor takes text that spells its own audio token.
        three_axes: Whether its positions have three axes.
        own_chat: Whether its processor builds conversations by itself, without a template, from
            encoded files; such a one takes no words of the system.
        needs: Packages that it needs beyond the extra.
        caveat: Warning to users about its answers.
        ran: Whether it was executed, with small random weights.
    """

    title: str
    model_types: tuple[str, ...]
    model_class: str
    decoder: str = "model.language_model"
    count_tokens: CountTokens
    longest_s: Callable[[Any], float]
    one_a_conversation: bool = False
    sanitises_audio: bool = True
    three_axes: bool = False
    own_chat: bool = False
    needs: tuple[str, ...] = ()
    caveat: str = ""
    ran: bool = True


_RECOGNISER: Final = (
    "{} was trained to write down speech; what it says of other sounds is seldom right"
)
_NOBODY: Final = (
    "nobody ran earful with {}: its code was read, and a self-test runs as it is loaded"
)


def _no_limit(_processor: Any) -> float:
    return math.inf


def _max_audio_len(processor: Any) -> float:
    return float(processor.max_audio_len // 30 * 30)


def _thirty_seconds(_processor: Any) -> float:
    return 30.0


def _extractor_seconds(processor: Any) -> float:
    extractor = processor.feature_extractor
    return float(extractor.nb_max_frames * extractor.hop_length / extractor.sampling_rate)


FAMILIES: Final = (
    Family(
        title="Audio Flamingo 3",
        model_types=("audioflamingo3",),
        model_class="AudioFlamingo3ForConditionalGeneration",
        count_tokens=audio_tokens.whisper_windows,
        longest_s=_max_audio_len,
        one_a_conversation=True,
    ),
    Family(
        title="Music Flamingo, AF-Next",
        model_types=("musicflamingo",),
        model_class="MusicFlamingoForConditionalGeneration",
        count_tokens=audio_tokens.whisper_windows,
        longest_s=_max_audio_len,
        one_a_conversation=True,
    ),
    Family(
        title="Qwen2-Audio",
        model_types=("qwen2_audio",),
        model_class="Qwen2AudioForConditionalGeneration",
        count_tokens=audio_tokens.whisper_once,
        longest_s=_thirty_seconds,
    ),
    Family(
        title="Qwen2.5-Omni",
        model_types=("qwen2_5_omni", "qwen2_5_omni_thinker"),
        model_class="Qwen2_5OmniThinkerForConditionalGeneration",
        count_tokens=audio_tokens.omni_once,
        longest_s=_extractor_seconds,
        sanitises_audio=False,
        three_axes=True,
    ),
    Family(
        title="Qwen3-Omni",
        model_types=("qwen3_omni_moe", "qwen3_omni_moe_thinker"),
        model_class="Qwen3OmniMoeThinkerForConditionalGeneration",
        count_tokens=audio_tokens.omni_moe,
        longest_s=_no_limit,
        sanitises_audio=False,
        three_axes=True,
    ),
    Family(
        title="Gemma 3n",
        model_types=("gemma3n",),
        model_class="Gemma3nForConditionalGeneration",
        count_tokens=audio_tokens.fixed,
        longest_s=_thirty_seconds,
    ),
    Family(
        title="Gemma 4",
        model_types=("gemma4",),
        model_class="Gemma4ForConditionalGeneration",
        count_tokens=audio_tokens.conformer,
        longest_s=_thirty_seconds,
    ),
    Family(
        title="Phi-4-multimodal",
        model_types=("phi4_multimodal",),
        model_class="Phi4MultimodalForCausalLM",
        decoder="model.layers.0",
        count_tokens=audio_tokens.compressed,
        longest_s=_no_limit,
    ),
    Family(
        title="Granite Speech",
        model_types=("granite_speech",),
        model_class="GraniteSpeechForConditionalGeneration",
        count_tokens=audio_tokens.blocks,
        longest_s=_no_limit,
        caveat=_RECOGNISER.format("Granite Speech"),
    ),
    Family(
        title="GLM-ASR",
        model_types=("glmasr",),
        model_class="GlmAsrForConditionalGeneration",
        count_tokens=audio_tokens.merged_windows,
        longest_s=_max_audio_len,
        one_a_conversation=True,
        caveat=_RECOGNISER.format("GLM-ASR"),
    ),
    Family(
        title="Voxtral",
        model_types=("voxtral",),
        model_class="VoxtralForConditionalGeneration",
        count_tokens=audio_tokens.padded_windows,
        longest_s=_no_limit,
        own_chat=True,
        needs=("mistral_common",),
        caveat=_NOBODY.format("Voxtral"),
        ran=False,
    ),
    Family(
        title="Apertus 1.5",
        model_types=("apertus1p5",),
        model_class="Apertus1p5ForConditionalGeneration",
        count_tokens=audio_tokens.codes,
        longest_s=_no_limit,
        caveat=_NOBODY.format("Apertus 1.5"),
        ran=False,
    ),
)

_TRANSCRIBES: Final = "it only writes down speech, and takes no question"
_UNTRIED: Final = "earful was not tried with it"
REFUSED: Final = {
    **dict.fromkeys(
        (
            "whisper", "qwen3_asr", "fun_asr_nano", "omniasr", "nemo_speechlm",
            "moss_transcribe_diarize", "nemotron3_5_transcribe", "vibevoice_asr",
            "granite_speech5", "wav2vec2", "hubert", "moonshine", "parakeet_ctc",
        ),
        _TRANSCRIBES,
    ),
    **dict.fromkeys(
        (
            "inkling_mm_model", "muse_spark", "nemotron_h_omni", "dots3_note", "gemma4_unified",
            "granite_speech_plus",
        ),
        _UNTRIED,
    ),
    "clap": "it embeds recordings, and writes nothing: it is for --embedder",
    "audio-spectrogram-transformer": "it classifies recordings, and takes no question",
}  # fmt: skip
"""Reasons why a model type is refused, by name."""


def family_of(model_type: str, name: str, *, has_code: bool = False) -> Family:
    """Return the family of a model type.

    Args:
        model_type: As ``config.json`` has it.
        name: Of the model, for the error.
        has_code: Whether it brings code of its own, for the error.

    Raises:
        ModelError: It is none of the table.
    """
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    unknown = (
        "it needs code of its own, which is never run"
        if has_code
        else "it is none of the families that earful asks"
    )
    reason = REFUSED.get(model_type, unknown)
    known = ", ".join(family.title for family in FAMILIES)
    raise ModelError(
        f"{name}: model_type {model_type!r}: {reason}; expected a model of {known}, or one "
        "behind an endpoint"
    )
