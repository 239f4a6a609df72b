from .agreement import Agreement, Difference, PairAgreement, find_agreement
from .fold import ItemState, ItemStatus, LabelState
from .journal import JOURNAL_FILE, LabelJournal, journal_path
from .label import POLARITIES, Label, LabelSource, Polarity, Undo, moment_text
from .marks import read_mark_reviewers, read_marks
from .reviews import ReviewedEvents, Stretches, overlap, recording_key, review_events

__all__ = [
    "JOURNAL_FILE",
    "POLARITIES",
    "Agreement",
    "Difference",
    "ItemState",
    "ItemStatus",
    "Label",
    "LabelJournal",
    "LabelSource",
    "LabelState",
    "PairAgreement",
    "Polarity",
    "ReviewedEvents",
    "Stretches",
    "Undo",
    "find_agreement",
    "journal_path",
    "moment_text",
    "overlap",
    "read_mark_reviewers",
    "read_marks",
    "recording_key",
    "review_events",
]
