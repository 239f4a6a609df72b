from .kept_features import FeatureCache, KeepsFeatures
from .label_words import LabelWords
from .names import DEFAULT_EMBEDDER, DEFAULT_MODEL
from .prompt import ClipRef, Place, Prompt, PromptWording, Prototype, Text
from .protocols import (
    Capabilities,
    ClassScorer,
    Embedder,
    ExplainsTexts,
    Fingerprint,
    Generation,
    GenerationOptions,
    LabelNamer,
    LanguageModel,
    PromptSize,
    TextEmbedder,
    embed_and_score,
)
from .registry import list_embedders, list_language_models, load_embedder, load_language_model
from .scripted import ScriptedLanguageModel

__all__ = [
    "DEFAULT_EMBEDDER",
    "DEFAULT_MODEL",
    "Capabilities",
    "ClassScorer",
    "ClipRef",
    "Embedder",
    "ExplainsTexts",
    "FeatureCache",
    "Fingerprint",
    "Generation",
    "GenerationOptions",
    "KeepsFeatures",
    "LabelNamer",
    "LabelWords",
    "LanguageModel",
    "Place",
    "Prompt",
    "PromptSize",
    "PromptWording",
    "Prototype",
    "ScriptedLanguageModel",
    "Text",
    "TextEmbedder",
    "embed_and_score",
    "list_embedders",
    "list_language_models",
    "load_embedder",
    "load_language_model",
]
