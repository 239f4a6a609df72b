from .label_lists import listed_labels
from .moved_paths import MovedPaths
from .names import (
    ALIASES,
    DASHES,
    KNOWN_COLUMNS,
    MAY_BE_MISSING,
    MISSING,
    TRANSCRIPT,
    is_missing,
    likely_label_column,
    no_labels_fault,
)
from .odd_labels import LabelCounts, channels_note
from .times import add_times, looks_like_time, scale_of, times_note, times_options, unused_times

__all__ = [
    "ALIASES",
    "DASHES",
    "KNOWN_COLUMNS",
    "MAY_BE_MISSING",
    "MISSING",
    "TRANSCRIPT",
    "LabelCounts",
    "MovedPaths",
    "add_times",
    "channels_note",
    "is_missing",
    "likely_label_column",
    "listed_labels",
    "looks_like_time",
    "no_labels_fault",
    "scale_of",
    "times_note",
    "times_options",
    "unused_times",
]
