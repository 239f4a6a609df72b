from .builder import BuildOptions, BuildReport, build_index
from .corpus import Corpus, Exemplar, Rejection, open_corpus
from .datasets import list_datasets, load_dataset, load_declaration
from .health import HealthLimits, check_health
from .index import Index
from .maintenance import export_index, repair_index, verify_index
from .search import Hit, SearchFilter
from .storage import IndexInfo, Row

__all__ = [
    "BuildOptions",
    "BuildReport",
    "Corpus",
    "Exemplar",
    "HealthLimits",
    "Hit",
    "Index",
    "IndexInfo",
    "Rejection",
    "Row",
    "SearchFilter",
    "build_index",
    "check_health",
    "export_index",
    "list_datasets",
    "load_dataset",
    "load_declaration",
    "open_corpus",
    "repair_index",
    "verify_index",
]
