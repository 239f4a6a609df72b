from .answer import Answer, LabelScore
from .blend import Blend
from .few_shot import FewShot

__all__ = [
    "Answer",
    "Blend",
    "FewShot",
    "LabelScore",
]
