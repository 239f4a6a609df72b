"""``RecorderMetadata``: when and where a recording was made, and which source says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from earful.model.audio.recorders.stamps import in_zone, load_zone
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import printable

# Sources that differ by less than this agree: names are cut to the second.
AGREE_S: Final = 2.0
_MOST_TEXT: Final = 200
_MOST_EXTRA: Final = 256
_MOST_VALUE: Final = 4096
# Signs say which number is which, as in "+60.17 +24.94", "+60.17+024.94/" and "60.17, 24.94".
_PLACE: Final = re.compile(
    r"\s*([+-]?\d{1,2}(?:\.\d+)?)(?:\s*[,; ]\s*|(?=[+-]))([+-]?\d{1,3}(?:\.\d+)?)"
    r"(?:[+-]\d+(?:\.\d+)?)?/?\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderMetadata:
    """When and where a recording was made, as its recorder or its owner says.

    >>> RecorderMetadata(site="SITE7", latitude=60.17, longitude=24.94)
    RecorderMetadata(site='SITE7', latitude=60.17, longitude=24.94)

    Attributes:
        starts_at: Start of the recording; with a fixed offset from UTC only if that is known, so
            that seconds can be added to it; ``None`` if nothing says when.
        time_source: What says so, such as ``"GUANO"`` or ``"file name"``; ``""`` if nothing does.
        site: Name of the place, of the recorder's prefix or of its folder; ``""`` if unknown.
        site_source: What gives the site.
        latitude: Degrees north, WGS 84; ``None`` if unknown.
        longitude: Degrees east; ``None`` if unknown.
        device: The recorder, with its serial number where that is given.
        time_expansion: How many times slower than it was recorded the file plays; times in it are
            to be divided by that.
        extra: What else the source of the time and the other sources give, as text.
        notes: What the owner should know, a clause each.
    """

    starts_at: datetime | None = None
    time_source: str = ""
    site: str = ""
    site_source: str = ""
    latitude: float | None = None
    longitude: float | None = None
    device: str = ""
    time_expansion: float = 1.0
    extra: Mapping[str, str] = field(default_factory=ReadOnlyDict, hash=False)
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", ReadOnlyDict(self.extra))
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def zone_is_known(self) -> bool:
        """Whether the start is a moment, rather than a time of day somewhere."""
        return self.starts_at is not None and self.starts_at.utcoffset() is not None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the start in ISO 8601, without an offset if none is known."""
        return {
            "starts_at": "" if self.starts_at is None else self.starts_at.isoformat(),
            "time_source": self.time_source,
            "site": self.site,
            "site_source": self.site_source,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "device": self.device,
            "time_expansion": self.time_expansion,
            "extra": dict(self.extra),
            "notes": list(self.notes),
        }


def combine(readings: Sequence[RecorderMetadata], zone: tzinfo | None = None) -> RecorderMetadata:
    """Combine what several sources say: of each field the first that gives it.

    Args:
        readings: The sources, the most believable first; ``time_source`` names each, whether it
            gives a time or not.
        zone: Zone of the place, if it is said.

    Returns:
        All in one, with one note where times differ by more than two seconds.
    """
    timed = [reading for reading in readings if reading.starts_at is not None]
    placed = next((x for x in readings if x.latitude is not None), RecorderMetadata())
    sited = next((x for x in readings if x.site), RecorderMetadata())
    extra: dict[str, str] = {}
    for reading in readings:
        for key, value in reading.extra.items():
            extra.setdefault(key, value)
    notes = dict.fromkeys(note for reading in readings for note in reading.notes)
    return RecorderMetadata(
        starts_at=timed[0].starts_at if timed else None,
        time_source=timed[0].time_source if timed else "",
        site=sited.site,
        site_source=sited.site_source or sited.time_source,
        latitude=placed.latitude,
        longitude=placed.longitude,
        device=next((x.device for x in readings if x.device), ""),
        time_expansion=next((x.time_expansion for x in readings if x.time_expansion != 1.0), 1.0),
        extra=extra,
        notes=(*notes, *_conflict(timed, zone)),
    )


def override_metadata(
    found: RecorderMetadata, given: RecorderMetadata, *, timezone: str | None = None
) -> RecorderMetadata:
    """Let what the owner says of a recording go before what was found in it.

    Args:
        found: As ``read_recorder_metadata`` returns it.
        given: What the owner says, such as a row of a table; what it leaves out stays as found.
        timezone: Zone of a time that has none, as an IANA name or an offset.

    Returns:
        Both in one, with a note where their times differ by more than two seconds.

    Raises:
        AudioError: The zone is unknown.
    """
    zone = None if timezone is None else load_zone(timezone)
    both = combine([given, found], zone)
    if given.site:
        both = replace(both, site_source=given.site_source or given.time_source)
    return both if zone is None else in_zone_of(both, zone)


def in_zone_of(metadata: RecorderMetadata, zone: tzinfo) -> RecorderMetadata:
    """Give the start the zone that is said if it has none, or show it in that."""
    if metadata.starts_at is None:
        return metadata
    moment, note = in_zone(metadata.starts_at, zone)
    return replace(metadata, starts_at=moment, notes=(*metadata.notes, *filter(None, [note])))


def agree(one: datetime, other: datetime, zone: tzinfo | None = None) -> bool:
    """Whether two starts may be the same moment, within two seconds.

    One without a zone agrees with one that has a zone if it is that time there, in UTC (the
    names of AudioMoth files are, where the comment inside has the local time), or in the zone that
    is said.
    """
    if (one.utcoffset() is None) == (other.utcoffset() is None):
        return abs(one - other) <= timedelta(seconds=AGREE_S)
    aware, naive = (one, other) if one.utcoffset() is not None else (other, one)
    places = (aware, aware.astimezone(UTC), aware.astimezone(zone or UTC))
    return any(agree(place.replace(tzinfo=None), naive) for place in places)


def _conflict(timed: Sequence[RecorderMetadata], zone: tzinfo | None) -> Iterable[str]:
    """Note the sources whose times contradict the first."""
    if not timed or (first := timed[0].starts_at) is None:
        return
    others = [
        f"{other.time_source} {other.starts_at.isoformat()}"
        for other in timed[1:]
        if other.starts_at and not agree(first, other.starts_at, zone)
    ]
    if others:
        yield (
            f"it starts at {first.isoformat()} by its {timed[0].time_source}, which goes first; by "
            f"its {', '.join(others)}"
        )


def clean_text(text: str) -> str:
    """Return a short text of a file on one line: without padding, unprintable ones escaped."""
    return printable(text.strip(" \t\r\n\v\f\0")[:_MOST_TEXT]).strip()


def bounded_extra(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Keep further fields within bounds; the first of a name counts.

    Returns:
        The fields, and a note where some were left out.
    """
    kept: dict[str, str] = {}
    n_left_out = n_cut = 0
    for key, value in pairs:
        key = clean_text(key)
        if not key or key in kept:
            continue
        if len(kept) >= _MOST_EXTRA:
            n_left_out += 1
            continue
        n_cut += len(value) > _MOST_VALUE
        kept[key] = printable(value[:_MOST_VALUE])
    notes = []
    if n_left_out:
        notes.append(
            f"{n_left_out} of its metadata fields were left out: it has over {_MOST_EXTRA}"
        )
    if n_cut:
        notes.append(f"{n_cut} of its metadata fields were cut to {_MOST_VALUE} characters")
    return kept, tuple(notes)


def position(latitude: str, longitude: str) -> tuple[float | None, float | None]:
    """Return a position in degrees; ``(None, None)`` where it is none.

    Recorders without a fix write 0 0, a place in the Gulf of Guinea where none of them stands.

    >>> position("60.17", "24.94"), position("0", "0"), position("91", "0")
    ((60.17, 24.94), (None, None), (None, None))
    """
    try:
        north, east = float(latitude), float(longitude)
    except ValueError:
        return None, None
    if not (math.isfinite(north) and math.isfinite(east)):
        return None, None
    if abs(north) > 90 or abs(east) > 180 or (north == 0 and east == 0):
        return None, None
    return north, east


def find_place(text: str) -> tuple[float | None, float | None]:
    """Read two degrees, north and east.

    >>> find_place("+60.17 +24.94"), find_place("-27.4+153.0/"), find_place("Lake 4")
    ((60.17, 24.94), (-27.4, 153.0), (None, None))
    """
    found = _PLACE.fullmatch(text[:64])
    return (None, None) if found is None else position(found[1], found[2])
