"""Tables of labels: what reviewers said elsewhere comes in, and what they said here goes out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
