from .check import Health, check_health
from .findings import Finding, HealthLimits, LabelHealth
from .map import COLOR_BY, METHODS, map_index, write_map_page
from .page import doubt, summary, write_health_page

__all__ = [
    "COLOR_BY",
    "METHODS",
    "Finding",
    "Health",
    "HealthLimits",
    "LabelHealth",
    "check_health",
    "doubt",
    "map_index",
    "summary",
    "write_health_page",
    "write_map_page",
]
