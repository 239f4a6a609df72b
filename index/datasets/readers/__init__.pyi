from .dispatch import UNPACK, read_source
from .sources import Placed, Raw, find_files, is_pointer, read_text

__all__ = [
    "UNPACK",
    "Placed",
    "Raw",
    "find_files",
    "is_pointer",
    "read_source",
    "read_text",
]
