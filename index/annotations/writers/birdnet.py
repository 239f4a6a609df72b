"""Tables as BirdNET-Analyzer and Kaleidoscope write them, for whoever reads theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from earful.files import write_atomically
from earful.index.annotations.event import Event
from earful.index.annotations.writers.cells import csv_line, csv_text, number, seconds
from earful.index.annotations.writers.own_tables import in_order
from earful.index.corpus import BIRDNET_COLUMNS, BIRDNET_R_COLUMNS, KALEIDOSCOPE_COLUMNS

# BirdNET's own form of a class: Troglodytes troglodytes_Eurasian Wren.
_TWO_NAMES = re.compile(r"([A-Z][a-z-]+(?: [a-z.-]+)+)_([^_]+)")


def write_birdnet(path: Path, events: Iterable[Event]) -> None:
    """Write one table of all recordings with the columns of BirdNET's combined table.

    The label stands in both columns of names, unless it is ``Scientific name_Common name``.

    Args:
        path: Such as ``earful_CombinedTable.csv``; what is there is replaced at once.
        events: Of any recordings.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    lines = [csv_line(BIRDNET_COLUMNS)]
    for event in in_order(events):
        scientific, common = _two_names(event.label)
        lines.append(
            csv_line(
                [
                    seconds(event.start_s),
                    seconds(event.end_s),
                    csv_text(scientific),
                    csv_text(common),
                    number(_confidence(event)),
                    csv_text(event.recording),
                ]
            )
        )
    write_atomically(path, "".join(lines))


def write_birdnet_for_r(path: Path, events: Iterable[Event]) -> None:
    """Write the table of one recording that BirdNET-Analyzer writes for R (``rtype="r"``).

    NSNSDAcoustics' ``birdnet_format`` takes these columns and no other, of files whose names end
    in ``.BirdNET.results.csv``.

    Args:
        path: Such as ``night.BirdNET.results.csv``; what is there is replaced at once.
        events: Those of the recording.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    lines = [csv_line(BIRDNET_R_COLUMNS)]
    for event in in_order(events):
        cells = [
            csv_text(event.recording),
            seconds(event.start_s),
            seconds(event.end_s),
            *map(csv_text, _two_names(event.label)),
            number(_confidence(event)),
            number(event.latitude, 6),
            number(event.longitude, 6),
        ]
        # What only BirdNET has: week, overlap, sensitivity, least confidence, list of species.
        lines.append(csv_line([*cells, *[""] * 5, "earful"]))
    write_atomically(path, "".join(lines))


def write_kaleidoscope(path: Path, events: Iterable[Event]) -> None:
    """Write one table of all recordings with the columns of Kaleidoscope's.

    ``TOP1DIST`` is how much the score lacks to 1, so that the best comes first as it does there.

    Args:
        path: The file; what is there is replaced at once.
        events: Of any recordings.

    Raises:
        OSError: It cannot be written; what was there before is unchanged.
    """
    lines = [csv_line(KALEIDOSCOPE_COLUMNS)]
    for event in in_order(events):
        recording = PurePosixPath(event.recording)
        parts = recording.parent.parts
        # The folder that holds the recording is FOLDER, and whatever is above it INDIR.
        above, folder = (PurePosixPath(*parts[:-1]), parts[-1]) if parts else ("", "")
        if folder == "/":
            above, folder = PurePosixPath("/"), ""
        lines.append(
            csv_line(
                [
                    csv_text("" if str(above) == "." else str(above)),
                    csv_text(folder),
                    csv_text(recording.name),
                    seconds(event.start_s),
                    seconds(round(event.end_s, 3) - round(event.start_s, 3)),
                    csv_text(event.label),
                    number(1.0 - _confidence(event)),
                ]
            )
        )
    write_atomically(path, "".join(lines))


def _two_names(label: str) -> tuple[str, str]:
    """Return a label's scientific and common name: both the label, unless it holds both."""
    names = _TWO_NAMES.fullmatch(label)
    return (names[1], names[2]) if names else (label, label)


def _confidence(event: Event) -> float:
    return min(1.0, max(0.0, event.score))
