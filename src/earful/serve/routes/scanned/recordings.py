"""``GET /api/recordings``, ``/api/events``, ``/api/hours``: what scans found, in pages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from earful.errors import CorpusError
from earful.index.annotations import RecordingRow
from earful.serve.faults import RequestError
from earful.serve.reviewing import (
    MOST_ROWS,
    EventFilter,
    EventTable,
    count_hours,
    event_row,
    filter_events,
    find_source,
    page_of,
    recording_row,
)
from earful.serve.routes.replies import PlainJson
from earful.serve.state import ServerState
from earful.wording import quoted

_Several = Annotated[list[str], Query(max_length=100)]
_Text = Annotated[str, Query(max_length=1000)]


def router(state: ServerState) -> APIRouter:
    """Return the routes of recordings and events."""
    routes = APIRouter(tags=["recordings"])
    desk = state.desk

    def shown(table: EventTable, row: RecordingRow, scan: str) -> dict[str, Any]:
        source = find_source(state.sources, row.sha256)
        gone = row.was_read and source is not None and source.is_missing
        return recording_row(row, scan, state.opened_paths) | {
            "missing": gone,
            "n_reviewed": table.n_reviewed[row.recording],
        }

    @routes.get("/api/recordings", response_class=PlainJson)
    def list_recordings(scan: _Text = "", cursor: _Text = "", limit: int = MOST_ROWS) -> PlainJson:
        """Recordings of a scan, also those that failed, with `cursor` of the next page."""
        name, table = desk.session(scan).name, desk.table(scan)
        page = page_of(table.events.recordings, cursor, limit)
        rows = [shown(table, row, name) for row in page.rows]
        return PlainJson({"recordings": rows, "cursor": page.next, "n": page.n})

    @routes.get("/api/recordings/{source}", response_class=PlainJson)
    def read_recording(source: str, scan: _Text = "") -> PlainJson:
        """A recording, its events up to the first 500, and events by hour of the day."""
        state.sources.find(source)
        name, table = desk.session(scan).name, desk.table(scan)
        row = table.recordings.get(source)
        if row is None:
            raise RequestError(
                f"source {quoted(source)}: is no recording of {quoted(name)}; ask the scan that "
                "has it",
                status=404,
                code="unknown_source",
                field="source",
            )
        keep = filter_events(EventFilter(source=source))
        page = table.page(keep=keep)
        return PlainJson(
            {
                "recording": shown(table, row, name),
                "events": [event_row(event, name) for event in page.rows],
                "cursor": page.next,
                "n": page.n,
                "hours": count_hours(table.events, recording=row),
            }
        )

    @routes.get("/api/events", response_class=PlainJson)
    def list_events(
        scan: _Text = "",
        label: _Several = [],
        review: _Several = [],
        site: _Several = [],
        source: _Text = "",
        since: Annotated[str, Query(alias="from", max_length=100)] = "",
        until: Annotated[str, Query(alias="to", max_length=100)] = "",
        min_score: float | None = None,
        cursor: _Text = "",
        limit: int = MOST_ROWS,
    ) -> PlainJson:
        """Events by recording and time, at most 500, with `cursor` of the next page.

        `review` is positive, negative, unknown, skip, disputed or none; `from` and `to` are
        seconds of the recording, or moments in ISO 8601.
        """
        name, table = desk.session(scan).name, desk.table(scan)
        wanted = EventFilter(
            labels=frozenset(label),
            reviews=frozenset(review),
            sites=frozenset(site),
            source=source,
            since=since,
            until=until,
            min_score=min_score,
        )
        if source:
            state.sources.find(source)
        page = table.page(cursor, limit, filter_events(wanted))
        rows = [event_row(event, name) for event in page.rows]
        return PlainJson({"events": rows, "cursor": page.next, "n": page.n})

    @routes.get("/api/hours", response_class=PlainJson)
    def read_hours(scan: _Text = "", label: _Text = "") -> PlainJson:
        """Events by site and hour of the day, and the hours that were recorded then."""
        try:
            return PlainJson(count_hours(desk.table(scan).events, label))
        except CorpusError as error:
            raise RequestError(str(error), field="label") from error

    return routes
