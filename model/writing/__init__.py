"""Writing of answers: tokens are chosen one by one, and made a text until it ends."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
