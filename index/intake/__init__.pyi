from .arrow_memory import system_memory_for_arrow
from .decode_queue import (
    Decoded,
    Inspected,
    Rejected,
    RowDecoder,
    RowHome,
    Unchanged,
    in_order,
    reject_row,
)
from .doubtful import DoubtCounter, DoubtfulAudio
from .embedding import classes_of, require_class_scores
from .options import BuildOptions
from .pipeline import Intake, RowSource
from .replaced import Replaced, find_replaced
from .stretches import stored_stretches

__all__ = [
    "BuildOptions",
    "Decoded",
    "DoubtCounter",
    "DoubtfulAudio",
    "Inspected",
    "Intake",
    "Rejected",
    "Replaced",
    "RowDecoder",
    "RowHome",
    "RowSource",
    "Unchanged",
    "classes_of",
    "find_replaced",
    "in_order",
    "reject_row",
    "require_class_scores",
    "stored_stretches",
    "system_memory_for_arrow",
]
