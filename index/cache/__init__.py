"""Caches kept with an index: features and scores that language models made of its exemplars."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
