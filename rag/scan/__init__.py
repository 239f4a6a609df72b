"""Scans: where in hours of recordings a sound is, from a few examples of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
