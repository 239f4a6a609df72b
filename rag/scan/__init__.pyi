from .density import DENSITY_KEYS, DensityRow, count_density, scanned_part
from .detection import Detection, Detectors, Example, ExampleRecording, fit_detectors
from .evaluation import evaluate_scan, kept_scores
from .events import Events, LabelSummary, row_dict
from .examples import ExampleSources, RecordingNames
from .metrics import METRICS, EventEvaluation
from .page import MOST_MINUTES, MOST_PLAYED, write_events_page, write_scan_page
from .part import ScanPart, hours_of
from .rehearsal import ScanPlan, rehearse_scan
from .result_folder import is_scan, read_scan, vectors_folder
from .scanner import ScanOptions, ScanProgress, scan
from .settings import DEFAULT_THRESHOLD, ScanSettings

__all__ = [
    "DEFAULT_THRESHOLD",
    "DENSITY_KEYS",
    "METRICS",
    "MOST_MINUTES",
    "MOST_PLAYED",
    "DensityRow",
    "Detection",
    "Detectors",
    "EventEvaluation",
    "Events",
    "Example",
    "ExampleRecording",
    "ExampleSources",
    "LabelSummary",
    "RecordingNames",
    "ScanOptions",
    "ScanPart",
    "ScanPlan",
    "ScanProgress",
    "ScanSettings",
    "count_density",
    "evaluate_scan",
    "fit_detectors",
    "hours_of",
    "is_scan",
    "kept_scores",
    "read_scan",
    "rehearse_scan",
    "row_dict",
    "scan",
    "scanned_part",
    "vectors_folder",
    "write_events_page",
    "write_scan_page",
]
