from .changes import Change, Labelled, PrecisionOfRandom, Progress, Refit
from .commit import CommitReport, commit_labels, is_index
from .item import NearestExample, ReviewItem, UnknownItemError
from .queues import STRATEGIES, Lease, LeasedError
from .session import ReviewSession
from .settings import ReviewSettings

__all__ = [
    "STRATEGIES",
    "Change",
    "CommitReport",
    "Labelled",
    "Lease",
    "LeasedError",
    "NearestExample",
    "PrecisionOfRandom",
    "Progress",
    "Refit",
    "ReviewItem",
    "ReviewSession",
    "ReviewSettings",
    "UnknownItemError",
    "commit_labels",
    "is_index",
]
