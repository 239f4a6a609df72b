"""Event: where a scan heard a sound, one row of ``events.csv``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A sound that a scan found in a recording; the fields are the columns of ``events.csv``.

    Attributes:
        event_id: See ``event_id``: the same event keeps it in the next scan.
        recording: Path of the recording, as it was given to the scan.
        recording_sha256: Hex SHA-256 of the file.
        start_s: Where it begins, in seconds from the file's start.
        end_s: Where it ends (exclusive), in seconds.
        label: Name of the sound.
        score: Its highest score: 0 is the recording's background, 1 a typical example. No
            probability.
        margin: Distance to the best other label at that place; ``None`` with a single label.
        probability: From 20 reviewed events on; ``None`` before.
        n_reviewed: How many reviewed events the probability stands on; ``None`` without one.
        starts_at: When it began; without a zone where that is unknown, ``None`` without a time.
        site: Where the recorder stood; empty when unknown.
        latitude: In degrees; ``None`` when unknown.
        longitude: In degrees; ``None`` when unknown.
        nearest_example: Name of the example that its loudest moment resembles most.
        similarity: Cosine of the two.
        low_hz: Lower end of the band that holds 90 % of the energy above the background, in Hz.
        high_hz: Upper end of that band.
        review: ``"positive"``, ``"negative"``, ``"unknown"``, or empty for not reviewed.
        reviewer: Who reviewed it.
        reviewed_at: When, in UTC.
    """

    event_id: str
    recording: str
    recording_sha256: str
    start_s: float
    end_s: float
    label: str
    score: float
    margin: float | None = None
    probability: float | None = None
    n_reviewed: int | None = None
    starts_at: datetime | None = None
    site: str = ""
    latitude: float | None = None
    longitude: float | None = None
    nearest_example: str = ""
    similarity: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    review: str = ""
    reviewer: str = ""
    reviewed_at: datetime | None = None

    __repr__ = short_repr

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def event_id(recording_sha256: str, label: str, start_s: float, end_s: float) -> str:
    """Return 16 hex digits that name an event: of its recording's content, label and times.

    >>> event_id("ab" * 32, "wren", 1.5, 2.25) == event_id("ab" * 32, "wren", 1.50004, 2.25)
    True
    """
    start_ms, end_ms = round(start_s * 1000), round(end_s * 1000)
    text = f"{recording_sha256}\n{label}\n{start_ms}\n{end_ms}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
