"""Diagnostics: what an installation lacks, what a bug report needs, and logs on stderr."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
