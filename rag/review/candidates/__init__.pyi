from .candidate import (
    ByPlace,
    Candidate,
    CandidateKind,
    is_same_sound,
    keep_ids,
    overlap_s,
    without_same,
)
from .doubtful import IndexSource
from .peaks import Peak, find_peaks
from .scan_source import ScanSource
from .source import Found, Place, ReviewSource

__all__ = [
    "ByPlace",
    "Candidate",
    "CandidateKind",
    "Found",
    "IndexSource",
    "Peak",
    "Place",
    "ReviewSource",
    "ScanSource",
    "find_peaks",
    "is_same_sound",
    "keep_ids",
    "overlap_s",
    "without_same",
]
