from .annotation import Annotation, Polarity
from .event import Event, event_id
from .recording import RecordingRow, RecordingStatus

__all__ = [
    "Annotation",
    "Event",
    "Polarity",
    "RecordingRow",
    "RecordingStatus",
    "event_id",
]
