"""Retrieval-augmented few-shot audio question answering.

Build an index from labelled recordings, then ask about others::

    import earful

    earful.build_index("corpus/", "sounds.index")
    few = earful.FewShot.open("sounds.index")
    answer = few.classify("street.wav")
    print(answer.text, f"{answer.confidence:.0%}")

Everything public stands in ``__all__`` and is imported on first use, so that
``import earful`` itself costs nothing.
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# What we import must not tell anybody that it was used. These are read at import time, so
# they are set before anything else; who has set them already has decided.
for _name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_name, "1")

# A library says nothing unless its user listens.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "Answer": "earful.rag.answer",
    "AudioLimits": "earful.model.audio.clip",
    "BuildOptions": "earful.index.builder.build",
    "BuildReport": "earful.index.builder.build",
    "Chat": "earful.rag.generation.chat",
    "Clip": "earful.model.audio.clip",
    "EarfulError": "earful.errors",
    "Embedder": "earful.model.protocols",
    "EvaluationSettings": "earful.rag.evaluation.run",
    "Exemplar": "earful.index.corpus.exemplar",
    "FewShot": "earful.rag.few_shot",
    "Fingerprint": "earful.model.protocols",
    "GenerationOptions": "earful.model.protocols",
    "Hit": "earful.index.search.exact",
    "Index": "earful.index.index",
    "LabelScoring": "earful.rag.retrieval.vote",
    "LanguageModel": "earful.model.protocols",
    "Prompt": "earful.model.prompt",
    "SearchFilter": "earful.index.search.exact",
    "ShotInfluence": "earful.rag.generation.influence",
    "Task": "earful.rag.task.task",
    "TextEmbedder": "earful.model.protocols",
    "build_index": "earful.index.builder.build",
    "check_health": "earful.index.health.check",
    "check_task": "earful.rag.task.task",
    "evaluate": "earful.rag.evaluation.run",
    "label_influence": "earful.rag.generation.influence",
    "list_datasets": "earful.index.datasets",
    "load_audio": "earful.model.audio.clip",
    "load_dataset": "earful.index.datasets",
    "load_embedder": "earful.model.registry",
    "load_language_model": "earful.model.registry",
    "load_task": "earful.rag.task.task",
    "open_corpus": "earful.index.corpus.corpus",
    "open_dataset": "earful.index.datasets",
    "relabel_influence": "earful.rag.generation.influence",
    "text_influence": "earful.rag.generation.influence",
}

__all__ = [
    "Answer",
    "AudioLimits",
    "BuildOptions",
    "BuildReport",
    "Chat",
    "Clip",
    "EarfulError",
    "Embedder",
    "EvaluationSettings",
    "Exemplar",
    "FewShot",
    "Fingerprint",
    "GenerationOptions",
    "Hit",
    "Index",
    "LabelScoring",
    "LanguageModel",
    "Prompt",
    "SearchFilter",
    "ShotInfluence",
    "Task",
    "TextEmbedder",
    "build_index",
    "check_health",
    "check_task",
    "evaluate",
    "label_influence",
    "list_datasets",
    "load_audio",
    "load_dataset",
    "load_embedder",
    "load_language_model",
    "load_task",
    "open_corpus",
    "open_dataset",
    "relabel_influence",
    "text_influence",
]

if TYPE_CHECKING:
    from earful.errors import EarfulError
    from earful.index import Index
    from earful.index.builder import BuildOptions, BuildReport, build_index
    from earful.index.corpus import Exemplar, open_corpus
    from earful.index.datasets import list_datasets, load_dataset, open_dataset
    from earful.index.health import check_health
    from earful.index.search import Hit, SearchFilter
    from earful.model import (
        Embedder,
        Fingerprint,
        GenerationOptions,
        LanguageModel,
        Prompt,
        TextEmbedder,
        load_embedder,
        load_language_model,
    )
    from earful.model.audio import AudioLimits, Clip, load_audio
    from earful.rag import Answer, FewShot
    from earful.rag.evaluation import EvaluationSettings, evaluate
    from earful.rag.generation import (
        Chat,
        ShotInfluence,
        label_influence,
        relabel_influence,
        text_influence,
    )
    from earful.rag.retrieval import LabelScoring
    from earful.rag.task import Task, check_task, load_task


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'earful' has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
