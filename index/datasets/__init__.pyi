from .catalog import list_datasets, load_dataset, load_declaration
from .check import DatasetCheck, check_dataset
from .corpus import DatasetCorpus
from .declaration import Dataset, Fact

__all__ = [
    "Dataset",
    "DatasetCheck",
    "DatasetCorpus",
    "Fact",
    "check_dataset",
    "list_datasets",
    "load_dataset",
    "load_declaration",
]
