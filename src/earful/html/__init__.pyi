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
from .notebook import notebook_html
from .page import Cell, Page
from .player import Played, Players
from .render import render

__all__ = [
    "Axis",
    "Bar",
    "Cell",
    "Page",
    "Played",
    "Players",
    "Point",
    "Series",
    "draw_bars",
    "draw_boxes",
    "draw_counts",
    "draw_key",
    "draw_map",
    "draw_series",
    "notebook_html",
    "render",
]
