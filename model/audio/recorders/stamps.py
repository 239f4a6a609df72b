"""Stamps: times as recorders write them, and the zone that belongs to them.

A stamp without a zone stays without: to guess one makes an archive wrong by hours. A date that
cannot be is no date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from earful.errors import AudioError
from earful.wording import nearest_name, quoted

_ISO: Final = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})[T _](?P<hour>\d{2}):?(?P<minute>\d{2})"
    r"(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?\s*(?P<zone>Z|UTC|[+-]\d.{0,4})?",
    re.ASCII,
)
# One digit for the hours, as the Song Meter Mini writes them ("+1:00").
_OFFSET: Final = re.compile(r"(?:UTC)?([+-])(\d{1,2}?)(?::?(\d{2}))?", re.ASCII)
# Before and after these no stamp is believed; 1970-01-01 is a clock that nobody set.
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2100
_QUARTER_MINUTES: Final = 15
_MOST_OFFSET_MINUTES: Final = 14 * 60
_MOST_CHARACTERS: Final = 64


def parse_stamp(text: str) -> datetime | None:
    """Read a time in ISO 8601, or nearly: with a blank, without seconds, with ``+1:00``.

    Args:
        text: The stamp.

    Returns:
        The time, with a zone only if the stamp has one; ``None`` if it is none, or impossible.

    >>> parse_stamp("2026-05-03 04:30:12+1:00").isoformat(), parse_stamp("2026-02-30T04:30:12")
    ('2026-05-03T04:30:12+01:00', None)
    """
    text = text.strip(" \t\r\n\0")
    found = _ISO.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if found is None:
        return None
    zone: tzinfo | None = None
    if found["zone"] and (zone := parse_offset(found["zone"])) is None:
        return None
    names = ("year", "month", "day", "hour", "minute", "second")
    return make_stamp([int(found[x] or 0) for x in names], found["fraction"] or "", zone=zone)


def make_stamp(
    numbers: Sequence[int], fraction: str = "", *, zone: tzinfo | None = None
) -> datetime | None:
    """Make a time of its numbers.

    Args:
        numbers: Year, month, day, hour, minute and second.
        fraction: Digits of the second behind its point.
        zone: Its zone, if known.

    Returns:
        The time; ``None`` where there is no such date, or no clock was set.
    """
    if not _FIRST_YEAR <= numbers[0] <= _LAST_YEAR or tuple(numbers[:3]) == (1970, 1, 1):
        return None
    year, month, day, hour, minute, second = numbers
    microsecond = int(f"{fraction:0<6}"[:6])
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=zone)
    except ValueError:
        return None


def parse_offset(text: str) -> tzinfo | None:
    """Read an offset from UTC: ``Z``, ``+10``, ``+0530``, ``-3:30``, ``UTC+2``.

    >>> parse_offset("+0530"), parse_offset("-0001")
    (datetime.timezone(datetime.timedelta(seconds=19800)), None)

    Returns:
        The zone; ``None`` for what no place on earth has.
    """
    if text in ("Z", "UTC"):
        return UTC
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    if minutes > _MOST_OFFSET_MINUTES or int(found[3] or 0) % _QUARTER_MINUTES:
        return None
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))


@lru_cache(maxsize=16)
def load_zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name, or by an offset such as ``+02:00``.

    Raises:
        AudioError: There is no such zone, or no data about zones on this system.
    """
    import zoneinfo  # milliseconds, for who says a zone

    if (offset := parse_offset(name)) is not None:
        return offset
    known = zoneinfo.available_timezones()
    if name in known:
        return zoneinfo.ZoneInfo(name)
    if not known:
        raise AudioError(
            f"time zone {quoted(name)}: this system has no data about time zones; install them by "
            "`pip install tzdata`, or give an offset such as +02:00"
        )
    by_lower = {zone.lower(): zone for zone in sorted(known)}
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
    wanted = name.lower().replace(" ", "_")
    near = by_lower.get(wanted) or by_city.get(wanted)
    if not near:
        spelt = nearest_name(wanted, list(by_lower)) or nearest_name(wanted, list(by_city))
        near = by_lower.get(spelt) or by_city.get(spelt, "")
    meant = f" (did you mean {near!r}?)" if near else ""
    raise AudioError(
        f"unknown time zone {quoted(name)}{meant}; expected an IANA name such as Europe/Helsinki, "
        "or an offset such as +02:00"
    )


def in_zone(moment: datetime, zone: tzinfo) -> tuple[datetime, str]:
    """Return a time as a clock in a zone shows it, with a fixed offset from UTC.

    The offset is fixed because Python adds to times of a ``ZoneInfo`` as clocks are read: an hour
    into a recording over a change of the clocks would be wrong by one.

    Args:
        moment: A time with a zone, or what a clock there showed.
        zone: The zone.

    Returns:
        The time, and a note where clocks showed it twice or not at all.
    """
    if moment.utcoffset() is not None:
        return _fixed(moment.astimezone(zone)), ""
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return _fixed(first), ""
    shown = moment.isoformat()
    back = first.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None, fold=0) == moment:
        return _fixed(first), (
            f"clocks in {zone} showed {shown} twice, when summer time ended: the first is taken, "
            f"{first.isoformat()}"
        )
    return _fixed(back), (
        f"clocks in {zone} never showed {shown}, when summer time began: taken as "
        f"{back.isoformat()}; a recorder that keeps one time all year has an offset, such as "
        f"--timezone {first.isoformat()[-6:]}"
    )


def _fixed(moment: datetime) -> datetime:
    offset = moment.utcoffset()
    return moment if offset is None else moment.replace(tzinfo=timezone(offset), fold=0)
