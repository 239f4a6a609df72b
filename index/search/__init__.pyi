from .approximate import (
    Approximate,
    Partitions,
    Segment,
    build_segment,
    commit_segments,
    compact_rows,
    contents_among,
    partition_rows,
    train_partitions,
)
from .class_scores import ClassScores
from .disk_search import DiskSearch, read_vector_set
from .equal_audio import group_equal, labels_of_all
from .exact import IndexBackend, Vectors, VectorSet, top_k
from .hit import Hit, Hits
from .search_filter import SearchFilter

__all__ = [
    "Approximate",
    "ClassScores",
    "DiskSearch",
    "Hit",
    "Hits",
    "IndexBackend",
    "Partitions",
    "SearchFilter",
    "Segment",
    "VectorSet",
    "Vectors",
    "build_segment",
    "commit_segments",
    "compact_rows",
    "contents_among",
    "group_equal",
    "labels_of_all",
    "partition_rows",
    "read_vector_set",
    "top_k",
    "train_partitions",
]
