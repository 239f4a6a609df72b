from .counts import Counts
from .evaluation import METRICS, EventEvaluation, Metric, evaluate_events
from .psds import KeptScores, PsdsSettings
from .rules import CollarRule, IouRule, SegmentRule

__all__ = [
    "METRICS",
    "CollarRule",
    "Counts",
    "EventEvaluation",
    "IouRule",
    "KeptScores",
    "Metric",
    "PsdsSettings",
    "SegmentRule",
    "evaluate_events",
]
