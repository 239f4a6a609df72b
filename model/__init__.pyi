from .names import DEFAULT_EMBEDDER, DEFAULT_MODEL, SHIPPED
from .prompt import ClipRef, Prompt, PromptWording, Text
from .protocols import (
    Capabilities,
    Embedder,
    FeatureCache,
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
    "SHIPPED",
    "Capabilities",
    "ClipRef",
    "Embedder",
    "FeatureCache",
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
    "load_embedder",
    "load_language_model",
]
