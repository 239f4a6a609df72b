from .dispatch import UNPACK, read_source
from .sources import PlacedRow, RawRow, find_files, is_lfs_pointer, read_text

__all__ = [
    "UNPACK",
    "PlacedRow",
    "RawRow",
    "find_files",
    "is_lfs_pointer",
    "read_source",
    "read_text",
]
