from .marked import MarkedRecording, OpenStretch
from .naming import RecordingNames
from .sources import ExampleSources, GatheredExamples, gather_examples

__all__ = [
    "ExampleSources",
    "GatheredExamples",
    "MarkedRecording",
    "OpenStretch",
    "RecordingNames",
    "gather_examples",
]
