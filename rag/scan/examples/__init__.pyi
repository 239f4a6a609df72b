from .naming import RecordingNames
from .sources import (
    ExampleSources,
    GatheredExamples,
    MarkedRecording,
    OpenStretch,
    gather_examples,
)

__all__ = [
    "ExampleSources",
    "GatheredExamples",
    "MarkedRecording",
    "OpenStretch",
    "RecordingNames",
    "gather_examples",
]
