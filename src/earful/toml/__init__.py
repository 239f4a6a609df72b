"""TOML files that people write, checked against dataclasses; every mistake has its line."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
