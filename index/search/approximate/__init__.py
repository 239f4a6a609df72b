"""Approximate search: settings, the recall that they give, and an index built in parts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
