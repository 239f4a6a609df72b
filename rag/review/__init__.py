"""Review: what a reviewer is shown next of a scan or an index, and what labels change."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
