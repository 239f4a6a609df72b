"""earful-small: a narrowed aisfx network and YAMNet side by side, and what names make of both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
