from .class_columns import is_class_table
from .delimited import Record, SemicolonRecord, TabRecord, is_label_track, table_header
from .own_tables import (
    BIRDNET_COLUMNS,
    BIRDNET_R_COLUMNS,
    CLIP_COLUMNS,
    EVENT_COLUMNS,
    EXAMPLE_COLUMNS,
    KALEIDOSCOPE_COLUMNS,
    RECORDING_COLUMNS,
    guarded,
    unguarded,
)
from .parquet import NestedCell, parquet_rows
from .polarity import is_own_table, polarity_column, read_polarity
from .rows import KINDS, as_text, content_kind, is_text_table, open_table, read_rows, table_kind

__all__ = [
    "BIRDNET_COLUMNS",
    "BIRDNET_R_COLUMNS",
    "CLIP_COLUMNS",
    "EVENT_COLUMNS",
    "EXAMPLE_COLUMNS",
    "KALEIDOSCOPE_COLUMNS",
    "KINDS",
    "RECORDING_COLUMNS",
    "NestedCell",
    "Record",
    "SemicolonRecord",
    "TabRecord",
    "as_text",
    "content_kind",
    "guarded",
    "is_class_table",
    "is_label_track",
    "is_own_table",
    "is_text_table",
    "open_table",
    "parquet_rows",
    "polarity_column",
    "read_polarity",
    "read_rows",
    "table_header",
    "table_kind",
    "unguarded",
]
