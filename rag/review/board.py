"""Board: the candidates of a review with what is said of them, kept up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from earful.index.labels import Label, LabelJournal, LabelState, review_events
from earful.rag.review.candidates import (
    Candidate,
    Found,
    ReviewSource,
    is_same_sound,
    keep_ids,
    without_same,
)
from earful.rag.review.item import UnknownItemError
from earful.rag.review.queues import in_random_order
from earful.rag.review.settings import ReviewSettings
from earful.rag.review.tally import Tally
from earful.rag.scan import Events
from earful.wording import quoted


class Board:
    """Candidates, and what a journal says of them; a caller that uses several threads guards it.

    Args:
        source: Of the candidates.
        journal: Where labels go.
        settings: Of the review.

    Attributes:
        known: All that was ever a candidate, by id.
        current: What is one now, with all that was labelled.
        state: What the journal says.
        tally: The same, counted.
        reserved: Events that only a random draw shows.
        version: Changes whenever an order of the candidates made before does not hold any more.
        n_items: Candidates that reviewers are asked about, but for peaks of which nothing is said.
        n_peaks: These: stretches below the threshold, which a fit finds.
    """

    def __init__(
        self, source: ReviewSource, journal: LabelJournal, settings: ReviewSettings
    ) -> None:
        self._source, self._journal, self._settings = source, journal, settings
        self.known: dict[str, Candidate] = {}
        self.current: dict[str, Candidate] = {}
        self.reserved: frozenset[str] = frozenset()
        self.tally = Tally()
        self.version = self.n_items = self.n_peaks = 0
        self.state: LabelState = journal.state()
        self._events: tuple[int, int, Events] | None = None
        said = [Candidate.of_label(_any_word(self.state, item)) for item in self.state.items]
        self._show(keep_ids(source.candidates, said))
        self._recount()

    def find(self, item: str) -> Candidate:
        """Return a candidate by its id.

        Raises:
            UnknownItemError: There is none.
        """
        if item not in self.known:
            raise UnknownItemError(
                f"item {quoted(item)}: is none of {self._source.name}; expected the id of an "
                "event, or of what was labelled"
            )
        return self.known[item]

    def update(self, candidate: Candidate) -> None:
        """Keep what is known better of a candidate."""
        self.known[candidate.item] = candidate
        if candidate.item in self.current:
            self.current[candidate.item] = candidate

    def catch_up(self) -> None:
        """Count what other processes wrote into the journal."""
        before, self.state = self.state, self._journal.state()
        if self.state.last_seq != before.last_seq:
            self._recount()

    def count(self, item: str) -> None:
        """Count a line about an item that was just written."""
        before, self.state = self.state, self._journal.state()
        if self.state.last_seq != before.last_seq + 1:
            self._recount()
            return
        was_asked, was_peak = self._is_asked(item, before), self._is_open_peak(item, before)
        self.tally.update(item, self.state.items.get(item))
        if item in self.state.items and item not in self.current:
            self.current[item] = _as_said(self.known[item])
        elif item not in self.state.items and self._is_only_said(item):
            del self.current[item]
        self.n_items += self._is_asked(item, self.state) - was_asked
        self.n_peaks += self._is_open_peak(item, self.state) - was_peak

    def same_as(self, said: Candidate) -> Candidate | None:
        """Return the candidate that a stretch is of, if nothing is said of it yet."""
        for one in self.current.values():
            if (
                (one.place, one.guess) == (said.place, said.guess)
                and one.item not in self.state.items
                and is_same_sound(one, said)
            ):
                return one
        return None

    def said_before(self, label: Label) -> Label | None:
        """Return the word that stands and that a label repeats, sent again as its answer was lost.

        Only what waited brings its own time, and what was written of it before is no older.
        """
        state = self.state.items.get(label.item)
        word = None if state is None else state.words.get(label.reviewer)
        if word is None or label.at is None or word.at is None or word.at < label.at:
            return None
        same = ("label", "polarity", "start_s", "end_s", "comment", "flagged")
        return word if all(getattr(word, x) == getattr(label, x) for x in same) else None

    def n_events(self, label: str) -> int:
        """Return how many events of a label there are by the detectors."""
        return sum(
            one.kind in ("event", "example") and one.guess == label for one in self.current.values()
        )

    def said_for_fit(self) -> list[Label]:
        """Return what detectors learn from; of what is disputed only that nobody knows."""
        found: list[Label] = []
        for state in self.state.items.values():
            if state.label is not None:
                if state.label.polarity != "skip":
                    found.append(state.label)
            else:
                found += [replace(word, polarity="unknown") for word in state.opinions]
        return found

    def take(self, found: Found, leased: Iterable[str]) -> None:
        """Take what detectors find now, in place of what the same ones found before.

        What is labelled stays, and what somebody looks at.

        Args:
            found: With ids of their own.
            leased: Items that somebody looks at.
        """
        labels = set(found.labels) or {one.guess for one in self.current.values()}
        labels |= {one.guess for one in found.candidates}
        others: list[Candidate] = []
        before: list[Candidate] = []
        for one in self.current.values():
            stays = one.guess not in labels or one.recording in found.unread
            (others if stays else before).append(one)
        kept = keep_ids(found.candidates, before)
        judged = [one for one in before if one.item in self.state.items]
        by_id = {one.item: one for one in before}
        now = {
            one.item: _with_details(one, by_id.get(one.item)) for one in without_same(kept, judged)
        }
        watched = set(leased)
        for one in before:
            if one.item in now:
                continue
            if one.item in self.state.items:
                now[one.item] = _as_said(one)
            elif one.item in watched:
                now[one.item] = one
        self._show([*others, *now.values()])

    def events(self) -> Events:
        """Return the events that detectors find now, with what reviewers said of them."""
        key = (self.version, self.state.last_seq)
        if self._events is None or self._events[:2] != key:
            given = self._source.events
            rows = sorted(
                (
                    one.to_event()
                    for one in self.current.values()
                    if one.kind in ("event", "example")
                ),
                key=lambda one: (one.recording, one.start_s, one.end_s, one.label),
            )
            places = {row.recording: row for row in given.recordings}
            rows = [
                replace(
                    one,
                    latitude=places[one.recording].latitude,
                    longitude=places[one.recording].longitude,
                )
                if one.recording in places
                else one
                for one in rows
            ]
            reviewed = review_events(rows, self.state, given.recordings)
            counts = Counter(one.label for one in rows)
            holding = Counter(label for _, label in {(one.recording, one.label) for one in rows})
            events = replace(
                given,
                rows=reviewed.events,
                missed=reviewed.missed,
                denied=reviewed.denied,
                summaries=tuple(
                    replace(
                        one,
                        n_events=counts[one.label],
                        n_recordings=holding[one.label],
                        per_hour=round(counts[one.label] / given.hours, 3) if given.hours else 0.0,
                    )
                    for one in given.summaries
                ),
                notes=tuple(dict.fromkeys([*given.notes, *self._source.notes, *self.state.notes])),
            )
            self._events = (*key, events)
        return self._events[2]

    def _show(self, candidates: Iterable[Candidate]) -> None:
        """Ask about other candidates from now on."""
        self.current = {one.item: one for one in candidates}
        self.known |= self.current
        self._reserve()
        self._count_items()

    def _reserve(self) -> None:
        """Draw a tenth of the events of each label, one at least; what was drawn before stays."""
        kept: set[str] = set()
        by_label: dict[str, list[Candidate]] = {}
        for one in self.current.values():
            if one.kind == "event":
                by_label.setdefault(one.guess, []).append(one)
        for own in by_label.values():
            n = -(-len(own) // self._settings.random_every)
            drawn = [one.item for one in own if one.item in self.reserved]
            more = [
                one.item
                for one in in_random_order(own, self._settings.seed)
                if one.item not in self.reserved and one.item not in self.state.items
            ]
            kept |= {*drawn, *more[: max(0, n - len(drawn))]}
        self.reserved = frozenset(kept)

    def _recount(self) -> None:
        self.tally = Tally()
        for item in [one for one in self.current if one not in self.state.items]:
            if self._is_only_said(item):
                del self.current[item]
        for item, state in self.state.items.items():
            self.tally.update(item, state)
            if item not in self.known:
                self.known[item] = Candidate.of_label(_any_word(self.state, item))
            self.current.setdefault(item, self.known[item])
        self._count_items()

    def _is_only_said(self, item: str) -> bool:
        """Whether an item was made by a reviewer: taken back, it is none."""
        own = self.current.get(item)
        return own is not None and own.kind == "said" and own.score is None

    def _is_asked(self, item: str, state: LabelState) -> bool:
        """Whether an item counts: of an example, or a peak, once something was said of it."""
        own = self.current.get(item)
        return own is not None and (own.kind not in ("example", "peak") or item in state.items)

    def _is_open_peak(self, item: str, state: LabelState) -> bool:
        own = self.current.get(item)
        return own is not None and own.kind == "peak" and item not in state.items

    def _count_items(self) -> None:
        self.version += 1
        self.n_items = sum(self._is_asked(item, self.state) for item in self.current)
        self.n_peaks = sum(self._is_open_peak(item, self.state) for item in self.current)


def _any_word(state: LabelState, item: str) -> Label:
    own = state.items[item]
    return own.label or next(iter(own.words.values()))


def _as_said(one: Candidate) -> Candidate:
    """Return a candidate that no detector finds now, and somebody has judged."""
    return replace(one, kind="row" if one.kind == "row" else "said")


def _with_details(one: Candidate, before: Candidate | None) -> Candidate:
    """Return a candidate with what is known of its earlier form and does not change."""
    if before is None or one.low_hz is not None:
        return one
    return replace(one, low_hz=before.low_hz, high_hz=before.high_hz)
