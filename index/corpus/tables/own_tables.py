r"""Our own tables of events, recordings, examples and clips: their columns, and guarded cells.

Spreadsheets run a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return
as a formula, and a label is a stranger's text. So our CSV tables put ``'`` before such a cell, and
reading one of them takes it away again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

EVENT_COLUMNS: Final = (
    *("event_id", "recording", "recording_sha256", "start_s", "end_s", "label", "score", "margin"),
    *("probability", "n_reviewed", "starts_at", "site", "latitude", "longitude"),
    *("nearest_example", "similarity", "low_hz", "high_hz", "review", "reviewer", "reviewed_at"),
)
RECORDING_COLUMNS: Final = (
    *("recording", "sha256", "status", "reason", "duration_s", "sample_rate", "channels", "bytes"),
    *("starts_at", "time_source", "site", "latitude", "longitude", "device", "n_steps"),
    *("n_events", "notes", "extra", "time_expansion"),
)
EXAMPLE_COLUMNS: Final = (
    *("recording", "start_s", "end_s", "label", "polarity", "score", "low_hz", "high_hz"),
    *("channel", "origin"),
)
CLIP_COLUMNS: Final = (
    *("file_name", "labels", "group", "recording", "start_s", "end_s", "score", "review"),
    *("recording_start_s", "recording_end_s", "event_id"),
)
BIRDNET_COLUMNS: Final = (
    *("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File"),
)
BIRDNET_R_COLUMNS: Final = (
    *("filepath", "start", "end", "scientific_name", "common_name", "confidence", "lat", "lon"),
    *("week", "overlap", "sensitivity", "min_conf", "species_list", "model"),
)
KALEIDOSCOPE_COLUMNS: Final = (
    *("INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "TOP1MATCH", "TOP1DIST"),
)
_GUARDED: Final = frozenset(
    {EVENT_COLUMNS, RECORDING_COLUMNS, EXAMPLE_COLUMNS, CLIP_COLUMNS}
    | {BIRDNET_COLUMNS, BIRDNET_R_COLUMNS, KALEIDOSCOPE_COLUMNS}
)
_FORMULA = re.compile("'*[=+\\-@\t\r]")
_GUARDED_CELL = re.compile("'+[=+\\-@\t\r]")


def guarded(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs.

    >>> guarded("=1+1"), guarded("wren"), guarded("'-x")
    ("'=1+1", 'wren', "''-x")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that ``guarded`` made.

    >>> unguarded("'=1+1"), unguarded("'tis"), unguarded("''-x")
    ('=1+1', "'tis", "'-x")
    """
    return cell[1:] if _GUARDED_CELL.match(cell) else cell


def is_guarded(columns: Iterable[str]) -> bool:
    """Whether a table with these columns is one of ours, whose cells are guarded."""
    return tuple(columns) in _GUARDED
