from .approximate import Approximate, partition_rows
from .disk_search import DiskSearch, read_vector_set
from .exact import Hit, IndexBackend, Vectors, VectorSet, top_k
from .search_filter import SearchFilter

__all__ = [
    "Approximate",
    "DiskSearch",
    "Hit",
    "IndexBackend",
    "SearchFilter",
    "VectorSet",
    "Vectors",
    "partition_rows",
    "read_vector_set",
    "top_k",
]
