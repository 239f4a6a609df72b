from .page import write_events_page
from .settings import DEFAULT_THRESHOLD, ScanSettings

__all__ = [
    "DEFAULT_THRESHOLD",
    "ScanSettings",
    "write_events_page",
]
