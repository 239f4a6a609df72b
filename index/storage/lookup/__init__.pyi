from .packed_rows import LOOKUP_COLUMNS, IndexedRow
from .row_lookup import IndexedRows, UnseenRows, count_labels

__all__ = ["LOOKUP_COLUMNS", "IndexedRow", "IndexedRows", "UnseenRows", "count_labels"]
