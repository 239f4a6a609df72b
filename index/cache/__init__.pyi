from .features import FeatureCacheFolder
from .prepared import PreparedCache, key_of
from .scores import ScoreCache
from .snapshot import Snapshot

__all__ = [
    "FeatureCacheFolder",
    "PreparedCache",
    "ScoreCache",
    "Snapshot",
    "key_of",
]
