"""What language models that chat share: control strings, choices, checks, reports on requests."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
