"""Columns of times: by their names, with their units, and those that only look like times.

``start_ms``, ``Begin Time (s)``, ``onset`` and ``offset``, ``start (min)``, ``tmin``: the words of
a name tell what it holds, and its last word may be a unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from earful.index.corpus.columns.names import as_option
from earful.model.audio import is_clock_time

_NAMES: dict[str, str] = {
    **dict.fromkeys(("start", "begin", "start time", "begin time", "time start"), "start_s"),
    **dict.fromkeys(("time begin", "starttime", "begintime"), "start_s"),
    **dict.fromkeys(("tmin", "t min", "t start"), "start_s"),
    **dict.fromkeys(("end", "stop", "end time", "stop time", "time end", "time stop"), "end_s"),
    **dict.fromkeys(("endtime", "stoptime", "tmax", "t max", "t end"), "end_s"),
    **dict.fromkeys(("finish", "finish time", "time finish"), "end_s"),
    **dict.fromkeys(("duration", "dur", "length", "duration time"), "duration_s"),
    **dict.fromkeys(("onset", "onset time"), "onset"),
    **dict.fromkeys(("offset", "offset time"), "offset"),
}
# Words that may stand before one of those.
_OWNERS = frozenset({"event", "segment", "annotation", "call", "selection", "sound"})
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minutes"), 60.0),
}
# Without brackets these are parts of a time of day.
_BRACKETED_UNITS = {"minute": 60.0, **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0)}
_BRACKETED = re.compile(r"[(\[]\s*(?:in\s+)?(\w+)\.?\s*[)\]]\s*$")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_WITH_UNIT = re.compile(rf"({_NUMBER.pattern})\s*(s|ms|sec|min|h)\.?", re.IGNORECASE)
_CLOCK = re.compile(r"[0-9]{1,3}(:[0-9]{1,2}){1,2}([.,][0-9]+)?")
_WORDS_OF_TIME = frozenset(
    {
        "end",
        "ende",
        "stop",
        "finish",
        "dur",
        "len",
        "length",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "ms",
    }
    | {"msec", "minutes", "fin", "fine", "from", "to", "von", "bis", "t0", "t1", "tmin", "tmax"}
    | {"tempo", "tiempo", "sample", "samples", "frame", "frames"}
)
_BEGINNINGS = (
    *("start", "begin", "onset", "offset", "duration", "time", "dauer", "anfang", "debut"),
    *("d\u00e9but", "duree", "dur\u00e9e", "inicio", "inizio", "durata", "duraci"),
)
_ENDINGS = ("time", "zeit", "start", "onset", "offset", "duration", "dauer", "ende", "times")
_OF_STRETCHES = frozenset({"start_s", "end_s", "duration_s", "onset", "offset"})
TimeForm = Literal["number", "clock", "text"]
_OF_ENDS = frozenset({"end", "ende", "stop", "finish", "fin", "fine", "to", "bis", "t1", "tmax"})


def add_times(
    found: dict[str, str],
    left_out: Iterable[str],
    names: Sequence[str],
    holds: Callable[[str], TimeForm],
) -> None:
    """Add the columns of times that a table has under other names than ours.

    Onset and offset are a start and an end; an offset with a duration, as Kaleidoscope writes,
    is a start. Names that could be halves of one time, minutes and seconds, are left alone.

    Args:
        found: Column of each field; ``start_s``, ``end_s`` and ``duration_s`` are added.
        left_out: Fields to add none for.
        names: The table's columns.
        holds: How a column is written. Times with colons count only where both ends of a stretch
            have a column, and the names do not speak of a time; others may be times of day.
    """
    roles: dict[str, list[str]] = {}
    clocks: dict[str, list[str]] = {}
    for name in names:
        role = _role(name)
        form = holds(name) if role and name not in found.values() else "text"
        if form == "number":
            roles.setdefault(role, []).append(name)
        elif form == "clock" and "time" not in _words(name):
            clocks.setdefault(role, []).append(name)
    if len((found.keys() | roles.keys() | clocks.keys()) & _OF_STRETCHES) > 1:
        for role, columns in clocks.items():
            roles.setdefault(role, columns)
    column = {role: _one_of(columns) for role, columns in roles.items()}
    wanted = {field for field in ("start_s", "end_s", "duration_s") if field not in left_out}
    has_start = "start_s" in found or column.get("start_s")
    onset, offset = column.get("onset", ""), column.get("offset", "")
    if not has_start and onset:
        column.update({"start_s": onset, "end_s": column.get("end_s") or offset})
    elif not has_start and offset and (column.get("duration_s") or "duration_s" in found):
        column["start_s"] = offset
    for field in ("start_s", "end_s"):
        if field in wanted and field not in found and column.get(field):
            found[field] = column[field]
    # Without a start, it is the length of the whole file.
    of_length = column.get("duration_s", "")
    if found.get("start_s") and "duration_s" in wanted and "duration_s" not in found and of_length:
        found["duration_s"] = of_length


def time_form(text: str) -> TimeForm:
    """Return how a cell of a column of times is written; an empty one counts as a number.

    >>> time_form("0,5"), time_form("0:02"), time_form("2026-05-03"), time_form("")
    ('number', 'clock', 'text', 'number')
    """
    if not text or _NUMBER.fullmatch(text):
        return "number"
    return "clock" if is_clock_time(text) else "text"


def scale_of(column: str) -> float:
    """Return how many seconds one of a column is, by the unit in its name; 1 without one.

    >>> scale_of("start_ms"), scale_of("end (min)"), scale_of("Begin Time (s)"), scale_of("t_min")
    (0.001, 60.0, 1.0, 1.0)
    """
    _, scale = _base_and_scale(column)
    # ``time_min`` may be the least time.
    is_sure = scale < 1 or _BRACKETED.search(column) or column.lower().endswith("minutes")
    return scale if is_sure or _role(column) else 1.0


def looks_like_time(name: str, text: str) -> bool:
    """Whether a column that is no field may hold times, by its name and a cell.

    >>> looks_like_time("Beginn", "0,5"), looks_like_time("x", "3")
    (True, False)
    """
    text = text.strip()
    is_clock = _CLOCK.fullmatch(text) is not None and name.strip().lower() != "time"
    return _is_named_like_time(name) and (is_clock or _is_number(text))


def times_note(columns: Sequence[str]) -> str:
    """Explain that columns which look like times are not used, with the options that use them."""
    if not columns:
        return ""
    what = "column {} looks like a time and is" if len(columns) == 1 else ""
    what = what or "columns {} look like times and are"
    return f"{what.format(_listed_and(columns))} not used; {times_options(columns)}"


def times_options(columns: Sequence[str]) -> str:
    """Return the options that take columns for fields of time, each guessed by its name."""
    fields: dict[str, str] = {}
    for column in columns:
        words = set(_words(column))
        is_end = words & _OF_ENDS or any(word.endswith(("ende", "offset")) for word in words)
        is_length = any(word.startswith(("dur", "dauer", "len")) for word in words)
        field = "end_s" if is_end else "duration_s" if is_length else "start_s"
        fields.setdefault(field, column)
    given = " ".join(f"--column {as_option(field, name)}" for field, name in fields.items())
    what = "it" if len(fields) == 1 else "them"
    return f"{given} reads {what}, as seconds or in the unit of the name"


def unused_times(
    names: Iterable[str], found: Mapping[str, str], given: Mapping[str, str]
) -> list[str]:
    """Return the columns that are named like times and may be missed: none if times are known.

    Args:
        names: The table's columns.
        found: Column of each field.
        given: What the user said of fields; ``""`` leaves one out.
    """
    if "start_s" in found and found.keys() & {"end_s", "duration_s"}:
        return []
    if any(given.get(field) == "" for field in ("start_s", "end_s", "duration_s")):
        return []
    return [name for name in names if name not in found.values() and _is_named_like_time(name)]


@lru_cache(maxsize=1024)
def _is_named_like_time(name: str) -> bool:
    words = _words(name)
    return any(
        word in _WORDS_OF_TIME or word.startswith(_BEGINNINGS) or word.endswith(_ENDINGS)
        for word in words
    )


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _WITH_UNIT.fullmatch(text))


def _one_of(columns: list[str]) -> str:
    """Return the column to read of several with one meaning; ``""`` where they may be its parts."""
    scales = {_base_and_scale(column)[1] for column in columns}
    parts = {1.0, 60.0} <= scales and all(_base_and_unit(column)[1] for column in columns)
    return "" if parts else min(columns, key=lambda column: _base_and_scale(column)[1] != 1.0)


def _role(name: str) -> str:
    base, _ = _base_and_scale(name)
    owner, _, rest = base.partition(" ")
    return _NAMES.get(base) or (_NAMES.get(rest, "") if owner in _OWNERS else "")


def _base_and_scale(name: str) -> tuple[str, float]:
    base, unit = _base_and_unit(name)
    return base, _UNITS.get(unit) or _BRACKETED_UNITS.get(unit, 1.0)


@lru_cache(maxsize=1024)
def _base_and_unit(name: str) -> tuple[str, str]:
    """Split a name into its words in lower case and its unit, ``""`` for none."""
    words = _words(name)
    if " ".join(words) in _NAMES:
        return " ".join(words), ""
    bracketed = _BRACKETED.search(name.lower())
    if len(words) > 1 and (words[-1] in _UNITS or (bracketed and words[-1] in _BRACKETED_UNITS)):
        base = words[: -2 if words[-2] == "in" and len(words) > 2 else -1]
        return " ".join(base), words[-1]
    return " ".join(words), ""


def _words(name: str) -> list[str]:
    """Return the words of a name such as ``startTime_ms`` in lower case."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def _listed_and(names: Sequence[str]) -> str:
    """Join names with commas and an ``and``.

    >>> _listed_and(["a", "b", "c"]), _listed_and(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
