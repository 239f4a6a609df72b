from .density import DensityRow, count_density, scanned_part
from .detection import Detection, Detectors, Example, ExampleRecording, fit_detectors
from .evaluation import evaluate_scan
from .events import Events, LabelSummary, row_dict
from .examples import ExampleSources, RecordingNames
from .metrics import METRICS, EventEvaluation
from .page import write_events_page, write_scan_page
from .part import ScanPart, hours_of
from .rehearsal import ScanPlan, rehearse_scan
from .result_folder import find_recording, is_scan, recording_places, vectors_folder
from .scanner import ScanOptions, ScanProgress, scan
from .settings import DEFAULT_THRESHOLD, ScanSettings

__all__ = [
    "DEFAULT_THRESHOLD",
    "METRICS",
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
    "find_recording",
    "fit_detectors",
    "hours_of",
    "is_scan",
    "recording_places",
    "rehearse_scan",
    "row_dict",
    "scan",
    "scanned_part",
    "vectors_folder",
    "write_events_page",
    "write_scan_page",
]
