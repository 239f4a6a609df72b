"""Prompts of the hub's models as their networks read them: once, in parts, or several together."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
