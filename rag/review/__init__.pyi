from .changes import Change, Labelled, PrecisionOfRandom, Progress, Refit
from .commit import CommitReport, commit_labels, is_index
from .item import NearestExample, ReviewItem, UnknownItemError
from .queues import STRATEGIES, Lease, LeasedError
from .session import ReviewSession
from .settings import ReviewSettings
from .tables import (
    ROW_PREFIX,
    LabelsExport,
    LabelsImport,
    export_labels,
    import_labels,
    require_unreviewed,
)

__all__ = [
    "ROW_PREFIX",
    "STRATEGIES",
    "Change",
    "CommitReport",
    "Labelled",
    "LabelsExport",
    "LabelsImport",
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
    "export_labels",
    "import_labels",
    "is_index",
    "require_unreviewed",
]
