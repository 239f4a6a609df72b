from .chart import (
    Axis,
    Bar,
    Point,
    Series,
    draw_bars,
    draw_boxes,
    draw_counts,
    draw_key,
    draw_map,
    draw_series,
)
from .page import Cell, Page
from .render import render

__all__ = [
    "Axis",
    "Bar",
    "Cell",
    "Page",
    "Point",
    "Series",
    "draw_bars",
    "draw_boxes",
    "draw_counts",
    "draw_key",
    "draw_map",
    "draw_series",
    "render",
]
