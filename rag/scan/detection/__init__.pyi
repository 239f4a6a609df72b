from .calibration import Calibration
from .detector import Detection, Detector, DoubtfulExample, FoundEvent
from .detectors import Detectors, fit_detectors
from .events import Edges, median
from .examples import Example, ExampleRecording

__all__ = [
    "Calibration",
    "Detection",
    "Detector",
    "Detectors",
    "DoubtfulExample",
    "Edges",
    "Example",
    "ExampleRecording",
    "FoundEvent",
    "fit_detectors",
    "median",
]
