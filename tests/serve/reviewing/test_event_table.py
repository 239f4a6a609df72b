"""Pages of events: together they are all events, whatever comes and goes between two of them."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.annotations import Event, RecordingRow, event_id
from earful.rag.scan import Events
from earful.serve.faults import RequestError
from earful.serve.reviewing import EventFilter, EventTable, filter_events

SHAS = {"b.wav": "bb" * 32, "a.wav": "aa" * 32}


def event(recording: str, start_s: float, label: str = "wren", **values: object) -> Event:
    sha256 = SHAS[recording]
    own = event_id(sha256, label, start_s, start_s + 1)
    plain = Event(
        event_id=own,
        recording=recording,
        recording_sha256=sha256,
        start_s=start_s,
        end_s=start_s + 1,
        label=label,
        score=1.0,
    )
    return replace(plain, **values)  # type: ignore[arg-type]


def table(rows: list[Event]) -> EventTable:
    recordings = tuple(RecordingRow(recording=name, sha256=sha) for name, sha in SHAS.items())
    return EventTable(Events(rows=tuple(rows), recordings=recordings))


def all_pages(of: EventTable, limit: int, label: str = "") -> list[Event]:
    wanted = EventFilter(labels=frozenset({label} if label else ()))
    found: list[Event] = []
    cursor: str | None = ""
    while cursor is not None:
        page = of.page(cursor, limit, filter_events(wanted))
        assert len(page.rows) <= limit
        found += page.rows
        cursor = page.next
    return found


places = st.tuples(
    st.sampled_from(sorted(SHAS)), st.integers(0, 20).map(float), st.sampled_from(["wren", "owl"])
)
several = st.lists(places, unique=True, max_size=30)


@given(several, st.integers(1, 9))
def test_pages_are_all_events_in_order(found: list[tuple[str, float, str]], limit: int) -> None:
    own = table([event(*place) for place in found])
    pages = all_pages(own, limit)
    # In the order of the scan's recordings, then of time.
    names = list(SHAS)
    key = [(names.index(one.recording), one.start_s, one.event_id) for one in pages]
    assert key == sorted(key)
    assert {(one.recording, one.start_s, one.label) for one in pages} == set(found)
    assert len(pages) == len(found)
    owls = all_pages(own, limit, "owl")
    assert owls == [one for one in pages if one.label == "owl"]
    first = own.page("", limit, filter_events(EventFilter(labels=frozenset({"owl"}))))
    assert first.n == len(owls)


@given(several, several, st.integers(1, 9))
def test_what_stays_is_listed_once(
    before: list[tuple[str, float, str]], after: list[tuple[str, float, str]], limit: int
) -> None:
    first = table([event(*place) for place in before]).page("", limit)
    second = table([event(*place) for place in after])
    rest = [] if first.next is None else list(second.page(first.next, 500).rows)
    seen = [(one.recording, one.start_s, one.label) for one in (*first.rows, *rest)]
    assert len(seen) == len(set(seen))
    if first.next is not None:
        assert set(before) & set(after) <= set(seen)


def test_moments_are_compared_where_zones_are_known_and_where_they_are_not() -> None:
    summer = timezone(timedelta(hours=2))
    known = event("a.wav", 0, starts_at=datetime(2026, 5, 3, 4, 30, tzinfo=summer))
    unknown = event("a.wav", 1, starts_at=datetime(2026, 5, 3, 4, 30))
    without = event("a.wav", 2)
    for since, expected in (
        ("2026-05-03T04:00", [True, True, False]),
        ("2026-05-03T02:00Z", [True, True, False]),
        ("2026-05-03T02:30:00.5Z", [True, True, False]),  # it lasts on
        ("2026-05-03T03:00Z", [False, True, False]),
    ):
        keep = filter_events(EventFilter(since=since))
        assert [keep(one) for one in (known, unknown, without)] == expected, since


@pytest.mark.parametrize(
    "cursor", ["x", "====", "bnVsbA", "WzEsMl0", "W1siYSJdLDEsImIiXQ", "é", "W" * 1000]
)
def test_what_is_no_cursor(cursor: str) -> None:
    with pytest.raises(RequestError, match="cursor"):
        table([event("a.wav", 0)]).page(cursor)


def test_what_tables_have_no_word_for_is_told_and_asked_for() -> None:
    rows = [event("a.wav", at, review=said) for at, said in ((1, ""), (2, "unknown"), (3, ""))]
    statuses = {rows[0].event_id: "skip", rows[1].event_id: "disputed"}
    own = EventTable(Events(rows=tuple(rows)), statuses)
    for review, place in (("skip", 0), ("disputed", 1), ("none", 2)):
        page = own.page("", 500, filter_events(EventFilter(reviews=frozenset({review}))))
        assert [one.event_id for one in page.rows] == [rows[place].event_id]
    assert own.n_reviewed["a.wav"] == 1
