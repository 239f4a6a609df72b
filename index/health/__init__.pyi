from .check import Health, check_health
from .findings import Finding, HealthLimits, LabelHealth, counted_kind
from .map import COLOR_BY, METHODS, map_index, write_map_page
from .near_duplicates import propose_pairs
from .page import doubt, summary, write_health_page
from .same_recording import Compared, Segment, compare_signals

__all__ = [
    "COLOR_BY",
    "METHODS",
    "Compared",
    "Finding",
    "Health",
    "HealthLimits",
    "LabelHealth",
    "Segment",
    "check_health",
    "compare_signals",
    "counted_kind",
    "doubt",
    "map_index",
    "propose_pairs",
    "summary",
    "write_health_page",
    "write_map_page",
]
