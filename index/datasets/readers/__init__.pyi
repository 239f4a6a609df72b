from .dispatch import UNPACK, read_source
from .layout import absent_files, find_base, find_sources, passed_over_files
from .sources import (
    OnFault,
    PlacedRow,
    RawRow,
    files_to_read,
    find_files,
    is_lfs_pointer,
    pointer_files,
    read_text,
    source_name,
)

__all__ = [
    "UNPACK",
    "OnFault",
    "PlacedRow",
    "RawRow",
    "absent_files",
    "files_to_read",
    "find_base",
    "find_files",
    "find_sources",
    "is_lfs_pointer",
    "passed_over_files",
    "pointer_files",
    "read_source",
    "read_text",
    "source_name",
]
