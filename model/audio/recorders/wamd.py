"""Notes of Wildlife Acoustics in the chunk ``wamd``: numbered fields, little endian.

Song Meters 2 to 4, Echo Meters and Kaleidoscope write them: a field is its number in 16 bits, its
length in 32, and its content without padding.
"""

from __future__ import annotations

from typing import Final

from earful.model.audio.recorders.guano import expansion_note
from earful.model.audio.recorders.metadata import (
    RecorderMetadata,
    bounded_extra,
    clean_text,
    position,
)
from earful.model.audio.recorders.stamps import parse_stamp
from earful.wording import quoted

SOURCE: Final = "wamd"
_HEAD_BYTES: Final = 6
_MOST_FIELDS: Final = 1024
_MODEL, _SERIAL, _FIRMWARE, _PREFIX, _TIME, _PLACE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_EXPANSION, _LAST_PLACE = 0x0F, 0x14
_KEPT: Final = {
    _FIRMWARE: "firmware",
    0x08: "software",
    0x0A: "notes",
    0x0B: "auto_id",
    0x0C: "manual_id",
    0x12: "microphone",
    0x13: "sensitivity",
    0x15: "temperature_int",
    0x16: "temperature_ext",
    0x17: "humidity",
    0x18: "light",
}


def read_wamd(content: bytes) -> RecorderMetadata:
    """Read what a recorder of Wildlife Acoustics says; fields that overrun the chunk are left out.

    Args:
        content: Content of the chunk, or its beginning.
    """
    fields: dict[int, bytes] = {}
    at = 0
    for _ in range(_MOST_FIELDS):
        if at + _HEAD_BYTES > len(content):
            break
        number = int.from_bytes(content[at : at + 2], "little")
        n_bytes = int.from_bytes(content[at + 2 : at + _HEAD_BYTES], "little")
        at += _HEAD_BYTES
        if at + n_bytes > len(content):
            break
        fields.setdefault(number, content[at : at + n_bytes])
        at += n_bytes
    texts = {
        number: content.decode("utf-8", "replace").strip(" \t\r\n\0")
        for number, content in fields.items()
        if number in _KEPT or number in (_MODEL, _SERIAL, _PREFIX, _TIME, _PLACE, _LAST_PLACE)
    }
    notes = []
    stamp = texts.get(_TIME, "")
    starts_at = parse_stamp(stamp)
    if stamp and starts_at is None:
        notes.append(f"its wamd notes have the time {quoted(stamp)}, which is none")
    place = _place(texts.get(_PLACE, ""))
    if place == (None, None):
        place = _place(texts.get(_LAST_PLACE, ""))
    factor = float(int.from_bytes(fields.get(_EXPANSION, b"")[:2], "little") or 1)
    if factor != 1:
        notes.append(expansion_note(factor))
    extra, extra_notes = bounded_extra(
        (f"wamd|{name}", texts[number]) for number, name in _KEPT.items() if texts.get(number)
    )
    return RecorderMetadata(
        starts_at=starts_at,
        time_source=SOURCE,
        site=clean_text(texts.get(_PREFIX, "")),
        latitude=place[0],
        longitude=place[1],
        device=clean_text(" ".join(filter(None, (texts.get(_MODEL), texts.get(_SERIAL))))),
        time_expansion=factor,
        extra=extra,
        notes=(*notes, *extra_notes),
    )


def _place(text: str) -> tuple[float | None, float | None]:
    """Read ``WGS84,60.17,N,24.94,E,12``, or the ``WGS84,60.17,24.94`` of an Echo Meter Touch."""
    _, *values = [value.strip() for value in text.split(",")]
    if len(values) >= 4 and values[1] in ("N", "S") and values[3] in ("E", "W"):
        north, east = position(values[0], values[2])
        if north is None or east is None:
            return None, None
        return (-north if values[1] == "S" else north), (-east if values[3] == "W" else east)
    return position(values[0], values[1]) if len(values) >= 2 else (None, None)
