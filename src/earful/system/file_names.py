"""File names that every system takes, and names that some systems take for one."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

_RESERVED: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³"}
)
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def portable_name(name: str) -> str:
    r"""Return a file name that Windows takes, too, as like the given one as can be.

    What it cannot hold becomes ``_``; a device's name, and a dot or space at the end, get one more.
    Two names can become one: see ``colliding_names``.

    >>> portable_name("CON.txt"), portable_name("12:30?.wav"), portable_name("owl. ")
    ('CON_.txt', '12_30_.wav', 'owl. _')
    """
    name = _FORBIDDEN.sub("_", name)
    stem, dot, rest = name.partition(".")
    if stem.rstrip(" ").upper() in _RESERVED:
        name = f"{stem.rstrip(' ')}_{dot}{rest}"
    return f"{name}_" if name.endswith((".", " ")) or not name else name


def colliding_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of different names that are one file where letters' case does not count.

    Windows and macOS take ``A.wav`` and ``a.wav`` for one; macOS also an accented letter in one
    piece and in two.

    >>> colliding_names(["A.wav", "b.wav", "a.wav", "A.wav"])
    [('A.wav', 'a.wav')]
    """
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        groups[folded][name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]
