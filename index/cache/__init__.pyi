from .features import FeatureCacheFolder
from .scores import ScoreCache
from .snapshot import Snapshot

__all__ = [
    "FeatureCacheFolder",
    "ScoreCache",
    "Snapshot",
]
