"""Field recordings in corpora: sites as groups, and the table of what their owner knows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
