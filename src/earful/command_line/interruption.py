"""Interruptions: one line that says what a command keeps, and how to go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from earful.wording import printable

INTERRUPTED: Final = 130
"""Exit code."""


class InterruptedExit(SystemExit):
    """The end of a command that was interrupted and has said what is kept."""


@contextmanager
def told_if_interrupted(kept: str) -> Iterator[None]:
    """End a command that is interrupted within by one line and the exit code 130.

    Args:
        kept: What is kept then, and how to go on.

    Raises:
        InterruptedExit: It was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(printable(f"interrupted; {kept}") + "\n")
        raise InterruptedExit(INTERRUPTED) from None
