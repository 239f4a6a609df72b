from .checksums import CHECKSUMS_NAME, Checksums
from .formats import read_header
from .header import FORMAT, HEADER_NAME, Header, IndexInfo, Root, format_of, read_values, write_text
from .lock import LOCK_NAME, WriterLock
from .rejected import REJECTED_NAME, read_rejections, write_rejections
from .row_lookup import KNOWN_COLUMNS, AudioKey, KnownRow, KnownRows, known_rows
from .schema import (
    DIGEST_COLUMNS,
    EXEMPLAR_COLUMNS,
    Row,
    audio_paths,
    changed_rows,
    exemplar_digest,
    exemplar_of,
    exemplar_values,
    label_names,
    root_of,
    row_digest,
    to_arrow,
    vectors_of,
    whole_rows,
)
from .table import Table, stored_fingerprint
from .table_files import is_data
from .table_reader import lance_reason, sql_literal
from .versions import QUARANTINE, TABLE_FOLDER, manifest_names, newest_manifest, set_aside

__all__ = [
    "CHECKSUMS_NAME",
    "DIGEST_COLUMNS",
    "EXEMPLAR_COLUMNS",
    "FORMAT",
    "HEADER_NAME",
    "KNOWN_COLUMNS",
    "LOCK_NAME",
    "QUARANTINE",
    "REJECTED_NAME",
    "TABLE_FOLDER",
    "AudioKey",
    "Checksums",
    "Header",
    "IndexInfo",
    "KnownRow",
    "KnownRows",
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
    "is_data",
    "known_rows",
    "label_names",
    "lance_reason",
    "manifest_names",
    "newest_manifest",
    "read_header",
    "read_rejections",
    "read_values",
    "root_of",
    "row_digest",
    "set_aside",
    "sql_literal",
    "stored_fingerprint",
    "to_arrow",
    "vectors_of",
    "whole_rows",
    "write_rejections",
    "write_text",
]
