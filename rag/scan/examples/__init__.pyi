from .marked import MarkedRecording, OpenStretch, digest_marks
from .naming import RecordingNames
from .sources import ExampleSources, GatheredExamples, gather_examples
from .standing import narrow_clips

__all__ = [
    "ExampleSources",
    "GatheredExamples",
    "MarkedRecording",
    "OpenStretch",
    "RecordingNames",
    "digest_marks",
    "gather_examples",
    "narrow_clips",
]
