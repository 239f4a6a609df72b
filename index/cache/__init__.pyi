from .features import ExemplarFeatures
from .scores import KeptReplays

__all__ = [
    "ExemplarFeatures",
    "KeptReplays",
]
