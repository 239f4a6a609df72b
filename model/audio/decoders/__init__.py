"""What gets the samples out of a file: libsndfile and FFmpeg, and what they are told first."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
