from .fold import ItemState, ItemStatus, LabelState
from .journal import JOURNAL_FILE, LabelJournal, journal_path
from .label import LABEL_SOURCES, POLARITIES, Label, LabelSource, Polarity, Undo

__all__ = [
    "JOURNAL_FILE",
    "LABEL_SOURCES",
    "POLARITIES",
    "ItemState",
    "ItemStatus",
    "Label",
    "LabelJournal",
    "LabelSource",
    "LabelState",
    "Polarity",
    "Undo",
    "journal_path",
]
