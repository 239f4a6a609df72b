"""The decoding sandbox: worker processes, so that a file that breaks a decoder breaks no run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
