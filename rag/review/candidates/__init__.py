"""Candidates: the stretches of a scan, or the rows of an index, that may be asked about."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
