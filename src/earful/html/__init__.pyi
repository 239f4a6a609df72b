from .chart import Axis, Point, Series
from .page import Page
from .render import render

__all__ = ["Axis", "Page", "Point", "Series", "render"]
