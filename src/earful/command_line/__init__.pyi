from .interruption import INTERRUPTED, InterruptedExit, told_if_interrupted
from .lazy_commands import LazyGroup
from .streams import escape_what_streams_cannot_write, is_unicode

__all__ = [
    "INTERRUPTED",
    "InterruptedExit",
    "LazyGroup",
    "escape_what_streams_cannot_write",
    "is_unicode",
    "told_if_interrupted",
]
