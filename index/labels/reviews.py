"""Reviews of events: what a journal says of the events of a scan, and what the scan missed."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from earful.index.annotations import Event, RecordingRow, event_id
from earful.index.labels.fold import ItemState, LabelState
from earful.index.labels.label import Label
from earful.values import short_repr

SAME_OVERLAP: Final = 0.5
"""Least intersection over union of two stretches that are of one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedEvents:
    """Events with their reviews.

    Attributes:
        events: The events in their order; ``review``, ``reviewer`` and ``reviewed_at`` are what
            the journal says, and stay as they were where it says nothing.
        missed: Stretches that reviewers called positive and no event of that label stands for:
            what the scan missed, and events that got another label. Their score is 0.
        denied: Stretches that were an event when reviewers said that it is not this label, and
            are none now, as detectors learnt of it. Their score is 0.
    """

    events: tuple[Event, ...]
    missed: tuple[Event, ...] = ()
    denied: tuple[Event, ...] = ()

    __repr__ = short_repr


def review_events(
    events: Sequence[Event], state: LabelState, recordings: Iterable[RecordingRow] = ()
) -> ReviewedEvents:
    """Give events the reviews of a journal.

    An item is the event of its id, else the one of the same recording and label that shares at
    least half of what both cover together: another scan may move the ends of an event a little.
    What is disputed counts as unknown, and what was only skipped as not reviewed.

    Args:
        events: Of a scan.
        state: What its journal says.
        recordings: Of the scan; they tell where and when missed events were.
    """
    if not state.items:
        return ReviewedEvents(events=tuple(events))
    matching = _Matching(events)
    for item, said in state.items.items():
        matching.add(item, said)
    matching.finish()
    rows = {row.sha256: row for row in reversed(list(recordings)) if row.sha256}
    missed = tuple(_missed(label, rows) for label in matching.unmatched())
    denied = tuple(_denied(label, rows) for label in matching.denied())
    return ReviewedEvents(events=tuple(matching.events), missed=missed, denied=denied)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return intersection over union of two stretches, 0 to 1.

    >>> overlap((0.0, 2.0), (1.0, 3.0)), overlap((0.0, 1.0), (2.0, 3.0))
    (0.3333333333333333, 0.0)
    """
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))


class Stretches:
    """Stretches of recordings and labels, found by overlap.

    Args:
        found: Key of a recording, label, start and end of each, in seconds.
    """

    def __init__(self, found: Iterable[tuple[str, str, float, float]]) -> None:
        self._of: dict[tuple[str, str], list[tuple[float, float, int]]] = defaultdict(list)
        self._longest: dict[tuple[str, str], float] = defaultdict(float)
        for at, (recording, label, start_s, end_s) in enumerate(found):
            self._of[recording, label].append((start_s, end_s, at))
            longest = max(self._longest[recording, label], end_s - start_s)
            self._longest[recording, label] = longest
        for several in self._of.values():
            several.sort()

    def near(
        self, recording: str, label: str, start_s: float, end_s: float
    ) -> list[tuple[float, int]]:
        """Return the overlap and place of each that is of one event with a stretch, best first."""
        several = self._of.get((recording, label), [])
        found = []
        for start, end, at in several[
            bisect_left(several, (start_s - self._longest[recording, label],)) :
        ]:
            if start >= end_s:
                break
            shared = overlap((start, end), (start_s, end_s))
            if shared >= SAME_OVERLAP:
                found.append((shared, at))
        return sorted(found, key=lambda one: (-one[0], one[1]))


class _Matching:
    """Events as they are given their reviews, each by one item."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = list(events)
        self._place = {event.event_id: at for at, event in enumerate(events)}
        self._stretches = Stretches(
            (recording_key(e.recording_sha256, e.recording), e.label, e.start_s, e.end_s)
            for e in events
        )
        self._taken: set[int] = set()
        self._pairs: list[tuple[float, str, int, ItemState]] = []
        self._positives: list[Label] = []
        # By item, what says that an event is not what was guessed.
        self._denials: dict[str, Label] = {}

    def add(self, item: str, said: ItemState) -> None:
        """Give the event of an item's id its review, or note the events that it may be."""
        if said.label is not None and said.label.polarity == "positive":
            self._positives.append(said.label)
        if said.label is not None and _denies_guess(said.label):
            self._denials[item] = said.label
        if item in self._place:
            self._review(self._place[item], said)
            return
        last = said.label or said.opinions[-1]
        for shared, at in self._near(last, last.guess or last.label):
            self._pairs.append((shared, item, at, said))

    def finish(self) -> None:
        """Give the events that no id found their reviews, the best overlap first."""
        done: set[str] = set()
        for _, item, at, said in sorted(self._pairs, key=lambda one: (-one[0], one[1], one[2])):
            if item not in done and at not in self._taken:
                done.add(item)
                self._review(at, said)

    def unmatched(self) -> list[Label]:
        """Return the positive labels that no event stands for, after ``finish``."""
        found, seen = [], set[tuple[str, str, float, float]]()
        for label in sorted(self._positives, key=lambda one: one.seq):
            near = self._near(label, label.label)
            own = self._place.get(label.item)
            if own is not None and self.events[own].label == label.label:
                continue
            if near:
                at = near[0][1]
                if at not in self._taken:
                    self._taken.add(at)
                    self.events[at] = _reviewed(self.events[at], "positive", [label])
                continue
            key = (label.recording_sha256 or label.recording, label.label)
            if (*key, label.start_s, label.end_s) not in seen:
                seen.add((*key, label.start_s, label.end_s))
                found.append(label)
        return found

    def denied(self) -> list[Label]:
        """Return the labels that deny what is no event any more."""
        return [
            label
            for item, label in self._denials.items()
            if item not in self._place and not self._near(label, label.guess or label.label)
        ]

    def _near(self, label: Label, name: str) -> list[tuple[float, int]]:
        recording = recording_key(label.recording_sha256, label.recording)
        return self._stretches.near(recording, name, label.start_s, label.end_s)

    def _review(self, at: int, said: ItemState) -> None:
        event, label = self.events[at], said.label
        if label is None:
            self._taken.add(at)
            self.events[at] = _reviewed(event, "unknown", said.opinions)
            return
        review = label.polarity
        if review == "positive" and label.label != event.label:
            review = "negative"  # who calls it something else says that the guess is wrong
        elif review == "skip" or (review == "negative" and label.label != event.label):
            return
        self._taken.add(at)
        self.events[at] = _reviewed(event, review, [label])


def recording_key(sha256: str, recording: str) -> str:
    """Return what a recording is known by: its content, or its path where that is unknown."""
    return sha256 or f"path {recording}"


def _reviewed(event: Event, review: str, words: Sequence[Label]) -> Event:
    moments = [one.at for one in words if one.at is not None]
    return replace(
        event,
        review=review,
        reviewer=", ".join(dict.fromkeys(one.reviewer for one in words)),
        reviewed_at=max(moments, default=None),
    )


def _denies_guess(label: Label) -> bool:
    """Whether a label says that a stretch is not what was guessed, or not what it names."""
    if label.polarity == "positive":
        return label.guess not in ("", label.label)
    return label.polarity == "negative" and label.guess in ("", label.label)


def _denied(label: Label, rows: Mapping[str, RecordingRow]) -> Event:
    name = label.guess or label.label
    event = _missed(label, rows)
    return replace(event, event_id=label.item, label=name, review="negative")


def _missed(label: Label, rows: Mapping[str, RecordingRow]) -> Event:
    row = rows.get(label.recording_sha256)
    starts_at: datetime | None = None
    if row is not None and row.starts_at is not None:
        starts_at = row.starts_at + timedelta(seconds=label.start_s)
    own = event_id(label.recording_sha256, label.label, label.start_s, label.end_s)
    return Event(
        event_id=label.item if label.source == "missed" else own,
        recording=label.recording if row is None else row.recording,
        recording_sha256=label.recording_sha256,
        start_s=label.start_s,
        end_s=label.end_s,
        label=label.label,
        score=0.0,
        starts_at=starts_at,
        site="" if row is None else row.site,
        latitude=None if row is None else row.latitude,
        longitude=None if row is None else row.longitude,
        review="positive",
        reviewer=label.reviewer,
        reviewed_at=label.at,
    )
