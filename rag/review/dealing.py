"""Dealing: which item goes to which reviewer and page, and is kept from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.index.labels import Label
from earful.rag.review.board import Board
from earful.rag.review.candidates import Candidate, ReviewSource
from earful.rag.review.item import ReviewItem
from earful.rag.review.queues import (
    Dealt,
    Lease,
    Leases,
    Queue,
    Standing,
    Strategy,
    random_number,
)
from earful.rag.review.settings import ReviewSettings

# Of more labelled items the latest tell what is new.
_MOST_COMPARED: Final = 500
_FLAGGED: Final = "a reviewer asks for another opinion"


class Dealer:
    """Hands out items; a caller that uses several threads guards it.

    Args:
        board: What there is, and what is said of it.
        source: Of the candidates.
        settings: Of the review.
        clock: Tells seconds since 1970.

    Attributes:
        leases: Who has which item.
    """

    def __init__(
        self,
        board: Board,
        source: ReviewSource,
        settings: ReviewSettings,
        clock: Callable[[], float],
    ) -> None:
        self._board, self._source, self._settings = board, source, settings
        self.leases = Leases(settings.lease_s, clock)
        # By item, reviewer and page, items as they were shown until they are answered, with the
        # label and the order that were asked for; ``None`` for one that an undo returned.
        self._shown: dict[tuple[str, str, str], tuple[ReviewItem, tuple[str, str] | None]] = {}
        # By reviewer and item, labels that were taken back: what they say was shown.
        self._returned: dict[str, dict[str, Label]] = {}
        # Reviewers that have spoken of an item while it was disputed.
        self._asked_again: set[tuple[str, str]] = set()
        # Orders of what can be heard, and of what cannot as its recording is gone.
        self._queues: dict[tuple[str, str, str], tuple[Queue, Queue]] = {}
        self._version = board.version
        self._n_dealt: Counter[tuple[str, str, str]] = Counter()
        self._vectors: dict[str, NDArray[np.float32] | None] = {}

    def next_items(
        self,
        n: int,
        *,
        reviewer: str,
        client: str,
        label: str,
        strategy: str,
        skip: Collection[str],
    ) -> list[ReviewItem]:
        """Hand out items; those that the page has already come first, as they were shown.

        Raises:
            ReviewError: There is no such strategy.
        """
        order = Strategy.read(strategy)
        found = self._held(reviewer, client, (label, strategy), skip)[:n]
        while len(found) < n:
            dealt = self._deal(reviewer, label, strategy, order)
            if dealt is None:
                break
            lease = self.leases.take(dealt.item, reviewer, client)
            found.append(self._show(dealt, lease, (label, strategy)))
        return found

    def shown(self, item: str, reviewer: str, client: str) -> ReviewItem | None:
        """Return an item as a page was shown it, else as somebody sees it now."""
        own, lease = self.as_shown(item, reviewer, client), self.leases.of(item)
        if own is not None or lease is None:
            return own
        return self.as_shown(item, lease.reviewer, lease.client)

    def as_shown(self, item: str, reviewer: str, client: str) -> ReviewItem | None:
        """Return an unanswered item as a page was shown it, be it that its lease has ended."""
        known = self._shown.get((item, reviewer, client))
        return None if known is None else known[0]

    def done(self, item: str, reviewer: str, client: str) -> None:
        """Take an item back: something was said of it, which is not counted yet."""
        if item in self._board.tally.disputed:
            self._asked_again.add((reviewer, item))
        self.leases.end([item])
        self._shown.pop((item, reviewer, client), None)
        self._returned.get(reviewer, {}).pop(item, None)

    def give_back(self, label: Label, client: str) -> None:
        """Show an item to a reviewer next, as it was shown: they took their label back."""
        self.reset()
        self._asked_again.discard((label.reviewer, label.item))
        own = self._returned.setdefault(label.reviewer, {})
        own.pop(label.item, None)
        own[label.item] = label
        if client and self.leases.of(label.item) is None:
            lease = self.leases.take(label.item, label.reviewer, client)
            self._show(_returned(label.item), lease, None)

    def release(self, client: str) -> None:
        """Take back all that a page has."""
        self.leases.release(client)
        self.reset()

    def reset(self) -> None:
        """Put the queues in order anew."""
        self._queues.clear()

    def forget_vectors(self) -> None:
        """Forget the vectors of candidates, whose stretches may have changed."""
        self._vectors.clear()

    # --- which one ---------------------------------------------------------------------------

    def _held(
        self, reviewer: str, client: str, asked: tuple[str, str], skip: Collection[str]
    ) -> list[ReviewItem]:
        """Return what a page has already; what it asked for otherwise is given back."""
        found = []
        for item in self.leases.held(reviewer, client):
            if item in skip:
                self.leases.take(item, reviewer, client)
                continue
            shown, for_what = self._shown.get((item, reviewer, client), (None, asked))
            is_returned = for_what is None and shown and asked[0] in ("", shown.guess)
            if shown is not None and (for_what == asked or is_returned):
                lease = self.leases.take(item, reviewer, client)
                shown = replace(shown, leased_until=_moment(lease))
                self._shown[item, reviewer, client] = (shown, for_what)
                found.append(shown)
            else:
                self.leases.end([item])
                self.reset()
        return sorted(found, key=lambda one: one.queue != "returned")

    def _deal(self, reviewer: str, label: str, strategy: str, order: Strategy) -> Dealt | None:
        board = self._board
        if self._version != board.version:
            self._version = board.version
            self.reset()
        for item in reversed(self._returned.get(reviewer, {})):
            asked = label in ("", board.known[item].guess)
            if asked and self._standing(item, reviewer) == "free":
                return _returned(item)
        if order.name == "disputed":
            return self._deal_disputed(reviewer, label)
        if (flagged := self._deal_flagged(reviewer, label)) is not None:
            return flagged
        key = (reviewer, label, strategy)
        if key not in self._queues:
            self._queues[key] = self._order(key, order)
        heard, gone = self._queues[key]
        dealt = heard.deal(lambda item: self._standing(item, reviewer))
        if dealt is not None and not self._source.place(board.known[dealt.item]).is_there:
            # Its recording went since the orders were made.
            self._queues[key] = heard, gone = self._order(key, order)
            dealt = heard.deal(lambda item: self._standing(item, reviewer))
        dealt = (
            dealt
            or self._deal_skipped(reviewer, label, is_there=True)
            or gone.deal(lambda item: self._standing(item, reviewer))
            or self._deal_skipped(reviewer, label, is_there=False)
        )
        if dealt is None or dealt.queue == "skipped":
            return dealt
        self._n_dealt[key] += 1
        if dealt.item in board.state.items and not self._is_only_skipped(dealt.item):
            return replace(dealt, queue="second", why="two reviewers are asked about it")
        return dealt

    def _order(self, key: tuple[str, str, str], order: Strategy) -> tuple[Queue, Queue]:
        """Return the orders of what can be heard, and of what cannot."""
        by_place: dict[str, bool] = {}
        heard: list[Candidate] = []
        gone: list[Candidate] = []
        for one in self._board.current.values():
            if key[1] not in ("", one.guess) or one.kind == "example":
                continue
            name = f"{one.recording} {one.exemplar}"
            if name not in by_place:
                by_place[name] = self._source.place(one).is_there
            (heard if by_place[name] else gone).append(one)
        made = [
            Queue(
                own,
                order,
                self._settings,
                likeness=self._likeness,
                reserved=self._board.reserved,
                n_dealt=self._n_dealt[key],
            )
            for own in (heard, gone)
        ]
        return made[0], made[1]

    def _deal_disputed(self, reviewer: str, label: str) -> Dealt | None:
        """Return what reviewers contradict each other about, until each has answered again."""
        for item in self._by_place(self._board.tally.disputed):
            state = self._board.state.items[item]
            if label not in ("", self._board.known[item].guess):
                continue
            if (reviewer, item) in self._asked_again or self.leases.of(item) is not None:
                continue
            if state.status != "disputed" and reviewer in state.words:
                continue
            why = "reviewers contradict each other" if state.status == "disputed" else _FLAGGED
            return Dealt(item=item, queue="disputed", why=why)
        return None

    def _deal_flagged(self, reviewer: str, label: str) -> Dealt | None:
        """Return what another reviewer wants a second opinion on, and this one has not judged."""
        for item in sorted(self._board.tally.flagged):
            known = self._board.known[item]
            if (
                self._source.place(known).is_there
                and label in ("", known.guess)
                and reviewer not in self._board.state.items[item].words
                and self.leases.of(item) is None
            ):
                return Dealt(item=item, queue="second", why=_FLAGGED)
        return None

    def _deal_skipped(self, reviewer: str, label: str, *, is_there: bool) -> Dealt | None:
        """Return what a reviewer skipped and can be heard, or cannot, the longest ago first."""
        own = self._board.tally.skipped.get(reviewer, {})
        for item in sorted(own, key=own.__getitem__):
            if (
                label in ("", self._board.known[item].guess)
                and self.leases.of(item) is None
                and self._is_only_skipped(item)
                and self._source.place(self._board.known[item]).is_there == is_there
            ):
                return Dealt(item=item, queue="skipped", why="it was skipped before")
        return None

    def _standing(self, item: str, reviewer: str) -> Standing:
        state = self._board.state.items.get(item)
        if state is not None:
            if reviewer in state.words:
                return "gone"
            n_said = sum(word.polarity != "skip" for word in state.words.values())
            if n_said > 1 or (n_said == 1 and not self._is_double(item)):
                return "gone"
        return "free" if self.leases.of(item) is None else "busy"

    def _by_place(self, items: Collection[str]) -> list[str]:
        """Return items by their ids, those whose recording is gone last."""
        known = self._board.known
        return sorted(items, key=lambda item: (not self._source.place(known[item]).is_there, item))

    def _is_double(self, item: str) -> bool:
        """Whether two reviewers are asked about an item."""
        return 100 * random_number(item, self._settings.seed + 1) < self._settings.double

    def _is_only_skipped(self, item: str) -> bool:
        words = self._board.state.items[item].words.values()
        return all(word.polarity == "skip" for word in words)

    # --- how it is shown ---------------------------------------------------------------------

    def _show(self, dealt: Dealt, lease: Lease, asked: tuple[str, str] | None) -> ReviewItem:
        """Describe an item to who has it, and keep it so until it is answered."""
        reviewer = lease.reviewer
        item = self.describe(self._board.known[dealt.item], dealt, lease, shown_to=reviewer)
        label = self._returned.get(reviewer, {}).get(dealt.item)
        if label is not None:
            item = replace(
                item,
                start_s=label.start_s,
                end_s=label.end_s,
                guess=label.guess or item.guess,
                score=item.score if label.score is None else label.score,
                threshold=item.threshold if label.threshold is None else label.threshold,
            )
        self._shown[dealt.item, reviewer, lease.client] = (item, asked)
        return item

    def describe(
        self,
        candidate: Candidate,
        dealt: Dealt,
        lease: Lease | None,
        *,
        shown_to: str | None = None,
    ) -> ReviewItem:
        """Return a candidate as it is shown.

        Args:
            candidate: Any.
            dealt: Why it is shown.
            lease: For how long it is.
            shown_to: A reviewer who is not told what others said; ``None`` to tell all.
        """
        candidate = self._source.detailed(candidate)
        self._board.update(candidate)
        place = self._source.place(candidate)
        return ReviewItem(
            item=candidate.item,
            scan=self._source.name,
            source=place.path,
            recording=candidate.recording,
            recording_sha256=candidate.recording_sha256,
            exemplar=candidate.exemplar,
            start_s=candidate.start_s,
            end_s=candidate.end_s,
            guess=candidate.guess,
            score=candidate.score,
            threshold=candidate.threshold,
            probability=candidate.probability,
            queue=dealt.queue,
            why=candidate.why or dealt.why,
            starts_at=candidate.starts_at,
            site=candidate.site,
            low_hz=candidate.low_hz,
            high_hz=candidate.high_hz,
            duration_s=place.duration_s,
            sample_rate=place.sample_rate,
            missing=not place.is_there,
            nearest=self._source.nearest(candidate),
            said=self._said(candidate, None if dealt.queue == "disputed" else shown_to),
            leased_until=None if lease is None else _moment(lease),
        )

    def _said(self, candidate: Candidate, shown_to: str | None) -> tuple[str, ...]:
        """Return what is said of the very stretch, then of what overlaps it."""
        board = self._board
        state = board.state.items.get(candidate.item)
        words = [] if state is None else list(state.words.values())
        found = [_word(one) for one in words if shown_to is None or one.reviewer == shown_to]
        found += [
            _word(one)
            for one in board.tally.labels_in(candidate.place)
            if one.item != candidate.item
            and one.start_s < candidate.end_s
            and candidate.start_s < one.end_s
        ]
        return tuple(dict.fromkeys(text for text in found if text))

    def _likeness(self, items: Sequence[str]) -> NDArray[np.float32] | None:
        """Return how much each of some items resembles what is labelled most alike."""
        labelled = [self._vector(item) for item in self._board.tally.latest(_MOST_COMPARED)]
        known = [vector for vector in labelled if vector is not None]
        own = [self._vector(item) for item in items]
        if not known or any(vector is None for vector in own):
            return None
        vectors = np.stack([vector for vector in own if vector is not None])
        similar: NDArray[np.float32] = (vectors @ np.stack(known).T).max(axis=1)
        return similar

    def _vector(self, item: str) -> NDArray[np.float32] | None:
        if item not in self._vectors:
            self._vectors[item] = self._source.vector(self._board.known[item])
        return self._vectors[item]


def _returned(item: str) -> Dealt:
    return Dealt(item=item, queue="returned", why="its label was taken back")


def _word(word: Label | None) -> str:
    """Return what a label says.

    A stretch that was skipped says nothing.
    """
    if word is None or word.polarity == "skip":
        return ""
    if word.polarity == "unknown":
        return "unsure"
    return word.label if word.polarity == "positive" else f"not {word.label}"


def _moment(lease: Lease) -> datetime:
    return datetime.fromtimestamp(lease.until, UTC)
