"""Labels in tables: read of tables that others filled in, written for others, rows of an index."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
