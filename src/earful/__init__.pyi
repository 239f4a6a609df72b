from .errors import EarfulError
from .index import Index, IndexInfo, Row
from .index.builder import BuildOptions, BuildReport, build_index
from .index.corpus import Corpus, Exemplar, Rejection, open_corpus
from .index.datasets import Dataset, list_datasets, load_dataset, load_declaration
from .index.distributed import MergeReport, Shard, merge_indexes
from .index.health import Health, HealthLimits, check_health
from .index.maintenance import VerifyReport, verify_index
from .index.search import Hit, Hits, SearchFilter
from .model import (
    Embedder,
    Fingerprint,
    GenerationOptions,
    LanguageModel,
    Prompt,
    TextEmbedder,
    load_embedder,
    load_language_model,
)
from .model.audio import AudioLimits, Clip, load_audio
from .rag import Answer, Blend, FewShot, LabelScore
from .rag.evaluation import Evaluation, EvaluationSettings, evaluate
from .rag.generation import Chat
from .rag.retrieval import LabelScoring
from .rag.scan import Events, ExampleSources, ScanOptions, ScanSettings, scan
from .rag.task import Example, Label, Shots, Task, check_task, load_task

__version__: str

__all__ = [
    "Answer",
    "AudioLimits",
    "Blend",
    "BuildOptions",
    "BuildReport",
    "Chat",
    "Clip",
    "Corpus",
    "Dataset",
    "EarfulError",
    "Embedder",
    "Evaluation",
    "EvaluationSettings",
    "Events",
    "Example",
    "ExampleSources",
    "Exemplar",
    "FewShot",
    "Fingerprint",
    "GenerationOptions",
    "Health",
    "HealthLimits",
    "Hit",
    "Hits",
    "Index",
    "IndexInfo",
    "Label",
    "LabelScore",
    "LabelScoring",
    "LanguageModel",
    "MergeReport",
    "Prompt",
    "Rejection",
    "Row",
    "ScanOptions",
    "ScanSettings",
    "SearchFilter",
    "Shard",
    "Shots",
    "Task",
    "TextEmbedder",
    "VerifyReport",
    "build_index",
    "check_health",
    "check_task",
    "evaluate",
    "list_datasets",
    "load_audio",
    "load_dataset",
    "load_declaration",
    "load_embedder",
    "load_language_model",
    "load_task",
    "merge_indexes",
    "open_corpus",
    "scan",
    "verify_index",
]
