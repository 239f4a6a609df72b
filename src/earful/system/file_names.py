"""File names that every system takes, and names that some systems take for one."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

_RESERVED: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³"}
)
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def portable_name(name: str) -> str:
    r"""Return a file name that Windows takes, too, as like the given one as can be.

    What it cannot hold becomes ``_``; a device's name, and a dot or space at the end, get one more.
    Two names can become one.

    >>> portable_name("CON.txt"), portable_name("12:30?.wav"), portable_name("owl. ")
    ('CON_.txt', '12_30_.wav', 'owl. _')
    """
    name = _FORBIDDEN.sub("_", name)
    stem, dot, rest = name.partition(".")
    if stem.rstrip(" ").upper() in _RESERVED:
        name = f"{stem.rstrip(' ')}_{dot}{rest}"
    return f"{name}_" if name.endswith((".", " ")) or not name else name


def folded_name(name: str) -> str:
    """Return what is the same for names that some system takes for one.

    Windows and macOS take ``A.wav`` and ``a.wav`` for one file; macOS also an accented letter in
    one piece and in two.

    >>> folded_name("A.wav") == folded_name("a.wav")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def relative_path(path: str | os.PathLike[str], start: str | os.PathLike[str]) -> str:
    """Return a path as seen from a folder, with ``/`` between folders.

    From one drive to another there is no such path: then it stays absolute.

    >>> relative_path("/sounds/a.wav", "/sounds/index")
    '../a.wav'
    """
    try:
        found = os.path.relpath(path, start)
    except ValueError:
        found = os.fspath(path)
    return found.replace(os.sep, "/")
