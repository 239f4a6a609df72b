"""The catalogue: models of the hub that are known by name, before anything is fetched."""

from __future__ import annotations

from typing import Final, NamedTuple

from earful.model.names import NON_COMMERCIAL


class KnownModel(NamedTuple):
    """A model of the hub that is known by name.

    Attributes:
        name: Hub id.
        family: Title of its family.
        description: Short description.
        licence: Where it forbids some uses; else empty, and its model card has to be asked.
    """

    name: str
    family: str
    description: str
    licence: str = ""


_FLAMINGO: Final = "Music Flamingo, AF-Next"

CATALOGUE: Final = (
    KnownModel(
        "nvidia/audio-flamingo-3-hf", "Audio Flamingo 3", "Audio Flamingo 3, 8 B", NON_COMMERCIAL
    ),
    KnownModel("nvidia/music-flamingo-2601-hf", _FLAMINGO, "Music Flamingo, 8 B", NON_COMMERCIAL),
    KnownModel(
        "nvidia/audio-flamingo-next-hf", _FLAMINGO, "Audio Flamingo Next, 8 B", NON_COMMERCIAL
    ),
    KnownModel("Qwen/Qwen2-Audio-7B-Instruct", "Qwen2-Audio", "Qwen2-Audio, 8 B; hears 30 s"),
    KnownModel("Qwen/Qwen2.5-Omni-7B", "Qwen2.5-Omni", "Qwen2.5-Omni, its thinker"),
    KnownModel("Qwen/Qwen3-Omni-30B-A3B-Instruct", "Qwen3-Omni", "Qwen3-Omni, its thinker, 30 B"),
    KnownModel("google/gemma-3n-E4B-it", "Gemma 3n", "Gemma 3n; hears 30 s"),
    KnownModel("google/gemma-4-e2b-it", "Gemma 4", "Gemma 4; hears 30 s"),
    KnownModel(
        "microsoft/Phi-4-multimodal-instruct", "Phi-4-multimodal", "Phi-4-multimodal, 5.6 B"
    ),
    KnownModel("ibm-granite/granite-speech-3.3-2b", "Granite Speech", "Granite Speech, for speech"),
    KnownModel("zai-org/GLM-ASR-Nano-2512", "GLM-ASR", "GLM-ASR, a recogniser of speech"),
    KnownModel("mistralai/Voxtral-Mini-3B-2507", "Voxtral", "Voxtral, which nobody ran here"),
    KnownModel("swiss-ai/Apertus-v1.5-8B", "Apertus 1.5", "Apertus 1.5, which nobody ran here"),
)
"""Hub ids; any other model of these families is fetched by its id as well."""
