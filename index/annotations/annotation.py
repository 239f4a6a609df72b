"""Annotation: a label on a stretch of a recording, whoever set it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from earful.errors import CorpusError
from earful.values import short_repr
from earful.wording import quoted

Polarity = Literal["positive", "negative", "unknown"]
"""Whether the sound is there, is not, or nobody is sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A label on a stretch of a recording.

    >>> Annotation(recording="night.wav", start_s=1.5, end_s=2.25, label="wren")
    Annotation(recording='night.wav', start_s=1.5, end_s=2.25, label='wren')

    Attributes:
        recording: The recording as the annotations name it: a path, a file name, or a name
            without its ending.
        start_s: Where the stretch begins, in seconds from the file's start.
        end_s: Where it ends (exclusive), in seconds; after ``start_s``.
        label: Name of the sound; not blank.
        polarity: Whether the sound is there: ``"positive"``, ``"negative"`` or ``"unknown"``.
        score: As the annotations give it; ``None`` without one.
        low_hz: Lowest frequency marked, in Hz; ``None`` without one.
        high_hz: Highest frequency marked, in Hz; ``None`` without one.
        channel: Channel that was marked, from 1; ``None`` for all.
        where: The row, such as ``"calls.txt:17"``, for messages.

    Raises:
        CorpusError: A time is not finite, negative or not after the start, or the label is blank.
    """

    recording: str
    start_s: float
    end_s: float
    label: str
    polarity: Polarity = "positive"
    score: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    channel: int | None = None
    where: str = ""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        this = self.where or f"annotation of {quoted(self.recording)}"
        if not math.isfinite(self.start_s) or self.start_s < 0:
            raise CorpusError(f"{this}: start_s={self.start_s}: expected 0 or more seconds")
        if not (math.isfinite(self.end_s) and self.end_s > self.start_s):
            raise CorpusError(f"{this}: end_s={self.end_s} is not after start_s={self.start_s}")
        if not self.label.strip():
            raise CorpusError(f"{this}: the label is empty; expected the name of a sound")
