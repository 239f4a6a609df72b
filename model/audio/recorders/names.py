"""Names of recordings as field recorders give them: site, start, zone and position.

``SITE7_20260503_043000.wav`` (Song Meter, Swift), ``20260503_043000.WAV`` and ``5EB0A2C8.WAV``
(AudioMoth, new and old), ``20260503T043000+1000_...`` (Frontier Labs: the first stamp is the
start), ``2026-05-03 04-30-00.wav`` (Titley), ``671629352.260503043000.wav`` (SoundTrap).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from earful.model.audio.recorders.metadata import (
    RecorderMetadata,
    clean_text,
    find_place,
    position,
)
from earful.model.audio.recorders.options import MOST_NAME, RecorderOptions
from earful.model.audio.recorders.stamps import make_stamp, parse_offset

SOURCE: Final = "file name"
FOLDER: Final = "folder"
_ZONE: Final = r"(?P<zone>Z(?![A-Za-z])|\+\d{2}(?::?\d{2})?(?!\d)|-\d{4}(?!\d))?"
_COMPACT: Final = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})[_T\-$ ]?"
    r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})(?=\D))?(?!\d)"
    + _ZONE,
    re.ASCII,
)
_DASHED: Final = re.compile(
    r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[_T\- ]"
    r"(?P<hour>\d{2})(?P<mark>[-:_.]?)(?P<minute>\d{2})(?P=mark)(?P<second>\d{2})"
    r"(?P<fraction>)(?!\d)" + _ZONE,
    re.ASCII,
)
_SOUNDTRAP: Final = re.compile(
    r"(?P<serial>\d{3,12})\.(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?!\d)", re.ASCII
)
# Unix time in capital hex digits; a name of digits alone may be any number, and is taken as one.
_HEX: Final = re.compile(r"(?=[0-9]*[A-F])[5-7][0-9A-F]{7}", re.ASCII)
_FIRST_AUDIOMOTH: Final = datetime(2016, 1, 1, tzinfo=UTC)
_LAST_HEX: Final = datetime(2036, 1, 1, tzinfo=UTC)
# Which microphones an SM3 used: 0+1, -0, 1-.
_MICROPHONES: Final = re.compile(r"_(?:[01]\+[01]?|\+[01]|[01]-|-[01])_?$", re.ASCII)
_BRACKETED: Final = re.compile(r"\[([+-]?\d{1,2}\.\d+ [+-]?\d{1,3}\.\d+)\]", re.ASCII)
_SIGNED: Final = re.compile(r"([+-]\d{1,2}\.\d{2,})([+-]\d{1,3}\.\d{2,})", re.ASCII)
_BLANKS: Final = re.compile(r"_(-?\d{1,2}\.\d+ -?\d{1,3}\.\d+)_", re.ASCII)
_BETWEEN: Final = "_-. ()[]#"
# Words that programs and telephones put first: no places.
_NO_SITES: Final = re.compile(
    "aud|audio|clip|file|img|memo|new|ptt|pxl|rec|record(?:ed|er|ings?)?|s|sound|track|untitled|"
    "vid|video|voice|wav",
    re.IGNORECASE,
)
# Folders that recorders make below the one of a site.
_NO_FOLDERS: Final = re.compile(
    r"(?:\d{4}-?\d{2}-?\d{2}|data(?:_(?:ac|fs|zc))?|wamdata|dcim|audio|recordings?|wavs?)",
    re.ASCII | re.IGNORECASE,
)
_MOST_FOLDERS: Final = 3


def read_name(path: PurePath, options: RecorderOptions) -> RecorderMetadata:
    """Read what a recording's name says.

    Args:
        path: Its path; only the name is looked at, the site pattern apart.
        options: What the owner says of names.
    """
    name = path.name[-MOST_NAME:]
    stem = path.stem[-MOST_NAME:]
    starts_at, site = options.find_time(path.name)
    device = ""
    if starts_at is None and not options.time_pattern:
        starts_at, site, device = _recorder_stamp(name, stem)
    north, east = _place(name)
    return RecorderMetadata(
        starts_at=starts_at,
        time_source=SOURCE,
        site=clean_text(site),
        latitude=north,
        longitude=east,
        device=device,
    )


def recorder_site(name: str) -> str:
    """Return the site in a field recorder's file name; ``""`` if it is none or names no site.

    >>> recorder_site("SITE7_20260503_043000.wav"), recorder_site("dog_20260503_bark.wav")
    ('SITE7', '')
    """
    return read_name(PurePath(name), RecorderOptions()).site


def folder_site(parts: Iterable[str]) -> str:
    """Return the folder that stands for a site: the nearest that no recorder made.

    Args:
        parts: Names of the folders, the outermost first.
    """
    for name in list(parts)[: -_MOST_FOLDERS - 1 : -1]:
        if name not in ("", "/", ".", "..") and not _NO_FOLDERS.fullmatch(name):
            return clean_text(name)
    return ""


def is_plain_name(name: str) -> bool:
    """Whether a name is a date and a time and nothing else, as AudioMoth writes it, in UTC."""
    return re.fullmatch(r"[0-9]{8}_[0-9]{6}T?\.[A-Za-z0-9]+", name) is not None


def _recorder_stamp(name: str, stem: str) -> tuple[datetime | None, str, str]:
    """Return the first stamp of a name, the site before it, and the device."""
    if _HEX.fullmatch(stem):
        written = datetime.fromtimestamp(int(stem, 16), UTC)
        return (written if _FIRST_AUDIOMOTH <= written < _LAST_HEX else None), "", ""
    if found := _SOUNDTRAP.match(name):
        numbers = [int(found[at]) for at in range(2, 8)]
        if moment := make_stamp([2000 + numbers[0], *numbers[1:]]):
            return moment, "", f"SoundTrap {found['serial']}"
    matches = sorted(
        (*_COMPACT.finditer(name), *_DASHED.finditer(name)), key=lambda found: found.start()
    )
    for found in matches:
        numbers = [int(found[key]) for key in ("year", "month", "day", "hour", "minute", "second")]
        zone = parse_offset(found["zone"]) if found["zone"] else None
        if moment := make_stamp(numbers, found["fraction"] or "", zone=zone):
            return moment, _site(name[: found.start()]), ""
    return None, "", ""


def _site(before: str) -> str:
    """Return the site of what stands before a stamp."""
    site = _MICROPHONES.sub("", before).strip(_BETWEEN)
    return "" if _NO_SITES.fullmatch(site) else site


def _place(name: str) -> tuple[float | None, float | None]:
    """Return the position in a name of Frontier Labs."""
    for pattern in (_BRACKETED, _BLANKS):
        if found := pattern.search(name):
            return find_place(found[1])
    if found := _SIGNED.search(name):
        return position(found[1], found[2])
    return None, None
