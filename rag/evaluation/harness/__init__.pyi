from .adapter import FewShotAdapter
from .lmms_manifest import lmms_manifest

__all__ = ["FewShotAdapter", "lmms_manifest"]
