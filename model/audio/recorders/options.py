"""``RecorderOptions``: what the owner says about times and names, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final, Literal

from earful.errors import AudioError
from earful.model.audio.recorders.stamps import load_zone, make_stamp, parse_offset
from earful.values import short_repr
from earful.wording import quoted

NamesAre = Literal["utc", "local"]

MOST_NAME: Final = 255
_DATE_GROUPS: Final = ("year", "month", "day")
_TIME_GROUPS: Final = ("hour", "minute")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    r"""What the owner of recordings says about their times and names.

    >>> RecorderOptions(timezone="Europe/Helsinki", site_pattern=r"(?P<site>plot\d+)/")
    RecorderOptions(timezone='Europe/Helsinki', site_pattern='(?P<site>plot\\d+)/')

    Attributes:
        timezone: Zone of the times that have none, as an IANA name or an offset; times that have
            one are converted to it, which leaves the moment as it is. ``None``: nothing is said.
        names_are: Whether the times in file names are in UTC or local; ``None``: not said.
        time_pattern: Regular expression that finds the time in a file's name, by groups named
            ``date`` and ``time``, or ``year``, ``month``, ``day``, ``hour``, ``minute`` and
            perhaps ``second``; perhaps ``zone`` and ``site``.
        site_pattern: Regular expression that finds the site in a file's path, by a group named
            ``site``. What it finds goes before what recorders say.

    Raises:
        AudioError: The zone is unknown, a pattern is none or lacks its groups.
        ValueError: ``names_are`` is something else.
    """

    timezone: str | None = None
    names_are: NamesAre | None = None
    time_pattern: str | None = None
    site_pattern: str | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.names_are not in (None, "utc", "local"):
            raise ValueError(f"names_are={quoted(self.names_are)}: expected 'utc' or 'local'")
        if self.timezone is not None:
            load_zone(self.timezone)
        if self.time_pattern:
            groups = set(compiled(self.time_pattern, "time").groupindex)
            has_date = "date" in groups or groups.issuperset(_DATE_GROUPS)
            has_time = "time" in groups or groups.issuperset(_TIME_GROUPS)
            if not (has_date and has_time):
                raise AudioError(
                    f"time pattern {quoted(self.time_pattern)}: expected groups named date and "
                    f"time, such as (?P<date>\\d{{8}})_(?P<time>\\d{{6}}); found "
                    f"{', '.join(sorted(groups)) or 'none'}"
                )
        if self.site_pattern and "site" not in compiled(self.site_pattern, "site").groupindex:
            raise AudioError(
                f"site pattern {quoted(self.site_pattern)}: expected a group named site, such as "
                "(?P<site>[^/]+)/; found none of that name"
            )

    @property
    def zone(self) -> tzinfo | None:
        """The zone of times that have none, if it is said."""
        return None if self.timezone is None else load_zone(self.timezone)

    def find_site(self, path: str) -> str:
        """Return the site that the pattern finds in a path; ``""`` if it finds none."""
        if not self.site_pattern:
            return ""
        found = compiled(self.site_pattern, "site").search(path[-MOST_NAME:])
        return "" if found is None else found["site"] or ""

    def find_time(self, name: str) -> tuple[datetime | None, str]:
        """Return the time and the site that the pattern for times finds in a name."""
        if not self.time_pattern:
            return None, ""
        found = compiled(self.time_pattern, "time").search(name[-MOST_NAME:])
        if found is None:
            return None, ""
        groups = {key: value or "" for key, value in found.groupdict().items()}
        site = groups.get("site", "")
        numbers = _numbers(groups)
        if numbers is None:
            return None, site
        zone = parse_offset(groups.get("zone", "")) if groups.get("zone") else None
        return make_stamp(numbers, zone=zone), site


@lru_cache(maxsize=16)
def compiled(pattern: str, what: str) -> re.Pattern[str]:
    """Compile a pattern once.

    Raises:
        AudioError: It is no regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise AudioError(
            f"{what} pattern {quoted(pattern)}: {error}; expected a regular expression"
        ) from error


def _numbers(groups: dict[str, str]) -> tuple[int, ...] | None:
    """Return year to second of the groups of a pattern."""
    date = "".join(re.findall(r"[0-9]", groups.get("date", "")))
    time = "".join(re.findall(r"[0-9]", groups.get("time", "")))
    if not date:
        date = "".join(groups[name].zfill(2) for name in _DATE_GROUPS)
    if not time:
        time = "".join(groups.get(name, "").zfill(2) for name in (*_TIME_GROUPS, "second"))
    if len(date) == 6:
        date = f"20{date}"
    if not (len(date) == 8 and len(time) in (4, 6) and f"{date}{time}".isascii()):
        return None
    digits = f"{date}{time:0<6}"
    if not digits.isdigit():
        return None
    return (int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2)))
