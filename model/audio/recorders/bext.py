"""The broadcast extension ``bext`` of WAV files (EBU Tech 3285): when, and by what.

Its date and time have no zone.
"""

from __future__ import annotations

import re
from typing import Final

from earful.model.audio.recorders.metadata import RecorderMetadata, bounded_extra, clean_text
from earful.model.audio.recorders.stamps import make_stamp

SOURCE: Final = "bext"
_DESCRIPTION: Final = slice(0, 256)
_ORIGINATOR: Final = slice(256, 288)
_REFERENCE: Final = slice(288, 320)
_DATE_TIME: Final = slice(320, 338)
# The standard lets a writer choose what stands between the numbers.
_STAMP: Final = re.compile(
    r"(\d{4})[-_:. /](\d{2})[-_:. /](\d{2})(\d{2})[-_:. ](\d{2})[-_:. ](\d{2})", re.ASCII
)


def read_bext(content: bytes) -> RecorderMetadata:
    """Read the date, time and device of a broadcast extension.

    Args:
        content: Content of the chunk.
    """
    found = _STAMP.fullmatch(content[_DATE_TIME].decode("latin-1"))
    extra, notes = bounded_extra(
        (f"bext|{name}", text)
        for name, place in (("description", _DESCRIPTION), ("reference", _REFERENCE))
        if (text := _text(content[place]))
    )
    return RecorderMetadata(
        starts_at=None if found is None else make_stamp([int(x) for x in found.groups()]),
        time_source=SOURCE,
        device=clean_text(_text(content[_ORIGINATOR])),
        extra=extra,
        notes=notes,
    )


def _text(field: bytes) -> str:
    text = field.split(b"\0", 1)[0]
    try:
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()
