"""Detection of sounds in recordings: examples become detectors, and these find events."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
