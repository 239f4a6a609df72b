"""Text about scans for a terminal: times of events, and progress on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from earful.wording import duration_text

if TYPE_CHECKING:
    from earful.index.annotations import Event
    from earful.rag.scan import ScanProgress

_EVERY_S = 5.0


def event_time(event: Event) -> str:
    """Return when an event began: the time of the day, else the time in its file."""
    if event.starts_at is not None:
        return event.starts_at.strftime("%H:%M:%S")
    from earful.model.audio import whole_clock

    return f"{whole_clock(event.start_s)} in the file"


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
    if progress.stage == "times":
        return f"looking up times {done.done} of {done.total}"
    if not done.done and not done.audio_s:
        return f"looking up recordings {done.n_found} of {done.total}"
    title = "encoding examples" if progress.stage == "examples" else "encoding"
    pace = done.audio_s / done.seconds if done.seconds > 0 else 0.0
    length = duration_text(done.audio_s)
    return f"{title} {done.done} of {done.total}, {length}, {pace:.0f} x real time"
