from .audio import AudioLimits, Clip, load_audio
from .names import DEFAULT_EMBEDDER, DEFAULT_MODEL
from .prompt import ClipRef, Prompt, PromptWording, Text
from .protocols import (
    Capabilities,
    Embedder,
    Fingerprint,
    Generation,
    GenerationOptions,
    KeepsFeatures,
    LanguageModel,
    PromptSize,
    TextEmbedder,
)
from .registry import list_embedders, list_language_models, load_embedder, load_language_model
from .scripted import ScriptedLanguageModel

__all__ = [
    "DEFAULT_EMBEDDER",
    "DEFAULT_MODEL",
    "AudioLimits",
    "Capabilities",
    "Clip",
    "ClipRef",
    "Embedder",
    "Fingerprint",
    "Generation",
    "GenerationOptions",
    "KeepsFeatures",
    "LanguageModel",
    "Prompt",
    "PromptSize",
    "PromptWording",
    "ScriptedLanguageModel",
    "Text",
    "TextEmbedder",
    "list_embedders",
    "list_language_models",
    "load_audio",
    "load_embedder",
    "load_language_model",
]
