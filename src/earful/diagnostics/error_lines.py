"""Errors on stderr: one line that says what is wrong, and one that names where it is explained."""

from __future__ import annotations

import sys

from earful.diagnostics.logs import JsonStderr
from earful.errors import help_link
from earful.wording import printable


def print_error(message: str, anchor: str, *, told: set[str] | None = None) -> None:
    """Print an error, and the section of the page that says what to do about it.

    Args:
        message: What is wrong.
        anchor: As of ``EarfulError.anchor``.
        told: Sections that were named before, and are not named again; this one joins them.
    """
    if isinstance(sys.stderr, JsonStderr):
        sys.stderr.write_error(printable(message), help_link(anchor))
        return
    sys.stderr.write(printable(f"error: {message}") + "\n")
    if told is None or anchor not in told:
        sys.stderr.write(f"help: {help_link(anchor)}\n")
    if told is not None:
        told.add(anchor)
