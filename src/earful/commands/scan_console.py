"""Text about scans for a terminal: hours, times of events, and progress on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from earful.index.annotations import Event
    from earful.rag.scan import ScanProgress

_EVERY_S = 5.0


def hours(seconds: float) -> str:
    """Return a length of time in hours and minutes, a short one in seconds.

    >>> hours(112_320), hours(1500), hours(12.34)
    ('31 h 12 min', '25 min', '12.3 s')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def event_time(event: Event) -> str:
    """Return when an event began: the time of the day, else the time in its file."""
    if event.starts_at is not None:
        return event.starts_at.strftime("%H:%M:%S")
    whole = int(event.start_s)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02} in the file"


class ScanMeter:
    """Progress of a scan, to be passed to ``scan`` as ``on_progress``.

    Args:
        show: Shows how far it is.

    Attributes:
        last: What it was told last; ``None`` before.
    """

    def __init__(self, show: Callable[[ScanProgress], None]) -> None:
        self._show = show
        self.last: ScanProgress | None = None

    def __call__(self, progress: ScanProgress) -> None:
        """Take and show how far the scan is."""
        self.last = progress
        self._show(progress)


@contextmanager
def scan_meter(stream: TextIO) -> Iterator[ScanMeter]:
    """Show how far the encoding is: a live line on a terminal, one every 5 s elsewhere.

    Args:
        stream: Where to write; stdout is never touched.
    """
    if stream.isatty():
        from rich.console import Console
        from rich.status import Status

        with Status("encoding", console=Console(file=stream)) as status:
            yield ScanMeter(lambda progress: status.update(_line(progress)))
        return
    shown_at = time.monotonic()

    def show(progress: ScanProgress) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if now - shown_at >= _EVERY_S:
            shown_at = now
            stream.write(f"{_line(progress)}\n")
            stream.flush()

    yield ScanMeter(show)


def _line(progress: ScanProgress) -> str:
    done = progress.encoding
    title = "encoding examples" if progress.stage == "examples" else "encoding"
    pace = done.audio_s / done.seconds if done.seconds > 0 else 0.0
    return f"{title} {done.done} of {done.total}, {hours(done.audio_s)}, {pace:.0f} x real time"
