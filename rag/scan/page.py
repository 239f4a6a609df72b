"""Events page: what a scan found, as one HTML file to look at and listen to."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.html import Page, draw_overview
from earful.index.annotations import Event, RecordingRow
from earful.index.recordings import StepStore
from earful.model.audio import whole_clock
from earful.rag.scan.density import scanned_part
from earful.rag.scan.events import Events
from earful.rag.scan.part import ScanPart, hours_of
from earful.rag.scan.result_folder import find_recording, vectors_folder
from earful.rag.scan.settings import DEFAULT_THRESHOLD
from earful.values import short_repr
from earful.wording import counted, duration_text

STRIP_S: Final = 600.0
"""Length of a strip of spectrogram, in seconds: two columns a second."""

_STRIP_COLUMNS = 1200
MOST_PLAYED: Final = 200
"""Events that get a player, unless told otherwise."""

MOST_MINUTES: Final = 60.0
"""Minutes that are drawn in stretches of ten, unless told otherwise."""

_MOST_RECORDINGS = 50
_MOST_ROWS = 1_000
# A mark is this wide at least, in columns of a picture: a narrower one is not seen.
_NARROWEST = 2.0
_PAD_S = 0.5
# Events no further above the threshold than this are looked at first.
_DOUBTFUL = 0.15

Overview = Callable[[RecordingRow], NDArray[np.uint8] | None]
"""Gives the overview of a recording; ``None`` where none is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An event in a picture.

    Attributes:
        x: Where it begins, in columns.
        width: Its width, in columns.
        event: The event.
        colour: Number of its label's colour.
    """

    x: float
    width: float
    event: Event
    colour: int

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A recording, or ten minutes of it, as a picture with its events.

    Attributes:
        title: What is shown.
        picture: Its spectrogram as a data URI; empty if none is kept.
        width: Width of the picture, in columns: 1200, or fewer where the recording ends.
        ticks: Columns with their times as text.
        marks: The events in it.
    """

    title: str
    picture: str
    width: float
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]

    __repr__ = short_repr


def write_scan_page(
    found: Events,
    path: Path,
    *,
    labels: Sequence[str] = (),
    min_score: float | None = None,
    most: int = MOST_PLAYED,
    most_minutes: float = MOST_MINUTES,
) -> None:
    """Write the page of a scan's result folder; see ``write_events_page``.

    Args:
        found: What a scan found.
        path: HTML file.
        labels: Only events of these; none for all.
        min_score: Only events of this score at least.
        most: Most events that get a player.
        most_minutes: Most minutes that are drawn in stretches of ten.

    Raises:
        CorpusError: A label is none of the scan, a limit is outside its range, or the page cannot
            be written.
        ScanError: What is kept of the recordings is damaged.
    """
    events = found.select(labels=labels, min_score=min_score)
    overview_of: Overview | None = None
    step_s = 1.0
    if found.folder is not None:
        store = StepStore.open(vectors_folder(found.folder))
        kept = store.keys()
        keys = {store.about(key).sha256: key for key in kept}
        step_s = store.settings.step_s

        def overview_of(row: RecordingRow) -> NDArray[np.uint8] | None:
            key = keys.get(row.sha256)
            return None if key is None else store.overview(key)

    write_events_page(
        events,
        found.recordings,
        path,
        title=found.folder.name if found.folder else "Events",
        overview_of=overview_of,
        step_s=step_s,
        thresholds={one.label: one.threshold for one in found.summaries},
        part=scanned_part(found),
        folder=found.folder,
        most=most,
        most_minutes=most_minutes,
    )


def write_events_page(
    events: Sequence[Event],
    recordings: Sequence[RecordingRow],
    path: Path,
    *,
    title: str = "Events",
    overview_of: Overview | None = None,
    step_s: float = 8192 / 44100,
    thresholds: dict[str, float] | None = None,
    part: ScanPart | None = None,
    folder: Path | None = None,
    most: int = MOST_PLAYED,
    most_minutes: float = MOST_MINUTES,
) -> None:
    """Write what a scan found as a page.

    It holds the events by label, site and hour of the day, each recording as a spectrogram with
    marks, the stretches of ten minutes with most events, and players for the best and the most
    doubtful events.

    Args:
        events: The events.
        recordings: All recordings of the scan, also those without events.
        path: HTML file.
        title: Title of the page.
        overview_of: Gives a recording's overview, uint8 of shape ``(n_steps, n_bands)``.
        step_s: Length of a step of these overviews, in seconds.
        thresholds: By label, to tell which events are doubtful.
        part: What was scanned of recordings or days; ``None`` for all.
        folder: Of the scan: recordings that are not where it names them are looked for beside it.
        most: Most events that get a player.
        most_minutes: Most minutes that are drawn in stretches of ten.

    Raises:
        CorpusError: A limit is outside its range, or the page cannot be written.
    """
    if most < 0:
        raise CorpusError(f"most={most}: expected 0 or more events")
    if not (math.isfinite(most_minutes) and most_minutes >= 0):
        raise CorpusError(f"most_minutes={most_minutes}: expected 0 or more minutes")
    thresholds = thresholds or {}
    labels = sorted({event.label for event in events})
    colours = {label: number for number, label in enumerate(labels)}
    page = Page(title)
    for event in _worth_hearing(events, thresholds, most):
        page.add_sound(
            event.event_id,
            find_recording(event.recording, folder),
            max(event.start_s - _PAD_S, 0.0),
            event.end_s + _PAD_S,
        )
    by_recording: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_recording[event.recording].append(event)
    shown = sorted(
        (row for row in recordings if row.duration_s),
        key=lambda row: (-len(by_recording[row.recording]), row.recording),
    )[:_MOST_RECORDINGS]
    busiest = _busiest(shown, by_recording, most_minutes)
    wholes: list[Strip] = []
    strips: list[Strip] = []
    for row in shown:
        # An overview of a night is large: it is read once, and let go before the next.
        levels = None if overview_of is None else overview_of(row)
        draw = partial(_strip, row, levels, step_s, by_recording[row.recording], colours)
        wholes.append(draw(0.0, row.duration_s))
        strips += [draw(start_s, STRIP_S) for start_s in busiest[row.recording]]
    scanned = _scanned(recordings, part or ScanPart())
    scanned_s = sum(
        (end_s - start_s) / row.time_expansion for row, spans in scanned for start_s, end_s in spans
    )
    doubtful = [event for event in events if _is_doubtful(event, thresholds)]
    try:
        page.write(
            path,
            "events_page.html",
            events=sorted(events, key=lambda event: -event.score)[:_MOST_ROWS],
            n_events=len(events),
            recordings=recordings,
            labels=_label_rows(events, labels, scanned_s / 3600),
            colours=colours,
            headline=_headline(events, doubtful, recordings),
            doubtful=doubtful,
            failed=[row for row in recordings if row.status != "ok"],
            effort=duration_text(scanned_s),
            hours=_hours(events, scanned),
            wholes=wholes,
            strips=strips,
            n_hidden_recordings=sum(bool(row.duration_s) for row in recordings) - len(shown),
            clock=clock,
        )
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written ({error.strerror})") from error


def _strip(
    row: RecordingRow,
    levels: NDArray[np.uint8] | None,
    step_s: float,
    events: Iterable[Event],
    colours: dict[str, int],
    start_s: float,
    length_s: float | None,
) -> Strip:
    """Draw a stretch of a recording that begins at ``start_s``."""
    end_s = start_s + (length_s or 0.0)
    whole_s = row.duration_s or end_s
    # The last stretch of ten minutes is shorter; its columns stay as wide.
    n_columns = _STRIP_COLUMNS * (min(end_s, whole_s) - start_s) / (end_s - start_s)
    per_s = _STRIP_COLUMNS / (end_s - start_s)
    first, last = math.floor(start_s / step_s), math.ceil(end_s / step_s)
    part = None if levels is None else levels[first:last]
    marks = []
    for event in events:
        if event.start_s < end_s and event.end_s > start_s:
            x = (max(event.start_s, start_s) - start_s) * per_s
            width = (min(event.end_s, end_s) - start_s) * per_s - x
            marks.append(
                Mark(
                    x=round(x, 1),
                    width=round(max(width, _NARROWEST), 1),
                    event=event,
                    colour=colours[event.label],
                )
            )
    name = row.recording
    if start_s or end_s < whole_s:
        name += f", from {clock(row, start_s)} to {clock(row, min(end_s, whole_s))}"
    return Strip(
        title=name,
        picture=draw_overview(part, max(round(n_columns), 1))
        if part is not None and len(part)
        else "",
        width=round(n_columns, 1),
        ticks=tuple(
            (round((second - start_s) * per_s, 1), clock(row, second))
            for second in _round_times(start_s, min(end_s, whole_s), end_s - start_s)
        ),
        marks=tuple(marks),
    )


def clock(row: RecordingRow, second: float) -> str:
    """Return a moment of a recording as a person reads it: by the clock, or from its start.

    >>> clock(RecordingRow(recording="a.wav"), 3725.4)
    '1:02:05'
    """
    if row.starts_at is not None:
        moment = row.starts_at + timedelta(seconds=second / row.time_expansion)
        return f"{moment:%H:%M:%S}"
    return whole_clock(second)


def _round_times(start_s: float, end_s: float, length_s: float) -> list[float]:
    """Return three to ten round times of a stretch."""
    for unit in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400):
        if length_s / unit <= 10:
            break
    first = math.ceil(start_s / unit)
    return [float(unit * number) for number in range(first, math.floor(end_s / unit) + 1)]


def _is_doubtful(event: Event, thresholds: dict[str, float]) -> bool:
    return (
        not event.review
        and event.score <= thresholds.get(event.label, DEFAULT_THRESHOLD) + _DOUBTFUL
    )


def _worth_hearing(events: Sequence[Event], thresholds: dict[str, float], most: int) -> list[Event]:
    """Return the events that get players: the best and the most doubtful ones by turns."""
    best = sorted(events, key=lambda event: -event.score)
    near = sorted(
        events,
        key=lambda event: event.score - thresholds.get(event.label, DEFAULT_THRESHOLD),
    )
    chosen: dict[str, Event] = {}
    for pair in zip(best, near, strict=True):
        for event in pair:
            if len(chosen) < most:
                chosen.setdefault(event.event_id, event)
    return list(chosen.values())


def _headline(
    events: Sequence[Event], doubtful: Sequence[Event], recordings: Sequence[RecordingRow]
) -> str:
    """Return what to do first, and the numbers that say why."""
    holding = len({event.recording for event in events})
    n = counted(len(recordings), "recording")
    found = f"{counted(len(events), 'event')} in {holding} of {n}"
    if not any(row.was_read for row in recordings):
        return f"None of {n} was scanned"
    if not events:
        return f"Nothing was found in {n}"
    if doubtful:
        return f"Listen to {counted(len(doubtful), 'doubtful event')} first: {found}"
    return f"{found}, all well above their thresholds"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """What was found of a label: events, recordings that hold one, events an hour, scores."""

    label: str
    n: int
    n_recordings: int
    per_hour: float
    median_score: float
    median_s: float

    __repr__ = short_repr


def _scanned(
    recordings: Sequence[RecordingRow], part: ScanPart
) -> list[tuple[RecordingRow, list[tuple[float, float]]]]:
    """Return the recordings that were scanned, each with the stretches that were."""
    return [
        (
            row,
            part.spans(row.starts_at, row.duration_s or 0.0, time_expansion=row.time_expansion),
        )
        for row in recordings
        if row.was_read
    ]


def _label_rows(events: Sequence[Event], labels: Sequence[str], hours: float) -> list[LabelRow]:
    found = []
    for label in labels:
        own = [event for event in events if event.label == label]
        found.append(
            LabelRow(
                label=label,
                n=len(own),
                n_recordings=len({event.recording for event in own}),
                per_hour=len(own) / hours if hours else 0.0,
                median_score=float(np.median([event.score for event in own])),
                median_s=float(np.median([event.duration_s for event in own])),
            )
        )
    return sorted(found, key=lambda row: -row.n)


def _hours(
    events: Sequence[Event], scanned: Sequence[tuple[RecordingRow, list[tuple[float, float]]]]
) -> dict[str, list[tuple[int, float]]]:
    """Return for each site and hour of the day how many events began, and the hours scanned.

    Recordings whose time is unknown are left out; the result is empty if all are.
    """
    effort: dict[str, list[float]] = defaultdict(lambda: [0.0] * 24)
    sites = {}
    for row, spans in scanned:
        if row.starts_at is None:
            continue
        sites[row.recording] = row.site
        by_hour = hours_of(spans, row.starts_at, time_expansion=row.time_expansion)
        for hour, seconds in by_hour.items():
            if hour is not None:
                effort[row.site][hour] += seconds / 3600
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        if event.starts_at is not None and event.recording in sites:
            counts[sites[event.recording]][event.starts_at.hour] += 1
    return {
        site: [(counts[site][hour], hours[hour]) for hour in range(24)]
        for site, hours in sorted(effort.items())
    }


def _busiest(
    rows: Sequence[RecordingRow], by_recording: dict[str, list[Event]], most_minutes: float
) -> dict[str, list[float]]:
    """Return where stretches of ten minutes with most events begin, by recordings longer than that.

    The result gives an empty list for others.
    """
    counts: Counter[tuple[int, int]] = Counter()
    for number, row in enumerate(rows):
        if (row.duration_s or 0.0) <= STRIP_S:
            continue
        for event in by_recording[row.recording]:
            counts[number, int(event.start_s // STRIP_S)] += 1
    n_strips = int(most_minutes * 60 // STRIP_S)
    ranked = sorted(counts, key=lambda place: (-counts[place], place))[:n_strips]
    found: dict[str, list[float]] = defaultdict(list)
    for number, part in sorted(ranked):
        found[rows[number].recording].append(part * STRIP_S)
    return found
