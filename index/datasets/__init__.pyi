from .catalog import list_datasets, load_dataset, load_declaration
from .check import DatasetCheck, check_dataset
from .corpus import DatasetCorpus
from .declaration import (
    Dataset,
    Emit,
    Fact,
    Join,
    Lookup,
    Reference,
    Source,
    Span,
    Split,
    SplitRule,
    Window,
)

__all__ = [
    "Dataset",
    "DatasetCheck",
    "DatasetCorpus",
    "Emit",
    "Fact",
    "Join",
    "Lookup",
    "Reference",
    "Source",
    "Span",
    "Split",
    "SplitRule",
    "Window",
    "check_dataset",
    "list_datasets",
    "load_dataset",
    "load_declaration",
]
