"""Recordings of hours and the steps that are kept of them, so that each is decoded once."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
