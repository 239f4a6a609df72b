from .interruption import INTERRUPTED, InterruptedExit, told_if_interrupted
from .lazy_commands import LazyGroup

__all__ = ["INTERRUPTED", "InterruptedExit", "LazyGroup", "told_if_interrupted"]
