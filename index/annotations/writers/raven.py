"""Raven selection tables: one per recording, or one for all with the offset in each file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from earful.errors import CorpusError
from earful.files import write_atomically
from earful.index.annotations.event import Event
from earful.index.annotations.recording import RecordingRow
from earful.index.annotations.writers.cells import number, one_line, seconds, tab_line
from earful.index.annotations.writers.own_tables import in_order
from earful.wording import quoted

RAVEN_COLUMNS: Final = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)"),
    *("High Freq (Hz)", "Begin Path", "Begin File", "File Offset (s)", "Label", "Score"),
)
_VIEW: Final = "Spectrogram 1"


def write_raven(path: Path, events: Iterable[Event], recording: RecordingRow) -> None:
    """Write Raven's selection table of one recording.

    Args:
        path: Such as ``night.selections.txt``; what is there is replaced at once.
        events: Those of the recording.
        recording: Tells the highest frequency, where an event does not.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    lines = [tab_line(RAVEN_COLUMNS)]
    for selection, event in enumerate(in_order(events), start=1):
        lines.append(_line(selection, event, recording, before_s=0.0))
    write_atomically(path, "".join(lines))


def write_raven_combined(
    path: Path, events: Iterable[Event], recordings: Iterable[RecordingRow]
) -> None:
    """Write one selection table for all recordings, which Raven opens one after the other.

    ``Begin Time (s)`` runs on from file to file, in the order of their names, and counts those
    without events, too; ``File Offset (s)`` is the time in the file.

    Args:
        path: The file; what is there is replaced at once.
        events: Of any of the recordings.
        recordings: All of them.

    Raises:
        CorpusError: It is not known how long a recording before one with events is.
        OSError: It cannot be written; what was there before is unchanged.
    """
    of_recording: dict[str, list[Event]] = {}
    for event in in_order(events):
        of_recording.setdefault(event.recording, []).append(event)
    rows = {row.recording: row for row in recordings}
    lines, selection = [tab_line(RAVEN_COLUMNS)], 0
    before_s: float = 0.0
    unknown = ""
    for name in sorted({*rows, *of_recording}):
        row = rows.get(name, RecordingRow(recording=name))
        for event in of_recording.get(name, []):
            if unknown:
                raise CorpusError(
                    f"{path}: it is not known how long {quoted(unknown)} is, so times cannot run "
                    "on after it; write a table per recording (raven)"
                )
            selection += 1
            lines.append(_line(selection, event, row, before_s))
        # Raven cannot open what could not be read either.
        is_open = row.was_read
        unknown = unknown or (name if is_open and row.duration_s is None else "")
        before_s += (row.duration_s or 0.0) if is_open else 0.0
    write_atomically(path, "".join(lines))


def _line(selection: int, event: Event, recording: RecordingRow, before_s: float) -> str:
    nyquist = None if recording.sample_rate is None else recording.sample_rate / 2
    path = one_line(event.recording)
    return tab_line(
        [
            str(selection),
            _VIEW,
            "1",
            seconds(before_s + event.start_s),
            seconds(before_s + event.end_s),
            number(event.low_hz or 0.0, 1),
            number(nyquist if event.high_hz is None else event.high_hz, 1),
            path,
            PurePosixPath(path).name,
            seconds(event.start_s),
            one_line(event.label),
            number(event.score),
        ]
    )
