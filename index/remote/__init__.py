"""Indexes in object stores: immutable objects, one manifest, and a local mirror to work in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
