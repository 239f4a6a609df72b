"""What the page plays and draws: stretches as WAV, spectrograms, overviews."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
