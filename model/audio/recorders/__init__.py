"""Field recorders: when and where a recording was made, by its metadata and its name."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
