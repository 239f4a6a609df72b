"""The page: a local server to listen, label and ask; FastAPI is imported when it starts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
