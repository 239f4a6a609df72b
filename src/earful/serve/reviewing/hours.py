"""Hours of the day: events and hours recorded, by site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from earful.index.annotations import RecordingRow
from earful.rag.scan import Events, count_density

_HOURS = 24


def count_hours(
    found: Events, label: str = "", *, recording: RecordingRow | None = None
) -> dict[str, Any]:
    """Count events by site and hour of the day, with the hours that were recorded.

    What reviewers called something else does not count.

    Args:
        found: A scan.
        label: To count; empty for all.
        recording: Only this one; ``None`` for all.

    Returns:
        ``sites``, a list of ``site``, ``n_events`` and ``hours`` (that were recorded), of 24
        numbers each; and ``unknown``, the same two as single numbers for what has no time.

    Raises:
        CorpusError: The label is none of the scan.
    """
    rows = [event for event in found.rows if event.review != "negative"]
    if recording is not None:
        rows = [event for event in rows if event.recording == recording.recording]
        found = replace(found, recordings=(recording,))
    counted = count_density(
        replace(found, rows=tuple(rows)), ("site", "hour"), labels=[label] if label else ()
    )
    sites: dict[str, tuple[list[int], list[float]]] = {}
    n_unknown, unknown_h = 0, 0.0
    seen: set[tuple[str, ...]] = set()
    for row in counted:
        site, hour = row.values
        # Each label of a place has a row with the same hours.
        recorded_h = 0.0 if row.values in seen else row.hours
        seen.add(row.values)
        if not hour:
            n_unknown += row.n_events
            unknown_h += recorded_h
            continue
        events, recorded = sites.setdefault(site, ([0] * _HOURS, [0.0] * _HOURS))
        events[int(hour)] += row.n_events
        recorded[int(hour)] += recorded_h
    return {
        "label": label,
        "sites": [
            {"site": site, "n_events": events, "hours": recorded}
            for site, (events, recorded) in sorted(sites.items())
        ],
        "unknown": {"n_events": n_unknown, "hours": unknown_h},
    }
