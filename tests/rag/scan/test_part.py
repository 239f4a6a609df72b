"""Parts of recordings and days, and what was recorded in each hour."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.annotations import Event, RecordingRow
from earful.rag.scan import Events, LabelSummary, ScanPart, count_density, hours_of

EVENING = datetime(2026, 5, 3, 20, 0, tzinfo=timezone(timedelta(hours=2)))


def test_a_stretch_over_midnight_comes_every_night() -> None:
    part = ScanPart.between("22:00-04:00")
    assert part.spans(EVENING, 40 * 3600) == [(7200, 28_800), (93_600, 115_200)]
    assert part.spans(EVENING + timedelta(hours=6), 3600) == [(0, 3600)]
    assert part.spans(None, 3600) == []
    assert ScanPart.between("04:00-07:30").spans(EVENING, 3600) == []
    assert ScanPart.between(None, from_s=5, to_s=9).spans(None, 7) == [(5, 7)]
    assert ScanPart.between(None, from_s=5).spans(None, 4) == []


@pytest.mark.parametrize("text", ["", "4", "04:00", "4:00-4:00", "25:00-26:00", "a-b", "4:0-5:00"])
def test_what_is_no_part_of_a_day_is_refused(text: str) -> None:
    with pytest.raises(CorpusError, match="between="):
        ScanPart.between(text)
    wrongs: tuple[dict[str, Any], ...] = ({"from_s": -1.0}, {"from_s": 3.0, "to_s": 3.0})
    for wrong in wrongs:
        with pytest.raises(CorpusError, match="expected"):
            ScanPart(**wrong)


@settings(max_examples=50, deadline=None)
@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    seconds=st.floats(0.01, 3e5),
    offset=st.floats(0, 1e5),
)
def test_hours_add_up_to_what_was_recorded(start: datetime, seconds: float, offset: float) -> None:
    found = hours_of([(offset, offset + seconds)], start)
    assert sum(found.values()) == pytest.approx(seconds, rel=1e-6, abs=0.1)
    assert set(found) <= set(range(24))
    first = (start + timedelta(seconds=offset)).hour
    assert first in found


def events_of(rows: list[tuple[str, float]], **recordings: Any) -> Events:
    found = tuple(
        Event(
            event_id=str(number),
            recording=name,
            recording_sha256="",
            start_s=start_s,
            end_s=start_s + 1,
            label="wren",
            score=1.0,
        )
        for number, (name, start_s) in enumerate(rows)
    )
    summary = LabelSummary(
        label="wren", n_examples=5, detector="neighbours", background="gaps", threshold=0.7
    )
    known = tuple(
        RecordingRow(recording=f"{name}.wav", duration_s=5400.0, **values)
        for name, values in recordings.items()
    )
    return Events(rows=found, recordings=known, summaries=(summary,))


def test_density_counts_effort_where_nothing_was_heard() -> None:
    found = events_of(
        [("a.wav", 10.0), ("a.wav", 20.0), ("a.wav", 4000.0)],
        a={"site": "pond", "starts_at": EVENING},
        b={"site": "hill", "starts_at": EVENING},
        c={"site": "hill", "status": "failed"},
    )
    rows = {row.values: (row.n_events, row.hours, row.per_hour) for row in count_density(found)}
    assert rows == {
        ("hill", "20"): (0, 1.0, 0.0),
        ("hill", "21"): (0, 0.5, 0.0),
        ("pond", "20"): (2, 1.0, 2.0),
        ("pond", "21"): (1, 0.5, 2.0),
    }
    by_date = count_density(found, ("date",))
    assert [(row.values, row.n_events, row.hours) for row in by_date] == [(("2026-05-03",), 3, 3.0)]
    by_recording = count_density(found, ("recording",), labels=["wren"])
    assert by_recording[0].to_dict(["recording"]) == {
        "recording": "a.wav",
        "label": "wren",
        "n_events": 3,
        "hours": 1.5,
        "per_hour": 2.0,
    }


def test_density_of_expanded_recordings_counts_the_time_that_they_took() -> None:
    # A file of an hour and a half that plays ten times slower took nine minutes.
    found = events_of(
        [("a.wav", 10.0), ("a.wav", 4000.0)],
        a={"site": "cave", "starts_at": EVENING.replace(minute=55), "time_expansion": 10.0},
    )
    assert found.hours == pytest.approx(0.15)
    rows = {row.values: (row.n_events, row.hours, row.per_hour) for row in count_density(found)}
    assert rows == {
        ("cave", "20"): (1, 0.0833, 12.0),
        ("cave", "21"): (1, 0.0667, 15.0),
    }
    (by_site,) = count_density(found, ("site",))
    assert (by_site.hours, by_site.per_hour) == (0.15, 13.333)
    start = EVENING.replace(minute=55)
    part = ScanPart.between("21:00-22:00")
    assert part.spans(start, 5400, time_expansion=10.0) == [(3000, 5400)]
    assert hours_of([(0, 5400)], start, time_expansion=10.0) == {20: 300.0, 21: 240.0}


def test_density_of_unknown_times_is_told_apart() -> None:
    rows = count_density(events_of([("a.wav", 10.0)], a={}))
    assert [(row.values, row.n_events, row.hours) for row in rows] == [(("", ""), 1, 1.5)]
    night = replace_start(EVENING.replace(hour=23))
    assert [(row.values, row.hours) for row in count_density(night, ("date",))] == [
        (("2026-05-03",), 1.0),
        (("2026-05-04",), 0.5),
    ]
    for by in (("sites",), ("site", "site"), ()):
        with pytest.raises(CorpusError, match="by="):
            count_density(night, by)


def replace_start(starts_at: datetime) -> Events:
    return events_of([], a={"starts_at": starts_at})
