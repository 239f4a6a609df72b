"""EventTable: the events of a scan in the order in which pages list them, cut into pages."""

from __future__ import annotations

import base64
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from earful.index.annotations import Event, RecordingRow
from earful.rag.scan import Events
from earful.serve.faults import RequestError
from earful.serve.sources import recording_id
from earful.values import short_repr

MOST_ROWS: Final = 500
"""Most rows of a page."""

_MOST_CURSOR: Final = 500

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage(Generic[Row]):
    """Some rows of a table.

    Attributes:
        rows: At most 500.
        next: Cursor of the rows that follow; ``None`` for none.
        n: How many rows there are in all; ``None`` on all pages but the first.
    """

    rows: Sequence[Row]
    next: str | None
    n: int | None

    __repr__ = short_repr


class EventTable:
    """Events of a scan, with what it missed and what was denied, by recording and time.

    Args:
        events: Of the scan.
        statuses: What was said of items, by id. Tables of events have no word for ``"skip"`` and
            ``"disputed"``; the rows here tell them.

    Attributes:
        events: As given.
        recordings: By the id of their source; the first of equal ones.
        n_reviewed: Events with a review, by path of the recording.
    """

    def __init__(self, events: Events, statuses: Mapping[str, str] | None = None) -> None:
        self.events = events
        numbers = {row.recording: at for at, row in enumerate(events.recordings)}
        found = [
            ((numbers.get(event.recording, len(numbers)), event.start_s, event.event_id), event)
            for event in (*events.rows, *events.missed, *events.denied)
        ]
        found.sort(key=lambda pair: pair[0])
        self._keys = [key for key, _ in found]
        said = statuses or {}
        self.rows = tuple(_with_status(event, said.get(event.event_id, "")) for _, event in found)
        self.recordings: dict[str, RecordingRow] = {}
        for row in events.recordings:
            if row.sha256:
                self.recordings.setdefault(recording_id(row.sha256), row)
        self.n_reviewed = Counter(
            event.recording for event in self.rows if event.review not in ("", "skip")
        )

    def page(
        self,
        cursor: str = "",
        limit: int = MOST_ROWS,
        keep: Callable[[Event], bool] = lambda event: True,
    ) -> TablePage[Event]:
        """Return some events.

        A cursor names the last event of the page before, not a number of rows: events that come
        and go in the meantime make no row appear twice, and leave out none.

        Args:
            cursor: From the page before; empty for the first.
            limit: Most rows, 1 to 500.
            keep: Which events count.

        Raises:
            RequestError: The cursor is none, or the limit outside its range.
        """
        check_limit(limit)
        at = bisect_right(self._keys, _read_key(cursor)) if cursor else 0
        found: list[Event] = []
        last = at
        while at < len(self.rows) and len(found) <= limit:
            if keep(self.rows[at]):
                found.append(self.rows[at])
                last = at if len(found) <= limit else last
            at += 1
        more = len(found) > limit
        return TablePage(
            rows=tuple(found[:limit]),
            next=write_cursor(list(self._keys[last])) if more else None,
            n=None if cursor else sum(map(keep, self.rows)),
        )


def _with_status(event: Event, status: str) -> Event:
    return replace(event, review=status) if status in ("skip", "disputed") else event


def page_of(rows: Sequence[Row], cursor: str, limit: int) -> TablePage[Row]:
    """Return some rows of a table that does not change.

    Raises:
        RequestError: The cursor is none, or the limit outside its range.
    """
    check_limit(limit)
    start = 0
    if cursor:
        values = read_cursor(cursor)
        if len(values) != 1 or not isinstance(values[0], int) or values[0] < 0:
            raise _no_cursor()
        start = values[0]
    stop = start + limit
    return TablePage(
        rows=tuple(rows[start:stop]),
        next=write_cursor([stop]) if stop < len(rows) else None,
        n=None if cursor else len(rows),
    )


def check_limit(limit: int) -> None:
    """Refuse a page of too many rows, or of none.

    Raises:
        RequestError: It is.
    """
    if not 1 <= limit <= MOST_ROWS:
        raise RequestError(f"limit={limit}: expected 1 to {MOST_ROWS} rows", field="limit")


def write_cursor(values: list[Any]) -> str:
    """Return plain values as a cursor.

    >>> read_cursor(write_cursor([3, 1.5, "9f"]))
    [3, 1.5, '9f']
    """
    text = json.dumps(values, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def read_cursor(cursor: str) -> list[Any]:
    """Return the values of a cursor.

    Raises:
        RequestError: It is none.
    """
    try:
        if len(cursor) > _MOST_CURSOR:
            raise _no_cursor()
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise _no_cursor() from error
    if not isinstance(values, list):
        raise _no_cursor()
    return values


def _read_key(cursor: str) -> tuple[int, float, str]:
    values = read_cursor(cursor)
    if [type(value) for value in values] not in ([int, float, str], [int, int, str]):
        raise _no_cursor()
    return values[0], float(values[1]), values[2]


def _no_cursor() -> RequestError:
    return RequestError(
        "cursor: expected what `next` of the page before said, or none for the first page",
        field="cursor",
    )
