from .ahead import FileAhead, decode_ahead
from .capabilities import Capabilities, Hears, Scoring
from .kept_features import DescribesExemplars, FeatureCache, KeepsFeatures
from .label_words import LabelWords
from .names import DEFAULT_EMBEDDER, DEFAULT_MODEL
from .prompt import ClipRef, Place, Prompt, PromptWording, Prototype, ShotMode, Text
from .protocols import (
    AsksAhead,
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
from .registry import (
    list_embedders,
    list_language_models,
    load_embedder,
    load_language_model,
    load_step_embedder,
    naming_extra,
)
from .scripted import ScriptedLanguageModel
from .steps import StepEmbedder, WindowSteps, step_embedder

__all__ = [
    "DEFAULT_EMBEDDER",
    "DEFAULT_MODEL",
    "AsksAhead",
    "Capabilities",
    "ClassScorer",
    "ClipRef",
    "DescribesExemplars",
    "Embedder",
    "ExplainsTexts",
    "FeatureCache",
    "FileAhead",
    "Fingerprint",
    "Generation",
    "GenerationOptions",
    "Hears",
    "KeepsFeatures",
    "LabelNamer",
    "LabelWords",
    "LanguageModel",
    "Place",
    "Prompt",
    "PromptSize",
    "PromptWording",
    "Prototype",
    "Scoring",
    "ScriptedLanguageModel",
    "ShotMode",
    "StepEmbedder",
    "Text",
    "TextEmbedder",
    "WindowSteps",
    "decode_ahead",
    "embed_and_score",
    "list_embedders",
    "list_language_models",
    "load_embedder",
    "load_language_model",
    "load_step_embedder",
    "naming_extra",
    "step_embedder",
]
