"""Blocks: recordings of any length, read from beginning to end in little memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
