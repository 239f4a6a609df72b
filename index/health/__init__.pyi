from .check import Health, check_health
from .findings import HealthLimits
from .map import COLOR_BY, METHODS, map_index, write_map_page
from .page import doubt, summary, write_health_page

__all__ = [
    "COLOR_BY",
    "METHODS",
    "Health",
    "HealthLimits",
    "check_health",
    "doubt",
    "map_index",
    "summary",
    "write_health_page",
    "write_map_page",
]
