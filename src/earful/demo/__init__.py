"""The demo: the main job, end to end, on recordings that come with earful.

An index is built from the labelled demo corpus. Then clips are classified whose labels are
not in that index, from the few examples that a task file has. Last, a long recording is mixed
from the same sounds, and one of them is looked for in it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
