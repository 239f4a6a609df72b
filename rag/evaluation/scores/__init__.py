"""Scores of a run: metrics of its arms, comparisons of arms and the verdict."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
