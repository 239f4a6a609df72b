"""Arms: ways to answer the same items, in earnest, as baselines and as controls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
