"""Object stores: addresses such as ``s3://bucket/key``, and what is read and written there."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
