from .checksums import CHECKSUMS_NAME, Checksums
from .header import (
    FORMAT,
    HEADER_NAME,
    Header,
    IndexInfo,
    Root,
    format_of,
    read_header,
    read_values,
    write_text,
)
from .index_folder import APPROXIMATE_NAME, IndexFolder
from .lock import WriterLock
from .rejected import REJECTED_NAME, read_rejections
from .row_lookup import IndexedRow
from .schema import (
    DIGEST_COLUMNS,
    EXEMPLAR_COLUMNS,
    ROW_COLUMNS,
    AudioKey,
    Row,
    audio_paths,
    changed_rows,
    exemplar_digest,
    exemplar_of,
    exemplar_values,
    has_unit_norm,
    label_names,
    root_of,
    row_digest,
    vectors_of,
)
from .table import Table, stored_fingerprint
from .table_files import is_data
from .table_reader import lance_reason, sql_literal
from .versions import (
    QUARANTINE,
    TABLE_FOLDER,
    manifest_names,
    move_to_quarantine,
    newest_manifest,
)

__all__ = [
    "APPROXIMATE_NAME",
    "CHECKSUMS_NAME",
    "DIGEST_COLUMNS",
    "EXEMPLAR_COLUMNS",
    "FORMAT",
    "HEADER_NAME",
    "QUARANTINE",
    "REJECTED_NAME",
    "ROW_COLUMNS",
    "TABLE_FOLDER",
    "AudioKey",
    "Checksums",
    "Header",
    "IndexFolder",
    "IndexInfo",
    "IndexedRow",
    "Root",
    "Row",
    "Table",
    "WriterLock",
    "audio_paths",
    "changed_rows",
    "exemplar_digest",
    "exemplar_of",
    "exemplar_values",
    "format_of",
    "has_unit_norm",
    "is_data",
    "label_names",
    "lance_reason",
    "manifest_names",
    "move_to_quarantine",
    "newest_manifest",
    "read_header",
    "read_rejections",
    "read_values",
    "root_of",
    "row_digest",
    "sql_literal",
    "stored_fingerprint",
    "vectors_of",
    "write_text",
]
