"""Memory: what many threads take together."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
"""The option's number in glibc's ``malloc.h``."""
_MOST_ARENAS: Final = 2


def share_arenas() -> None:
    """Let threads that begin from now on allocate from two arenas.

    glibc gives each thread an arena of its own, and each keeps what its largest picture took.
    """
    with suppress(OSError, AttributeError):  # another C library has no arenas
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _MOST_ARENAS)
