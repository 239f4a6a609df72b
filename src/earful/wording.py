"""Wording of messages: counts, lengths of time, quoted values, lists, paths."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable, Sequence


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number and the words that go with it.

    Args:
        n: How many.
        one: The words for one, such as ``"row"`` or ``"row has"``.
        many: The words for none or several; empty for ``one`` with an s.

    >>> counted(1, "row"), counted(1200, "row"), counted(0, "copy", "copies")
    ('1 row', '1,200 rows', '0 copies')
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def duration_text(seconds: float) -> str:
    """Return a length of time in hours and minutes, a short one in seconds.

    >>> duration_text(112_320), duration_text(1500), duration_text(12.34)
    ('31 h 12 min', '25 min', '12.3 s')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def printable(text: str) -> str:
    r"""Escape characters that a terminal or a UTF-8 stream cannot show, line breaks included.

    >>> printable("caf\u00e9\n\udcff.wav")
    'café\\n\\udcff.wav'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def as_argument(path: str | os.PathLike[str]) -> str:
    """Return a path quoted as it is typed into a shell: the system's.

    >>> as_argument("my sounds.index"), as_argument("sounds.index")
    ("'my sounds.index'", 'sounds.index')
    """
    text = printable(os.fspath(path))
    if os.name == "nt":
        # Of Windows' shells, both take double quotes, and only one takes single ones.
        return f'"{text}"' if set(text) & set(" &()^,;=%!'") or not text else text
    return shlex.quote(text)


_QUOTED = 80

_MOST_LISTED = 30


def quoted(value: object) -> str:
    """Return a value's ``repr``, of a long one only the beginning.

    >>> quoted("dog"), quoted("x" * 100_000)[-24:]
    ("'dog'", 'xxx… (100002 characters)')
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}… ({len(text)} characters)"


def shortened(text: str) -> str:
    """Return a text, or its first 200 characters."""
    return text if len(text) <= 200 else f"{text[:200]}…"


def listed(names: Iterable[object]) -> str:
    """Join names for a message, the first thirty of them.

    >>> listed(["a", "b"]), listed([])
    ('a, b', 'none')
    """
    texts = [str(name) for name in names]
    shown = [text if len(text) <= _QUOTED else quoted(text) for text in texts[:_MOST_LISTED]]
    more = [f"and {len(texts) - _MOST_LISTED} more"] if len(texts) > _MOST_LISTED else []
    return ", ".join(shown + more) or "none"


# Beyond these sizes, a search for the nearest name takes seconds.
_MOST_COMPARED = 100

_MOST_KNOWN = 1000


def unknown_name(what: str, found: str, known: Sequence[str]) -> str:
    """Return a message that a name is unknown, with the nearest known one.

    >>> unknown_name("order", "nearest-lst", ["nearest-first", "nearest-last"])
    "unknown order 'nearest-lst' (did you mean 'nearest-last'?); known: nearest-first, nearest-last"
    """
    return f"unknown {what} {quoted(found)}{meant(found, known)}; known: {listed(known)}"


def known_names(found: str, known: Sequence[str]) -> str:
    """Return the known names for one that is not among them, the nearest first.

    >>> known_names("owll", ["dog", "owl"])
    "did you mean 'owl'? known: dog, owl"
    """
    if not known:
        return "none is known"
    near = nearest_name(found, known)
    return f"{f'did you mean {near!r}? ' if near else ''}known: {listed(known)}"


def meant(found: str, known: Sequence[str]) -> str:
    """Return a question for the known name that was meant, in brackets; ``""`` for none."""
    near = nearest_name(found, known)
    return f" (did you mean {near!r}?)" if near else ""


def nearest_name(found: str, known: Sequence[str]) -> str:
    """Return the known name that is spelt nearly like another; ``""`` for none."""
    near: list[str] = []
    if len(found) <= _MOST_COMPARED and len(known) <= _MOST_KNOWN:
        short = [name for name in known if len(name) <= _MOST_COMPARED]
        near = difflib.get_close_matches(found, short, n=1)
    return near[0] if near else ""
