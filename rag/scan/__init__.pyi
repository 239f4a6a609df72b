from .events import Events, LabelSummary
from .page import write_events_page
from .part import ScanPart, hours_of
from .result_folder import read_scan, vectors_folder
from .scanner import ScanOptions, ScanProgress, scan
from .settings import DEFAULT_THRESHOLD, ScanSettings
from .sources import ExampleSources

__all__ = [
    "DEFAULT_THRESHOLD",
    "Events",
    "ExampleSources",
    "LabelSummary",
    "ScanOptions",
    "ScanPart",
    "ScanProgress",
    "ScanSettings",
    "hours_of",
    "read_scan",
    "scan",
    "vectors_folder",
    "write_events_page",
]
