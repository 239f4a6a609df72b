from .cards import EvaluationFigures, IndexCard, index_card
from .layout import PullLimits
from .pull import PullReport, pull_index
from .push import PushPlan, PushReport, push_index
from .records import PulledRecord

__all__ = [
    "EvaluationFigures",
    "IndexCard",
    "PullLimits",
    "PullReport",
    "PulledRecord",
    "PushPlan",
    "PushReport",
    "index_card",
    "pull_index",
    "push_index",
]
