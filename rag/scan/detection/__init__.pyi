from .calibration import Calibration
from .detector import Detection, Detector, FoundEvent
from .detectors import Detectors, fit_detectors
from .events import Edges, median
from .examples import Example, ExampleRecording

__all__ = [
    "Calibration",
    "Detection",
    "Detector",
    "Detectors",
    "Edges",
    "Example",
    "ExampleRecording",
    "FoundEvent",
    "fit_detectors",
    "median",
]
