"""Work of the server: heavy calls in turn, and changes told to everybody who looks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
