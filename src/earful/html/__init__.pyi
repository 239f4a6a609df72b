from .page import Cell, Page

__all__ = [
    "Cell",
    "Page",
]
