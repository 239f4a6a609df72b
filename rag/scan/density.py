"""Density: events for each hour that was recorded, by site, hour, date or recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from earful.errors import CorpusError
from earful.index.annotations import Event, RecordingRow
from earful.rag.scan.events import Events
from earful.rag.scan.part import ScanPart, hours_of
from earful.values import short_repr
from earful.wording import quoted

DensityKey = Literal["site", "hour", "date", "recording"]
DENSITY_KEYS: Final = get_args(DensityKey)
UNKNOWN: Final = ""
"""Value of a site, hour or date that nothing tells."""
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityRow:
    """Events and effort of one combination of values.

    Attributes:
        values: Of the keys, in their order; hours as two digits, dates as ISO 8601, empty where
            nothing tells.
        label: Name of the sound.
        n_events: Events that began there.
        hours: Hours recorded there, in recordings that were read, with copies counted once.
        per_hour: Events an hour; ``None`` where nothing was recorded.
    """

    values: tuple[str, ...]
    label: str
    n_events: int
    hours: float
    per_hour: float | None

    __repr__ = short_repr

    def to_dict(self, by: Sequence[str]) -> dict[str, Any]:
        """Return them as plain JSON values, by the names of the keys."""
        return {
            **dict(zip(by, self.values, strict=True)),
            "label": self.label,
            "n_events": self.n_events,
            "hours": self.hours,
            "per_hour": self.per_hour,
        }


def count_density(
    found: Events, by: Sequence[str] = ("site", "hour"), *, labels: Sequence[str] = ()
) -> list[DensityRow]:
    """Count events for each hour of effort, a row for each combination and label.

    A combination that was recorded and has no event has a row, too: absence is data.

    Args:
        found: A scan.
        by: ``"site"``, ``"hour"`` (of the day, by the recordings' own clocks), ``"date"``,
            ``"recording"``; each at most once.
        labels: To count; none for all of the scan.

    Returns:
        Rows sorted by values, then label.

    Raises:
        CorpusError: A key is unknown or stands twice, or a label is none of the scan.
    """
    known = DENSITY_KEYS
    for key in by:
        if key not in known:
            raise CorpusError(f"by={quoted(key)}: expected one of {', '.join(known)}")
    if len(set(by)) != len(by) or not by:
        raise CorpusError(f"by={','.join(by)!r}: expected each key once, such as site,hour")
    found.select(labels=labels)  # which refuses labels of no scan
    part = scanned_part(found)
    effort: dict[tuple[str, ...], float] = defaultdict(float)
    read = {}
    for row in found.recordings:
        if row.was_read:
            read[row.recording] = row
            for values, seconds in _effort(row, part, by):
                effort[values] += seconds
    counts: Counter[tuple[tuple[str, ...], str]] = Counter()
    for event in found:
        if event.recording in read:
            values = _values(read[event.recording], _moment(event, read[event.recording]), by)
            counts[values, event.label] += 1
    wanted = labels or found.labels
    places = sorted({*effort, *(values for values, _ in counts)})
    rows = []
    for values in places:
        hours = effort.get(values, 0.0) / _HOUR_S
        for label in wanted:
            n = counts[values, label]
            rows.append(
                DensityRow(
                    values=values,
                    label=label,
                    n_events=n,
                    hours=round(hours, 4),
                    per_hour=round(n / hours, 3) if hours else None,
                )
            )
    return rows


def scanned_part(found: Events) -> ScanPart:
    """Return the part of recordings or days that a scan looked at."""
    said = found.scan.get("options", {}).get("part", {})
    first, last = said.get("from_clock"), said.get("to_clock")
    return ScanPart.between(
        f"{first}-{last}" if first and last else None,
        from_s=said.get("from_s", 0.0),
        to_s=said.get("to_s"),
    )


def _effort(
    row: RecordingRow, part: ScanPart, by: Sequence[str]
) -> list[tuple[tuple[str, ...], float]]:
    """Return seconds that were scanned of a recording, by values."""
    expansion = row.time_expansion
    spans = part.spans(row.starts_at, row.duration_s or 0.0, time_expansion=expansion)
    spans = [(start_s / expansion, end_s / expansion) for start_s, end_s in spans]
    if row.starts_at is None or not {"hour", "date"} & set(by):
        total = sum(end_s - start_s for start_s, end_s in spans)
        return [(_values(row, row.starts_at, by), total)] if total else []
    found = []
    for start_s, end_s in spans:
        # Cut at midnights, so that each piece has one date.
        at = start_s
        while at < end_s:
            moment = row.starts_at + timedelta(seconds=at)
            midnight = datetime.combine(moment.date(), datetime.min.time(), moment.tzinfo)
            until = min(end_s, at + 86_400.0 - (moment - midnight).total_seconds())
            until = max(until, at + 1e-3)
            for hour, seconds in hours_of([(at, until)], row.starts_at).items():
                stamp = moment.replace(hour=0 if hour is None else hour)
                found.append((_values(row, stamp, by), seconds))
            at = until
    return found


def _values(row: RecordingRow, moment: datetime | None, by: Sequence[str]) -> tuple[str, ...]:
    known = {
        "site": row.site,
        "recording": row.recording,
        "hour": UNKNOWN if moment is None else f"{moment.hour:02}",
        "date": UNKNOWN if moment is None else moment.date().isoformat(),
    }
    return tuple(known[key] for key in by)


def _moment(event: Event, row: RecordingRow) -> datetime | None:
    """Return when an event began, by the clock of its recording."""
    if row.starts_at is None:
        return None
    if event.starts_at is not None and row.starts_at.tzinfo is not None:
        return event.starts_at.astimezone(row.starts_at.tzinfo)
    return row.starts_at + timedelta(seconds=event.start_s / row.time_expansion)
