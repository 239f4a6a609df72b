"""GUANO notes in the chunk ``guan``: lines of ``Key: value``, as bat detectors write them.

Specification: github.com/riggsd/guano-py, doc/guano_specification.md. The Song Meter Mini and
Micro and recorders of Titley write them, too.
"""

from __future__ import annotations

import math
from typing import Final

from earful.model.audio.recorders.metadata import (
    RecorderMetadata,
    bounded_extra,
    clean_text,
    position,
)
from earful.model.audio.recorders.stamps import parse_stamp
from earful.wording import quoted

SOURCE: Final = "GUANO"
_SITES: Final = ("WA|Song Meter|Prefix", "Anabat|Asset ID", "SB|Location", "User|Site", "Site")
_READ: Final = frozenset({"Timestamp", "Loc Position", "TE", "Make", "Model", "Serial", *_SITES})
_BLANKS: Final = " \t\r\n\v\f\0"


def read_guano(content: bytes) -> RecorderMetadata:
    """Read what GUANO notes say; the first of two values counts.

    Args:
        content: Content of the chunk; UTF-8, though some programs write Latin-1.
    """
    try:
        text = content.rstrip(b"\0").decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        key, colon, value = line.strip(_BLANKS).partition(":")
        # Blanks around the parts of a key mean nothing.
        key = "|".join(part.strip() for part in key.split("|"))
        if colon and key and value.strip(_BLANKS):
            fields.setdefault(key, value.strip(_BLANKS))
    notes = []
    stamp = fields.get("Timestamp", "")
    starts_at = parse_stamp(stamp)
    if stamp and starts_at is None:
        notes.append(f"its GUANO notes have the time {quoted(stamp)}, which is none")
    place = fields.get("Loc Position", "").replace(",", " ").split()
    north, east = position(*place) if len(place) == 2 else (None, None)
    factor, note = _time_expansion(fields.get("TE", ""))
    extra, extra_notes = bounded_extra(
        (key, value) for key, value in fields.items() if key not in _READ
    )
    maker, model = fields.get("Make", ""), fields.get("Model", "")
    names = [model if model.startswith(maker) else f"{maker} {model}", fields.get("Serial", "")]
    return RecorderMetadata(
        starts_at=starts_at,
        time_source=SOURCE,
        site=clean_text(next((fields[key] for key in _SITES if key in fields), "")),
        latitude=north,
        longitude=east,
        device=clean_text(" ".join(filter(None, (name.strip() for name in names)))),
        time_expansion=factor,
        extra=extra,
        notes=(*notes, *note, *extra_notes),
    )


def _time_expansion(text: str) -> tuple[float, tuple[str, ...]]:
    try:
        factor = float(text or 1)
    except ValueError:
        factor = math.nan
    if factor in (0, 1):  # some write 0 for a recording that was not slowed down
        return 1.0, ()
    if not 0 < factor < 1000:
        return 1.0, (f"its GUANO notes have the time expansion {quoted(text)}, taken as none",)
    return factor, (expansion_note(factor),)


def expansion_note(factor: float) -> str:
    """Say that a file plays slower than it was recorded."""
    return f"it plays {factor:g} times slower than it was recorded: its times are divided by that"
