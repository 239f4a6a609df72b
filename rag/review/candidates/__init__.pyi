from .candidate import (
    Candidate,
    CandidateKind,
    is_same_sound,
    keep_ids,
    without_same,
)
from .doubtful import IndexSource
from .peaks import find_peaks
from .scan_source import ScanSource
from .source import Found, Place, ReviewSource

__all__ = [
    "Candidate",
    "CandidateKind",
    "Found",
    "IndexSource",
    "Place",
    "ReviewSource",
    "ScanSource",
    "find_peaks",
    "is_same_sound",
    "keep_ids",
    "without_same",
]
