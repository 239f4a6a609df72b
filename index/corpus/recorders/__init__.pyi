from .grouping import GroupBy, Grouping
from .recordings_table import RecordingsTable, read_recordings_table

__all__ = ["GroupBy", "Grouping", "RecordingsTable", "read_recordings_table"]
