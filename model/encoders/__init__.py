"""Audio encoders: log-mel front ends and the networks that several models share."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
