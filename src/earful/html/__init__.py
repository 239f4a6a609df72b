"""HTML pages, each in one file, with tables, plots and players."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
