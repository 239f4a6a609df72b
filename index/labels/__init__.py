"""Labels that people set: an append-only journal, and what follows from its lines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
