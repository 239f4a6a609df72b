"""YAMNet: an encoder that heard AudioSet, and what it says of its 521 classes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
