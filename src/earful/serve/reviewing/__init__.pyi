from .desk import Desk
from .event_filter import EventFilter, filter_events
from .event_table import MOST_ROWS, EventTable, page_of
from .hours import count_hours
from .rows import (
    event_row,
    find_source,
    item_row,
    label_row,
    line_row,
    recording_row,
    source_id,
)

__all__ = [
    "MOST_ROWS",
    "Desk",
    "EventFilter",
    "EventTable",
    "count_hours",
    "event_row",
    "filter_events",
    "find_source",
    "item_row",
    "label_row",
    "line_row",
    "page_of",
    "recording_row",
    "source_id",
]
