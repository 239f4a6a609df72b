from .features import FeatureCacheFolder
from .label_counts import LabelCounts
from .prepared import PreparedCache, key_of
from .scores import ScoreCache
from .snapshot import Snapshot

__all__ = [
    "FeatureCacheFolder",
    "LabelCounts",
    "PreparedCache",
    "ScoreCache",
    "Snapshot",
    "key_of",
]
