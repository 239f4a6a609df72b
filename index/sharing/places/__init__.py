"""Places that indexes are pushed to: data sets of a hub, and folders in the same layout."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
