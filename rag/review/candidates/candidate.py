"""Candidates: stretches that may be asked about, and the ids that they keep over fits."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from earful.index.annotations import Event
from earful.values import short_repr

if TYPE_CHECKING:
    from earful.index.labels import Label

CandidateKind = Literal["event", "example", "peak", "said", "row"]
"""An event, one that is an example of the scan and so known, a peak that is none, what a reviewer
said and no detector finds, a row of an index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A stretch that may be asked about.

    Attributes:
        item: Its id: that of the first form in which it was seen.
        recording: As the scan or the index names it.
        recording_sha256: Hex SHA-256 of the file; may be empty.
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.
        guess: Label that is asked about; may be empty.
        score: Of the guess; ``None`` without one.
        threshold: Score above which it is an event; ``None`` without one.
        kind: What it is.
        probability: ``None`` with too few reviewed events.
        n_reviewed: How many those are.
        margin: Distance to the best other label; ``None`` without one.
        why: A short sentence; may be empty.
        starts_at: When it began.
        site: Where the recorder stood.
        low_hz: Lower end of its band.
        high_hz: Upper end of its band.
        nearest_example: Name of the example it resembles most; empty when not known yet.
        similarity: Cosine of the two.
        exemplar: Id of the row of an index.
    """

    item: str
    recording: str
    recording_sha256: str = ""
    start_s: float
    end_s: float
    guess: str
    score: float | None = None
    threshold: float | None = None
    kind: CandidateKind
    probability: float | None = None
    n_reviewed: int | None = None
    margin: float | None = None
    why: str = ""
    starts_at: datetime | None = None
    site: str = ""
    low_hz: float | None = None
    high_hz: float | None = None
    nearest_example: str = ""
    similarity: float | None = None
    exemplar: str = ""

    __repr__ = short_repr

    @property
    def place(self) -> str:
        """The recording: its content, its name where that is unknown."""
        return self.recording_sha256 or self.recording

    @property
    def doubt(self) -> float:
        """Distance of the score from the threshold; of a row of an index, less the more doubtful.

        Infinite without a score.
        """
        if self.score is None:
            return float("inf")
        return -self.score if self.threshold is None else abs(self.score - self.threshold)

    @classmethod
    def of_event(cls, event: Event, threshold: float) -> Candidate:
        """Return an event of a scan as a candidate."""
        return cls(
            item=event.event_id,
            recording=event.recording,
            recording_sha256=event.recording_sha256,
            start_s=event.start_s,
            end_s=event.end_s,
            guess=event.label,
            score=event.score,
            threshold=threshold,
            kind="event",
            probability=event.probability,
            n_reviewed=event.n_reviewed,
            margin=event.margin,
            starts_at=event.starts_at,
            site=event.site,
            low_hz=event.low_hz,
            high_hz=event.high_hz,
            nearest_example=event.nearest_example,
            similarity=event.similarity,
        )

    @classmethod
    def of_label(cls, label: Label) -> Candidate:
        """Return what a reviewer said as a candidate."""
        return cls(
            item=label.item,
            recording=label.recording,
            recording_sha256=label.recording_sha256,
            start_s=label.start_s,
            end_s=label.end_s,
            guess=label.guess or label.label,
            score=label.score,
            threshold=label.threshold,
            kind="said",
        )

    def to_event(self) -> Event:
        """Return it as a row of ``events.csv``, without what reviewers said."""
        return Event(
            event_id=self.item,
            recording=self.recording,
            recording_sha256=self.recording_sha256,
            start_s=self.start_s,
            end_s=self.end_s,
            label=self.guess,
            score=0.0 if self.score is None else self.score,
            margin=self.margin,
            probability=self.probability,
            n_reviewed=self.n_reviewed,
            starts_at=self.starts_at,
            site=self.site,
            nearest_example=self.nearest_example,
            similarity=self.similarity,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
        )


def overlap_s(one: Candidate, other: Candidate) -> float:
    """Return how long two candidates of one recording overlap, in seconds; 0 or less for not."""
    return min(one.end_s, other.end_s) - max(one.start_s, other.start_s)


def is_same_sound(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates of one recording overlap by half of the shorter one or more."""
    shorter = min(one.end_s - one.start_s, other.end_s - other.start_s)
    return overlap_s(one, other) >= shorter / 2


class ByPlace:
    """Candidates by recording and guess, to be found by time.

    Args:
        candidates: In any order.
    """

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self._own: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        for one in candidates:
            self._own[one.place, one.guess].append(one)
        self._starts: dict[tuple[str, str], list[float]] = {}
        self._longest: dict[tuple[str, str], float] = {}
        for key, own in self._own.items():
            own.sort(key=lambda one: (one.start_s, one.end_s, one.item))
            self._starts[key] = [one.start_s for one in own]
            self._longest[key] = max(one.end_s - one.start_s for one in own)

    def overlapping(self, one: Candidate) -> Iterator[Candidate]:
        """Yield those of the same recording and guess that overlap a candidate, by time."""
        key = (one.place, one.guess)
        if key not in self._starts:
            return
        first = bisect_left(self._starts[key], one.start_s - self._longest[key])
        for other in self._own[key][first:]:
            if other.start_s >= one.end_s:
                return
            if other.end_s > one.start_s:
                yield other


def keep_ids(found: Sequence[Candidate], known: Sequence[Candidate]) -> list[Candidate]:
    """Give candidates the ids by which they are known.

    One of the same id is the same. Then those of one recording and guess that overlap by half of
    the shorter one, the longest first, are the same, each once.

    Args:
        found: What a detector finds now.
        known: What was found, or said, before.

    Returns:
        What was found, in its order.
    """
    ids = {one.item for one in known}
    kept = {row: one.item for row, one in enumerate(found) if one.item in ids}
    taken = set(kept.values())
    places = ByPlace(one for one in known if one.item not in taken)
    pairs = sorted(
        (-overlap_s(one, other), row, other.item)
        for row, one in enumerate(found)
        if row not in kept
        for other in places.overlapping(one)
        if is_same_sound(one, other)
    )
    for _, row, item in pairs:
        if row not in kept and item not in taken:
            kept[row] = item
            taken.add(item)
    return [replace(one, item=kept.get(row, one.item)) for row, one in enumerate(found)]


def without_same(found: Sequence[Candidate], said: Sequence[Candidate]) -> list[Candidate]:
    """Leave out what a reviewer has judged under another id.

    Args:
        found: With the ids that they keep.
        said: What reviewers judged.
    """
    places = ByPlace(said)
    ids = {one.item for one in said}
    return [
        one
        for one in found
        if one.item in ids or not any(is_same_sound(one, each) for each in places.overlapping(one))
    ]
