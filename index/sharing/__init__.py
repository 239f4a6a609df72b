"""Sharing: an index pushed to a hub and pulled from one, with its card."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
