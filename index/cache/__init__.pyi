from .features import FeatureCacheFolder
from .scores import ScoreCache

__all__ = [
    "FeatureCacheFolder",
    "ScoreCache",
]
