"""Health: faults of a labelled corpus, found by measurement, and its map."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
