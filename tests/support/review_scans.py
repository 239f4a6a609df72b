"""Small scans to review: events made by hand, and recordings of beeps that are scanned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import earful
from earful.index.annotations import Event, RecordingRow, event_id
from earful.index.labels import Label
from earful.rag.review import ReviewItem, ReviewSession, ReviewSettings
from earful.rag.scan import Events, LabelSummary
from tests.support.tone_recordings import ToneSteps, every, record, write_track

SHA256 = "ab" * 32
WRENS = every(6, 8, "wren")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def made_scan(
    folder: Path, scores: Sequence[float], *, label: str = "wren", threshold: float = 0.5
) -> Path:
    """Write a scan with an event of a second for each score, two seconds apart.

    Its recording is there, and nothing is kept of it.
    """
    audio = folder / "night.wav"
    audio.write_bytes(b"heard by nobody")
    rows = [
        Event(
            event_id=event_id(SHA256, label, 2.0 * n, 2.0 * n + 1),
            recording=str(audio),
            recording_sha256=SHA256,
            start_s=2.0 * n,
            end_s=2.0 * n + 1,
            label=label,
            score=score,
        )
        for n, score in enumerate(scores)
    ]
    summary = LabelSummary(
        label=label, n_examples=5, detector="neighbours", background="", threshold=threshold
    )
    recording = RecordingRow(
        recording=str(audio), sha256=SHA256, duration_s=2.0 * len(scores) + 1, sample_rate=8000
    )
    events = Events(rows=tuple(rows), recordings=(recording,), summaries=(summary,))
    events.write(folder / "night.scan")
    return folder / "night.scan"


def scanned_beeps(folder: Path, **given: Any) -> Path:
    """Scan two recordings of wrens, one of which marks its first five."""
    record(folder / "night/A.wav", 60, WRENS)
    record(folder / "night/B.wav", 60, every(20, 2, "wren"), seed=1)
    track = write_track(folder / "A.txt", WRENS[:5])
    out = folder / "night.scan"
    earful.scan(folder / "night", examples=track, out=out, embedder=ToneSteps(), **given)
    return out


def opened(scan: Path, clock: Clock | None = None, **settings: Any) -> ReviewSession:
    """Open a review that fits nothing by itself."""
    return ReviewSession.open(
        scan,
        settings=ReviewSettings(fit_in_background=False, **settings),
        embedder=ToneSteps(),
        clock=clock or Clock(),
    )


def said(shown: ReviewItem, polarity: Any = "positive", **fields: Any) -> Label:
    """Return what a reviewer says of an item: its guess, unless told otherwise."""
    given = {
        "item": shown.item,
        "recording": shown.recording,
        "recording_sha256": shown.recording_sha256,
        "start_s": shown.start_s,
        "end_s": shown.end_s,
        "label": shown.guess,
        "polarity": polarity,
        "reviewer": "ana",
    }
    return Label(**(given | fields))
