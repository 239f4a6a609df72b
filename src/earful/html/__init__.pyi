from .chart import Axis, Point, Series, across, upwards
from .notebook import notebook_html
from .page import PAGE_MARK, Page
from .player import Played, Players
from .png import encode_png
from .render import render
from .spectrogram import draw_overview

__all__ = [
    "PAGE_MARK",
    "Axis",
    "Page",
    "Played",
    "Players",
    "Point",
    "Series",
    "across",
    "draw_overview",
    "encode_png",
    "notebook_html",
    "render",
    "upwards",
]
