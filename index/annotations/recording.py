"""RecordingRow: what a scan knows of a recording, one row of ``recordings.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from earful.read_only import ReadOnlyDict
from earful.values import short_repr

RecordingStatus = Literal["ok", "cut short", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """A recording of a scan; the fields are the columns of ``recordings.csv``.

    A recording without events has a row, too, and so has one that failed: absence is data.

    Attributes:
        recording: Its path, as it was given to the scan.
        sha256: Hex SHA-256 of the file; empty where it was not read to the end.
        status: ``"ok"``, ``"cut short"``, ``"failed"`` or ``"skipped"``.
        reason: Why it failed or was skipped, or where it was cut short; may be empty.
        duration_s: Length in seconds of what was read; ``None`` if nothing was.
        sample_rate: In Hz; ``None`` if unknown.
        channels: Number of channels; ``None`` if unknown.
        bytes: Size of the file; ``None`` if unknown.
        starts_at: When it begins; without a zone where that is unknown.
        time_source: What told the time, such as ``"GUANO"`` or ``"file name"``; may be empty.
        site: Where the recorder stood; may be empty.
        latitude: In degrees; ``None`` when unknown.
        longitude: In degrees; ``None`` when unknown.
        device: The recorder; may be empty.
        n_steps: Number of steps kept; ``None`` if none are.
        n_events: Number of events found.
        notes: What a reader should know, such as silence or clipping.
        extra: Further metadata of the recorder, as text.
        time_expansion: How many times slower than it was recorded the file plays; 1 for most.
    """

    recording: str
    sha256: str = ""
    status: RecordingStatus = "ok"
    reason: str = ""
    duration_s: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    bytes: int | None = None
    starts_at: datetime | None = None
    time_source: str = ""
    site: str = ""
    latitude: float | None = None
    longitude: float | None = None
    device: str = ""
    n_steps: int | None = None
    n_events: int = 0
    notes: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=ReadOnlyDict, hash=False)
    time_expansion: float = 1.0

    __repr__ = short_repr

    @property
    def recorded_s(self) -> float:
        """Seconds that the recording took, which a file that plays slower does not tell.

        >>> RecordingRow(recording="bat.wav", duration_s=50.0, time_expansion=10.0).recorded_s
        5.0
        """
        return (self.duration_s or 0.0) / self.time_expansion

    @property
    def was_read(self) -> bool:
        """Whether it was scanned, be it only as far as it could be read.

        >>> [RecordingRow(recording="a.wav", status=one).was_read for one in ("ok", "skipped")]
        [True, False]
        """
        return self.status in ("ok", "cut short")
