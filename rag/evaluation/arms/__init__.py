"""Arms: ways to answer the items of an evaluation, with its baselines and controls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
