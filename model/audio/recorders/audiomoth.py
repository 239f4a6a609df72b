"""The comment of AudioMoth recorders, in ``LIST/INFO``, and the lists of texts it stands in.

Firmware 1.0.0 wrote no zone, the next ones ``(UTC)``, later ones the offset that the recorder was
set to: ``(UTC+2)``, ``(UTC-3:30)``. Since 1.5.0 a deployment may stand in place of the serial.
"""

from __future__ import annotations

import re
from typing import Final

from earful.model.audio.recorders.metadata import RecorderMetadata, clean_text
from earful.model.audio.recorders.stamps import make_stamp, parse_offset

SOURCE: Final = "AudioMoth comment"
_MOST_TEXTS: Final = 64
_COMMENT: Final = re.compile(
    r"Recorded at (\d{2}):(\d{2}):(\d{2}) (\d{2})/(\d{2})/(\d{4})"
    r"(?: \(UTC(?P<zone>[+-]?\d{0,2}(?::[ \d]?\d)?)\))?"
    r"(?: during deployment (?P<deployment>[0-9A-Za-z]{16}))?"
    r"(?: by (?P<device>AudioMoth [0-9A-Za-z]{16}))?",
    re.ASCII,
)
_STATE: Final = re.compile(r"battery (?:state )?was (?P<battery>.{1,20}?V)\b", re.ASCII)
_TEMPERATURE: Final = re.compile(r"temperature was (?P<temperature>-?\d{1,3}\.\d)C", re.ASCII)


def read_info(content: bytes) -> dict[str, str]:
    """Return the texts of a chunk ``LIST`` of the kind ``INFO`` by their names."""
    texts: dict[str, str] = {}
    if content[:4] != b"INFO":
        return texts
    at = 4
    for _ in range(_MOST_TEXTS):
        if at + 8 > len(content):
            break
        name, n_bytes = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        text = content[at + 8 : at + 8 + n_bytes].split(b"\0", 1)[0]
        if text and name.isascii():
            texts.setdefault(name.decode("ascii"), text.decode("utf-8", "replace").strip())
        at += 8 + n_bytes + n_bytes % 2
    return texts


def read_audiomoth(info: dict[str, str]) -> RecorderMetadata | None:
    """Read the comment of an AudioMoth; ``None`` where it is none.

    Args:
        info: Texts of ``LIST/INFO``, or tags of a converted file, by ``ICMT`` and ``IART``.
    """
    comment = info.get("ICMT", "")
    found = _COMMENT.match(comment)
    if found is None:
        return None
    hour, minute, second, day, month, year = (int(found[at]) for at in range(1, 7))
    zone = None
    if found["zone"] is not None:
        offset = found["zone"].replace(" ", "0")
        if offset.startswith(":"):  # an hour of nothing is left out
            offset = f"+0{offset}"
        zone = parse_offset(offset or "Z")
    starts_at = make_stamp([year, month, day, hour, minute, second], zone=zone)
    notes: tuple[str, ...] = ()
    if starts_at is None:
        notes = (f"its AudioMoth wrote {found[0][12:31]}, which is no time: was its clock set?",)
    extra = {}
    if found["deployment"]:
        extra["AudioMoth|deployment"] = found["deployment"]
    for pattern in (_STATE, _TEMPERATURE):
        if state := pattern.search(comment):
            extra |= {f"AudioMoth|{key}": value for key, value in state.groupdict().items()}
    artist = info.get("IART", "")
    return RecorderMetadata(
        starts_at=starts_at,
        time_source=SOURCE,
        device=clean_text(found["device"] or artist),
        extra=extra,
        notes=notes,
    )
