from .candidate import (
    ByPlace,
    Candidate,
    CandidateKind,
    is_same_sound,
    keep_ids,
    overlap_s,
    without_same,
)
from .scan_source import ScanSource
from .source import Found, Place, ReviewSource

__all__ = [
    "ByPlace",
    "Candidate",
    "CandidateKind",
    "Found",
    "Place",
    "ReviewSource",
    "ScanSource",
    "is_same_sound",
    "keep_ids",
    "overlap_s",
    "without_same",
]
