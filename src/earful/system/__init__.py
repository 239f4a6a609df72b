"""What differs between systems: locks, durable writes, limits on processes, folders, names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
