"""Standard output and error: a character that they cannot write is escaped, and fails nothing."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TextIO


def escape_what_streams_cannot_write() -> None:
    r"""Have standard output and error write ``\u2713`` where their encoding has no such letter.

    A Windows console's code page, or a locale of one byte a letter, lacks most of them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not is_unicode(stream):
            stream.reconfigure(errors="backslashreplace")


def is_unicode(stream: TextIO) -> bool:
    """Return whether a stream can write every character."""
    try:
        return codecs.lookup(stream.encoding or "utf-8").name.startswith("utf-")
    except (LookupError, AttributeError):
        return True
