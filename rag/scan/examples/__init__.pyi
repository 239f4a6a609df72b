from .marked import MarkedRecording, OpenStretch, digest_marks
from .naming import RecordingNames
from .reviewed import describe_change, describe_doubtful, read_events_before
from .sources import ExampleSources, GatheredExamples, gather_examples
from .standing import narrow_clips

__all__ = [
    "ExampleSources",
    "GatheredExamples",
    "MarkedRecording",
    "OpenStretch",
    "RecordingNames",
    "describe_change",
    "describe_doubtful",
    "digest_marks",
    "gather_examples",
    "narrow_clips",
    "read_events_before",
]
