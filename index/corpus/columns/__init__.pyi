from .contents import ColumnContents
from .label_lists import listed_labels
from .moved_paths import MovedPaths
from .names import (
    ALIASES,
    DASHES,
    KNOWN_COLUMNS,
    MAY_BE_MISSING,
    TRANSCRIPT,
    fields_meant,
    is_missing,
)
from .odd_labels import LabelCounts, channels_note
from .times import (
    TimeForm,
    add_times,
    looks_like_time,
    scale_of,
    time_form,
    times_note,
    times_options,
    unused_times,
)

__all__ = [
    "ALIASES",
    "DASHES",
    "KNOWN_COLUMNS",
    "MAY_BE_MISSING",
    "TRANSCRIPT",
    "ColumnContents",
    "LabelCounts",
    "MovedPaths",
    "TimeForm",
    "add_times",
    "channels_note",
    "fields_meant",
    "is_missing",
    "listed_labels",
    "looks_like_time",
    "scale_of",
    "time_form",
    "times_note",
    "times_options",
    "unused_times",
]
