"""Command line machinery: commands imported when they are typed, parameters without pydantic."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
