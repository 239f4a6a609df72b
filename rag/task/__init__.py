"""Tasks: a question with its labels and shots, made in Python or read from a TOML file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
