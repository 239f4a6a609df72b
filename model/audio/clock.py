"""Clock times: places in a recording as people write them, such as ``1:02:03.5``."""

from __future__ import annotations

import re

# Whatever else float() accepts, such as 1_0 and digits of other scripts, is a typing error.
_SECONDS = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
# Minutes have two digits behind hours, seconds always: 1:2 may be 1:02 or 1:20.
_CLOCK = re.compile(
    r"(?:(?P<h>[0-9]{1,4}):(?P<m>[0-5][0-9])|(?P<minutes>[0-9]{1,5})):"
    r"(?P<s>[0-5][0-9](?:[.,][0-9]+)?)"
)
_DIGITS = 9


def is_clock_time(text: str) -> bool:
    """Tell whether a text is a time with colons that means one thing.

    >>> [is_clock_time(text) for text in ("0:02", "1:02:03.5", "0:2", "1:2:03", "12", "0:00:02:12")]
    [True, True, False, False, False, False]
    """
    return _parts(text) is not None


def parse_time_s(text: str) -> float:
    """Return seconds of a text: a number, or a time as minutes or hours with colons.

    Raises:
        ValueError: It is neither, or may mean several times; the message has no subject.

    >>> parse_time_s("12.5"), parse_time_s("0:02"), parse_time_s("90:00"), parse_time_s("1:02:03.5")
    (12.5, 2.0, 5400.0, 3723.5)
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    parts = _parts(text)
    if parts is None:
        raise ValueError("expected seconds as a number, or a time such as 0:02 or 1:02:03.5")
    hours, minutes, seconds = parts
    return round(3600 * hours + 60 * minutes + seconds, _DIGITS)


def clock_time(seconds: float) -> str:
    """Write a place in a recording as minutes and seconds, from an hour on with hours.

    >>> clock_time(12.4), clock_time(754), clock_time(3723.5), clock_time(59.9999)
    ('0:12.4', '12:34', '1:02:03.5', '1:00')
    """
    thousandths = round(1000 * seconds)
    whole, rest = divmod(thousandths, 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    after = f".{rest:03}".rstrip("0") if rest else ""
    return f"{before}:{whole:02}{after}"


def whole_clock(seconds: float) -> str:
    """Write a place in a long recording as hours, minutes and whole seconds.

    >>> whole_clock(12.4), whole_clock(3725.4)
    ('0:00:12', '1:02:05')
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def clock_stretch(start_s: float, end_s: float | None) -> str:
    """Write a stretch of a recording; empty for the whole of it.

    >>> clock_stretch(12.4, 13.1), clock_stretch(60, None), clock_stretch(0, None)
    ('0:12.4-0:13.1', '1:00-end', '')
    """
    if not start_s and end_s is None:
        return ""
    end = "end" if end_s is None else clock_time(end_s)
    return f"{clock_time(start_s)}-{end}"


def _parts(text: str) -> tuple[int, int, float] | None:
    """Return hours, minutes and seconds of a time with colons; ``None`` for other texts."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    minutes = int(found["m"] or found["minutes"])
    return int(found["h"] or 0), minutes, float(found["s"].replace(",", "."))
