"""ReviewItem: a stretch that a reviewer is asked about, and the example it resembles most."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from earful.errors import ReviewError
from earful.values import short_repr


class UnknownItemError(ReviewError):
    """A review holds no item of that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestExample:
    """The example that an item resembles most.

    Attributes:
        name: As evidence names it: its recording and times.
        source: The recording or clip; ``None`` if it is not there.
        recording_sha256: Hex SHA-256 of the file; empty when unknown.
        exemplar: Id of the row where it is one of an index; else empty.
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.
        similarity: Cosine of the two; ``None`` when unknown.
    """

    name: str
    source: Path | None
    recording_sha256: str = ""
    exemplar: str = ""
    start_s: float = 0.0
    end_s: float = 0.0
    similarity: float | None = None

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; ``source`` as a file's name, not a path."""
        return _plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """A stretch that a reviewer is asked about.

    Attributes:
        item: Its id, the same however often detectors are fitted again; of a row of an index the
            row's.
        scan: Name of the scan's folder; ``"index"`` for a row of an index.
        source: The recording's file.
        recording: The recording, as the scan or the index names it.
        recording_sha256: Hex SHA-256 of the file; empty when unknown.
        exemplar: Id of the row for one of an index; else empty.
        start_s: Where it begins, in seconds.
        end_s: Where it ends (exclusive), in seconds.
        guess: Label that is asked about; empty for none.
        score: Of the guess: 0 is the recording's background, 1 a typical example. Of a row of an
            index how doubtful its label is, 0 to 1. ``None`` without one.
        threshold: Score above which it is an event; ``None`` without one.
        probability: From 20 reviewed events on; ``None`` before.
        queue: Why it comes now: ``"top"``, ``"margin"``, ``"diverse"``, ``"random"``, ``"target"``,
            ``"disputed"``, ``"second"`` (another reviewer saw it, too), ``"skipped"``,
            ``"returned"`` (a label was taken back); empty for an item that was asked for by its id.
        why: A short sentence.
        starts_at: When it began; ``None`` when unknown.
        site: Where the recorder stood; may be empty.
        low_hz: Lower end of the band that holds 90 % of its energy, in Hz; ``None`` if unknown.
        high_hz: Upper end of that band.
        duration_s: Length of the recording, in seconds; ``None`` if unknown.
        sample_rate: Of the recording, in Hz; ``None`` if unknown.
        missing: Whether the recording is gone: it can be skipped, and not labelled.
        nearest: The example it resembles most; ``None`` when unknown.
        said: What is said of this stretch, such as ``"wren"``, ``"not owl"`` and ``"unsure"``.
        leased_until: Until when it is kept from others, in UTC; ``None`` if it is not.
    """

    item: str
    scan: str
    source: Path
    recording: str
    recording_sha256: str = ""
    exemplar: str = ""
    start_s: float
    end_s: float
    guess: str = ""
    score: float | None = None
    threshold: float | None = None
    probability: float | None = None
    queue: str = ""
    why: str = ""
    starts_at: datetime | None = None
    site: str = ""
    low_hz: float | None = None
    high_hz: float | None = None
    duration_s: float | None = None
    sample_rate: int | None = None
    missing: bool = False
    nearest: NearestExample | None = None
    said: tuple[str, ...] = ()
    leased_until: datetime | None = None

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; ``source`` as a file's name, not a path."""
        return _plain_fields(self)


def _plain_fields(value: Any) -> dict[str, Any]:
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value.to_dict() if isinstance(value, NearestExample) else value
