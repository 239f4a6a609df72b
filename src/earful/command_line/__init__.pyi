from .lazy_commands import LazyGroup

__all__ = ["LazyGroup"]
