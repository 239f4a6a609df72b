"""ScanPart: which part of each recording, or of each day, a scan looks at."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from earful.errors import CorpusError
from earful.model.audio import clock_time
from earful.values import short_repr
from earful.wording import quoted

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPart:
    """Part of recordings in which events count; the whole of each is read and kept all the same.

    >>> ScanPart.between("22:00-04:00").spans(None, 60.0)
    []

    Attributes:
        from_s: Where it begins in each recording, in seconds.
        to_s: Where it ends; ``None`` for the end.
        from_clock: When it begins each day, by the recordings' own clocks; ``None`` for midnight.
        to_clock: When it ends each day; before ``from_clock`` for a stretch over midnight.

    Raises:
        CorpusError: A value is outside its range.
    """

    from_s: float = 0.0
    to_s: float | None = None
    from_clock: time | None = None
    to_clock: time | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not (math.isfinite(self.from_s) and self.from_s >= 0):
            raise CorpusError(f"from_s={self.from_s}: expected 0 or more seconds")
        if self.to_s is not None and not self.to_s > self.from_s:
            raise CorpusError(f"to_s={self.to_s}: expected more than from_s={self.from_s}")
        if (self.from_clock is None) != (self.to_clock is None):
            raise CorpusError("a part of the day has a beginning and an end, such as 04:00-07:30")

    @classmethod
    def between(
        cls, text: str | None, *, from_s: float = 0.0, to_s: float | None = None
    ) -> ScanPart:
        """Read a part of the day.

        Args:
            text: Such as ``"04:00-07:30"``; ``None`` for the whole day.
            from_s: See the attributes.
            to_s: Likewise.

        Raises:
            CorpusError: It is none.

        >>> ScanPart.between("04:00-07:30")
        ScanPart(from_clock=datetime.time(4, 0), to_clock=datetime.time(7, 30))
        """
        if text is None:
            return cls(from_s=from_s, to_s=to_s)
        first, dash, last = text.partition("-")
        clocks = [_clock(part) for part in (first, last)]
        if not dash or None in clocks or clocks[0] == clocks[1]:
            raise CorpusError(
                f"between={quoted(text)}: expected two times of the day, such as 04:00-07:30"
            )
        return cls(from_s=from_s, to_s=to_s, from_clock=clocks[0], to_clock=clocks[1])

    @property
    def needs_clock(self) -> bool:
        """Whether it depends on when a recording was made."""
        return self.from_clock is not None

    def why_outside(self, duration_s: float) -> str:
        """Return why a recording of which there are no ``spans`` has no share in it.

        >>> ScanPart(from_s=90.0).why_outside(60.0)
        'ends at 1:00, before 1:30, from where on is scanned'
        """
        if self.from_s >= duration_s:
            end, first = clock_time(duration_s), clock_time(self.from_s)
            return f"ends at {end}, before {first}, from where on is scanned"
        return "lies outside of the part of the day that is scanned"

    def spans(
        self, starts_at: datetime | None, duration_s: float, *, time_expansion: float = 1.0
    ) -> list[tuple[float, float]]:
        """Return the stretches of a recording that belong to it.

        Args:
            starts_at: When the recording begins; ``None`` if unknown.
            duration_s: Its length, in seconds.
            time_expansion: How many times slower than it was recorded it plays.

        Returns:
            Beginnings and ends in seconds, in order; none for a recording without a time where the
            time of the day counts.
        """
        first = self.from_s
        last = duration_s if self.to_s is None else min(self.to_s, duration_s)
        if first >= last:
            return []
        if self.from_clock is None or self.to_clock is None:
            return [(first, last)]
        if starts_at is None:
            return []
        found = []
        # A stretch over midnight may have begun the day before.
        day = datetime.combine(starts_at.date(), time()) - timedelta(days=1)
        began = starts_at.replace(tzinfo=None)
        while (day - began).total_seconds() * time_expansion < last:
            start = datetime.combine(day.date(), self.from_clock)
            end = datetime.combine(day.date(), self.to_clock)
            if end <= start:
                end += timedelta(days=1)
            span = (
                max(first, (start - began).total_seconds() * time_expansion),
                min(last, (end - began).total_seconds() * time_expansion),
            )
            if span[0] < span[1]:
                found.append(span)
            day += timedelta(days=1)
        return found


def hours_of(
    spans: list[tuple[float, float]],
    starts_at: datetime | None,
    *,
    time_expansion: float = 1.0,
) -> dict[int | None, float]:
    """Return how many seconds of stretches fall in each hour of the day.

    Args:
        spans: Stretches of a recording, in seconds.
        starts_at: When it begins; ``None`` if unknown.
        time_expansion: How many times slower than it was recorded it plays.

    Returns:
        Seconds in which it was recorded by hour, 0 to 23; under ``None`` where the time is unknown.

    >>> hours_of([(0.0, 5400.0)], datetime(2026, 5, 3, 4, 30))
    {4: 1800.0, 5: 3600.0}
    """
    found: dict[int | None, float] = {}
    for span in spans:
        start_s, end_s = (second / time_expansion for second in span)
        if starts_at is None:
            found[None] = found.get(None, 0.0) + end_s - start_s
            continue
        at = start_s
        while at < end_s:
            moment = starts_at.replace(tzinfo=None) + timedelta(seconds=at)
            into = moment.minute * 60 + moment.second + moment.microsecond / 1e6
            until = min(end_s, at + _HOUR_S - into)
            # A moment just before the hour may be rounded to it.
            until = max(until, at + 1e-3)
            found[moment.hour] = found.get(moment.hour, 0.0) + until - at
            at = until
    return found


def _clock(text: str) -> time | None:
    read = _CLOCK.fullmatch(text.strip())
    if read is None:
        return None
    hour, minute, second = (int(part or 0) for part in read.groups())
    if (hour, minute, second) == (24, 0, 0):
        hour = 0
    return time(hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None
