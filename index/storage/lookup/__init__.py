"""Which rows an index holds already: packed in memory, found by id and by audio."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
