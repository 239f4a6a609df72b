from .annotation_table import Annotations, read_annotations
from .own_rows import NOTE_SEPARATOR, read_events, read_recordings

__all__ = [
    "NOTE_SEPARATOR",
    "Annotations",
    "read_annotations",
    "read_events",
    "read_recordings",
]
