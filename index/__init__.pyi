from .builder import BuildOptions, BuildReport, build_index
from .corpus import Corpus, CorpusRow, Exemplar, Rejection, open_corpus
from .datasets import Dataset, DatasetCorpus, list_datasets, load_dataset, load_declaration
from .distributed import MergeReport, RayEngine, Shard, merge_indexes
from .health import Finding, Health, HealthLimits, LabelHealth, check_health
from .index import Index
from .maintenance import IndexFault, VerifyReport, export_index, repair_index, verify_index
from .search import Approximate, Hit, Hits, Partitions, SearchFilter, Segment, VectorSet
from .segments import commit_segments, index_segment, train_partitions
from .sharing import PullLimits, index_card, pull_index, push_index
from .storage import IndexInfo, Row

__all__ = [
    "Approximate",
    "BuildOptions",
    "BuildReport",
    "Corpus",
    "CorpusRow",
    "Dataset",
    "DatasetCorpus",
    "Exemplar",
    "Finding",
    "Health",
    "HealthLimits",
    "Hit",
    "Hits",
    "Index",
    "IndexFault",
    "IndexInfo",
    "LabelHealth",
    "MergeReport",
    "Partitions",
    "PullLimits",
    "RayEngine",
    "Rejection",
    "Row",
    "SearchFilter",
    "Segment",
    "Shard",
    "VectorSet",
    "VerifyReport",
    "build_index",
    "check_health",
    "commit_segments",
    "export_index",
    "index_card",
    "index_segment",
    "list_datasets",
    "load_dataset",
    "load_declaration",
    "merge_indexes",
    "open_corpus",
    "pull_index",
    "push_index",
    "repair_index",
    "train_partitions",
    "verify_index",
]
