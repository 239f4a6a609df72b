"""Audio Flamingo v1: the network, its prompt format and its decoding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
