"""Audacity label tracks: start, end and label with tabs between, and a band of frequencies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from earful.files import write_atomically
from earful.index.annotations.event import Event
from earful.index.annotations.writers.cells import number, one_line, tab_line
from earful.index.annotations.writers.own_tables import in_order

_DIGITS = 6


def write_audacity(
    path: Path, events: Iterable[Event], *, score: bool = False, band: bool = False
) -> None:
    """Write the label track of one recording; an empty file without events.

    Args:
        path: Such as ``night.audacity.txt``; what is there is replaced at once.
        events: Those of the recording.
        score: Whether each label ends in its score, as in ``wren 0.83``.
        band: Whether the band of frequencies follows, which needs Audacity 2.2 or later.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    lines = []
    for event in in_order(events):
        label = one_line(event.label) + (f" {number(event.score, 2)}" if score else "")
        times = (number(event.start_s, _DIGITS), number(event.end_s, _DIGITS))
        lines.append(tab_line([*times, label]))
        if band and event.low_hz is not None and event.high_hz is not None:
            sides = (number(event.low_hz, _DIGITS), number(event.high_hz, _DIGITS))
            lines.append(tab_line(["\\", *sides]))
    write_atomically(path, "".join(lines))
