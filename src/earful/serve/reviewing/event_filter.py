"""EventFilter: which events of a scan are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from earful.index.annotations import Event
from earful.serve.faults import RequestError
from earful.serve.sources import recording_id
from earful.values import short_repr
from earful.wording import listed, quoted

REVIEWS: Final = ("positive", "negative", "unknown", "skip", "disputed", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that all hold; empty ones hold always.

    Attributes:
        labels: One of these.
        reviews: One of ``"positive"``, ``"negative"``, ``"unknown"``, ``"skip"``,
            ``"disputed"`` and ``"none"``.
        sites: One of these; ``""`` for an unknown one.
        source: Id of the recording.
        since: Ends after this: seconds of the recording, or a moment in ISO 8601.
        until: Begins before this, likewise.
        min_score: Least score; ``None`` for any.

    Raises:
        RequestError: A review, or a moment, is none.
    """

    labels: frozenset[str] = frozenset()
    reviews: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    source: str = ""
    since: str = ""
    until: str = ""
    min_score: float | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for review in self.reviews:
            if review not in REVIEWS:
                raise RequestError(
                    f"review={quoted(review)}: expected one of {listed(REVIEWS)}", field="review"
                )
        _read_moment("from", self.since)
        _read_moment("to", self.until)


def filter_events(wanted: EventFilter) -> Callable[[Event], bool]:
    """Return what tells whether an event is wanted."""
    since, until = _read_moment("from", wanted.since), _read_moment("to", wanted.until)

    def keep(event: Event) -> bool:
        return (
            (not wanted.labels or event.label in wanted.labels)
            and (not wanted.reviews or (event.review or "none") in wanted.reviews)
            and (not wanted.sites or event.site in wanted.sites)
            and (wanted.min_score is None or event.score >= wanted.min_score)
            and (not wanted.source or recording_id(event.recording_sha256) == wanted.source)
            and (since is None or _is_after(event, since))
            and (until is None or _is_before(event, until))
        )

    return keep


def _is_after(event: Event, moment: float | datetime) -> bool:
    if isinstance(moment, float):
        return event.end_s > moment
    if event.starts_at is None:
        return False
    lasts = timedelta(seconds=event.end_s - event.start_s)
    return _alike(event.starts_at, moment) + lasts > moment


def _is_before(event: Event, moment: float | datetime) -> bool:
    if isinstance(moment, float):
        return event.start_s < moment
    return event.starts_at is not None and _alike(event.starts_at, moment) < moment


def _alike(at: datetime, moment: datetime) -> datetime:
    """Return a moment with a zone only where the other has one: else their clocks are compared."""
    if at.tzinfo is not None and moment.tzinfo is None:
        return at.replace(tzinfo=None)
    if at.tzinfo is None and moment.tzinfo is not None:
        return at.replace(tzinfo=moment.tzinfo)
    return at


def _read_moment(field: str, text: str) -> float | datetime | None:
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        pass
    else:
        if found == found:  # no NaN
            return found
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"{field}={quoted(text)}: expected seconds of a recording, or a moment such as "
            "2026-05-03T04:30:00",
            field=field,
        ) from error
