"""Runs of an evaluation: arms asked about items, of one language model or of several."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
