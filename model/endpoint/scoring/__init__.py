"""Scoring by an endpoint: what is asked for scores of answers, and what replies say of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
