"""ReviewSource: what a review asks about, a scan or an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earful.index.labels import Label
from earful.rag.review import NearestExample
from earful.rag.review.candidates.candidate import Candidate
from earful.rag.scan import Events, Example
from earful.read_only import ReadOnlyDict
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The file that a candidate lies in.

    Attributes:
        path: The file.
        is_there: Whether it is there.
        duration_s: Its length, in seconds; ``None`` if unknown.
        sample_rate: In Hz; ``None`` if unknown.
    """

    path: Path
    is_there: bool
    duration_s: float | None = None
    sample_rate: int | None = None

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What detectors find after they were fitted.

    Attributes:
        candidates: Events and peaks, with ids of their own.
        labels: Whose detectors were fitted.
        unread: Recordings whose steps are not there: of them nothing was found anew.
        examples: By label, those that its detector was fitted on.
        detector: 16 hex digits that name the detectors.
        notes: What a reader should know.
    """

    candidates: tuple[Candidate, ...]
    labels: tuple[str, ...]
    unread: frozenset[str] = frozenset()
    examples: Mapping[str, tuple[Example, ...]] = field(default_factory=ReadOnlyDict, hash=False)
    detector: str = ""
    notes: tuple[str, ...] = ()

    __repr__ = short_repr


class ReviewSource(Protocol):
    """What a review asks about."""

    name: str
    folder: Path
    labels: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    events: Events
    detector: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        ...

    def place(self, candidate: Candidate) -> Place:
        """Return the file of a candidate."""
        ...

    def detailed(self, candidate: Candidate) -> Candidate:
        """Return a candidate with what takes time to tell: the example it resembles most."""
        ...

    def nearest(self, candidate: Candidate) -> NearestExample | None:
        """Return the example that a candidate resembles most; ``None`` when unknown."""
        ...

    def vector(self, candidate: Candidate) -> NDArray[np.float32] | None:
        """Return the vector of a candidate at unit length; ``None`` when unknown."""
        ...

    def find(self, labels: Sequence[str], said: Sequence[Label]) -> Found | None:
        """Fit detectors with what reviewers said, and find what they find.

        Args:
            labels: Whose detectors; empty for all.
            said: What counts of each item.

        Returns:
            ``None`` where nothing can be fitted.
        """
        ...
