"""Annotations of recordings: what sounds where, as people mark it and as scans find it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
