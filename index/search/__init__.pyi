from .approximate import APPROXIMATE_NAME, Approximate, candidates, part_rows
from .exact import Hit, IndexBackend, SearchFilter, Vectors, VectorSet, top_k, unit_rows
from .half_precision import HalfRows
from .search_filter import sql_of

__all__ = [
    "APPROXIMATE_NAME",
    "Approximate",
    "HalfRows",
    "Hit",
    "IndexBackend",
    "SearchFilter",
    "VectorSet",
    "Vectors",
    "candidates",
    "part_rows",
    "sql_of",
    "top_k",
    "unit_rows",
]
