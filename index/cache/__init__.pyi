from .features import FeatureCacheFolder
from .label_counts import LabelCounts
from .names import CACHE_NAMES
from .prepared import PreparedCache, key_of
from .scores import ScoreCache
from .snapshot import Snapshot

__all__ = [
    "CACHE_NAMES",
    "FeatureCacheFolder",
    "LabelCounts",
    "PreparedCache",
    "ScoreCache",
    "Snapshot",
    "key_of",
]
