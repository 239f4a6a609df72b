"""ReviewSession: one scan, or an index, under review by any number of people at once."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from earful.errors import ReviewError
from earful.index.annotations import event_id
from earful.index.labels import Label, LabelJournal, LabelState, journal_path
from earful.rag.review.candidates import (
    Candidate,
    ReviewSource,
    ScanSource,
    is_same_sound,
    keep_ids,
)
from earful.rag.review.changes import Change, Labelled, Progress, Refit
from earful.rag.review.item import ReviewItem, UnknownItemError
from earful.rag.review.leases import Lease, Leases
from earful.rag.review.queues import Dealt, Queue, Standing, Strategy, random_number, reserve
from earful.rag.review.settings import ReviewSettings
from earful.rag.review.tally import Tally
from earful.rag.scan import Events
from earful.values import repr_of
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index import Index
    from earful.model import StepEmbedder
    from earful.rag.task import Task

PathLike = str | os.PathLike[str]
OnChange = Callable[[str, Mapping[str, Any]], None]
_DEFAULTS: Final = ReviewSettings()
logger = logging.getLogger(__name__)


class ReviewSession:
    """A scan, or the doubtful rows of an index, under review.

    Several threads may use it at once. What is said goes into the journal of the scan's folder or
    of the index before a call returns; other processes may write there, too.

    Args:
        source: What is asked about.
        settings: How a review chooses what is shown.
        labels: That are offered first; none for the most used.
        clock: Tells seconds since 1970.

    Attributes:
        name: Name of the scan's folder; ``"index"`` for the rows of an index.
        labels: In the order of the task, else the most used first; it stays the same.
        journal: Where labels go.
        settings: As given.
        on_change: Is told of each change: ``"label"``, ``"undo"`` or ``"refit"`` and its data.
    """

    def __init__(
        self,
        source: ReviewSource,
        settings: ReviewSettings = _DEFAULTS,
        *,
        labels: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = source.name
        self.settings = settings
        self.journal = LabelJournal(journal_path(source.folder))
        self.on_change: OnChange | None = None
        self._source = source
        self._lock = threading.RLock()
        self._fitting = threading.Lock()
        self._leases = Leases(settings.lease_s, clock)
        # All that was ever shown, and of it what may be shown now.
        self._known: dict[str, Candidate] = {}
        self._current: dict[str, Candidate] = {}
        self._handed: dict[str, tuple[ReviewItem, str, str]] = {}
        self._returned: dict[str, list[str]] = {}
        self._asked_again: set[tuple[str, str]] = set()
        self._queues: dict[tuple[str, str, str], Queue] = {}
        self._n_dealt: Counter[tuple[str, str, str]] = Counter()
        self._reserved: frozenset[str] = frozenset()
        self._since_fit: Counter[str] = Counter()
        self._was_fitted = False
        self._tally = Tally()
        self._state: LabelState = self.journal.state()
        said = [Candidate.of_label(one) for one in _counting(self._state)]
        self._replace(keep_ids(source.candidates, said))
        self._recount()
        used, n_events = self._tally.used(), Counter(one.guess for one in source.candidates)
        most = sorted(
            dict.fromkeys([*source.labels, *used]),
            key=lambda label: (-used[label], -n_events[label], label),
        )
        self.labels = tuple(dict.fromkeys([*labels, *most]))

    @classmethod
    def open(
        cls,
        scan: PathLike | None = None,
        index: Index | PathLike | None = None,
        task: Task | PathLike | None = None,
        settings: ReviewSettings = _DEFAULTS,
        *,
        embedder: StepEmbedder | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open a scan, or an index, for review.

        Args:
            scan: Folder that a scan wrote; ``None`` for the doubtful rows of the index.
            index: An index, or its folder.
            task: A task, its file or its name: its labels are offered first.
            settings: How a review chooses what is shown.
            embedder: That made the kept steps; ``None`` to load it when it is needed.
            clock: Tells seconds since 1970.

        Raises:
            ReviewError: Neither a scan nor an index is given.
            ScanError: The scan is missing, was not finished, is damaged, foreign or newer.
            ScanMismatchError: The index was made by another encoder than the scan.
            CorpusError: A row of a table is broken.
            IndexFolderError: The index cannot be read.
            LabelError: The journal is damaged.
            TaskError: The task has mistakes.
        """
        if scan is None:
            raise ReviewError("nothing to review: expected a scan or an index")
        source = ScanSource(scan, settings, embedder=embedder)
        labels: tuple[str, ...] = ()
        if task is not None:
            from earful.rag.task import Task, load_task

            own = task if isinstance(task, Task) else load_task(os.fspath(task))
            labels = tuple(own.labels)
        return cls(source, settings, labels=labels, clock=clock)

    def __repr__(self) -> str:
        return repr_of(self, name=self.name, n_items=len(self._current))

    # --- what is there -----------------------------------------------------------------------

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the review, a sentence each."""
        return (*self._source.notes, *self._state.notes)

    @property
    def events(self) -> Events:
        """The events that detectors find now, and what reviewers said of them."""
        with self._lock:
            self._catch_up()
            return self._source.events

    def progress(self, reviewer: str = "") -> Progress:
        """Return how far the review is, or one reviewer with what they said themselves."""
        with self._lock:
            self._catch_up()
            return self._tally.progress(
                len(self._current), reviewer, is_fitting=self._fitting.locked()
            )

    def item(self, item_id: str) -> ReviewItem:
        """Return an item by its id; one that is handed out as it was shown.

        Raises:
            UnknownItemError: There is none.
        """
        with self._lock:
            self._catch_up()
            candidate = self._known_item(item_id)
            lease = self._leases.of(item_id)
            if lease is not None and item_id in self._handed:
                return self._handed[item_id][0]
            return self._item(candidate, Dealt(item=item_id, queue="", why=candidate.why), lease)

    # --- what is shown -----------------------------------------------------------------------

    def next_items(
        self,
        n: int,
        *,
        reviewer: str,
        label: str = "",
        strategy: str = "mix",
        client: str = "",
        skip: Collection[str] = (),
    ) -> list[ReviewItem]:
        """Return the next items, and keep them from others for a while.

        Those that this page has already come first, as they were shown.

        Args:
            n: How many, fewer where there are not as many.
            reviewer: Who asks.
            label: Only items with this guess; empty for all.
            strategy: One of ``STRATEGIES``, or ``"target=0.6"`` and the like.
            client: The page that asks.
            skip: Items that the page shows already, and keeps.

        Raises:
            ReviewError: There is no such strategy, or ``n`` is below 1.
        """
        order = Strategy.read(strategy)
        if n < 1:
            raise ReviewError(f"n={n}: expected 1 or more items")
        with self._lock:
            self._catch_up()
            found = self._held(reviewer, client, (label, strategy), skip)[:n]
            while len(found) < n:
                dealt = self._deal(reviewer, label, strategy, order)
                if dealt is None:
                    break
                lease = self._leases.take(dealt.item, reviewer, client)
                item = self._item(self._known[dealt.item], dealt, lease, shown_to=reviewer)
                self._handed[dealt.item] = (item, label, strategy)
                found.append(item)
            return found

    def release(self, client: str) -> None:
        """Give back all that a page has, such as when it is closed."""
        with self._lock:
            for item in self._leases.release(client):
                self._handed.pop(item, None)
            self._queues.clear()

    def _held(
        self, reviewer: str, client: str, asked: tuple[str, str], skip: Collection[str]
    ) -> list[ReviewItem]:
        """Return what a page has already; what it asked for otherwise is given back."""
        found = []
        for item in self._leases.held(reviewer, client):
            if item in skip:
                self._leases.take(item, reviewer, client)
            elif item in self._handed and self._handed[item][1:] == asked:
                lease = self._leases.take(item, reviewer, client)
                shown = replace(self._handed[item][0], leased_until=_moment(lease))
                self._handed[item] = (shown, *asked)
                found.append(shown)
            else:
                self._leases.end([item])
                self._queues.clear()
        return found

    def _deal(self, reviewer: str, label: str, strategy: str, order: Strategy) -> Dealt | None:
        returned = self._returned.get(reviewer, [])
        while returned:
            item = returned.pop()
            guess = self._known[item].guess if item in self._known else None
            if (
                guess is not None
                and label in ("", guess)
                and self._standing(item, reviewer) == "free"
            ):
                return Dealt(item=item, queue="returned", why="its label was taken back")
        if order.name == "disputed":
            return self._deal_disputed(reviewer, label)
        key = (reviewer, label, strategy)
        if key not in self._queues:
            self._queues[key] = Queue(
                [one for one in self._current.values() if label in ("", one.guess)],
                order,
                self.settings,
                likeness=lambda items: None,
                reserved=self._reserved,
                n_dealt=self._n_dealt[key],
            )
        dealt = self._queues[key].deal(lambda item: self._standing(item, reviewer))
        if dealt is not None:
            self._n_dealt[key] += 1
            if dealt.item in self._state.items and not self._is_only_skipped(dealt.item):
                return replace(dealt, queue="second", why="another reviewer is asked, too")
            return dealt
        return self._deal_skipped(reviewer, label)

    def _deal_disputed(self, reviewer: str, label: str) -> Dealt | None:
        """Return what reviewers contradict each other about, once to each."""
        for item in sorted(self._tally.disputed):
            state, candidate = self._state.items.get(item), self._known.get(item)
            if state is None or candidate is None or label not in ("", candidate.guess):
                continue
            if (reviewer, item) in self._asked_again or self._leases.of(item) is not None:
                continue
            if state.status != "disputed" and reviewer in state.words:
                continue  # flagged by themselves
            self._asked_again.add((reviewer, item))
            why = "reviewers contradict each other"
            if state.status != "disputed":
                why = "a reviewer asks for another opinion"
            return Dealt(item=item, queue="disputed", why=why)
        return None

    def _deal_skipped(self, reviewer: str, label: str) -> Dealt | None:
        own = self._tally.skipped.get(reviewer, {})
        for item in sorted(own, key=own.__getitem__):
            if (
                item in self._current
                and label in ("", self._current[item].guess)
                and self._leases.of(item) is None
                and self._is_only_skipped(item)
            ):
                return Dealt(item=item, queue="skipped", why="it was skipped before")
        return None

    def _standing(self, item: str, reviewer: str) -> Standing:
        state = self._state.items.get(item)
        if state is not None:
            if reviewer in state.words:
                return "gone"
            n_decided = sum(word.polarity != "skip" for word in state.words.values())
            if n_decided >= 1 and not (n_decided == 1 and self._is_double(item)):
                return "gone"
        return "free" if self._leases.of(item) is None else "busy"

    def _is_double(self, item: str) -> bool:
        """Whether two reviewers are asked."""
        return random_number(item, self.settings.seed + 1) * 100 < self.settings.double

    def _is_only_skipped(self, item: str) -> bool:
        words = self._state.items[item].words.values()
        return all(word.polarity == "skip" for word in words)

    def _item(
        self,
        candidate: Candidate,
        dealt: Dealt,
        lease: Lease | None,
        *,
        shown_to: str | None = None,
    ) -> ReviewItem:
        candidate = self._source.detailed(candidate)
        self._known[candidate.item] = candidate
        if candidate.item in self._current:
            self._current[candidate.item] = candidate
        place = self._source.place(candidate)
        return ReviewItem(
            item=candidate.item,
            scan=self.name,
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
        """Return what is said of a stretch; a second reviewer is not told what the first said."""
        state = self._state.items.get(candidate.item)
        words = [] if state is None else list(state.words.values())
        return tuple(
            dict.fromkeys(
                _word_text(word) for word in words if shown_to is None or word.reviewer == shown_to
            )
        )

    # --- what is said ------------------------------------------------------------------------

    def label(self, label: Label, *, client: str = "") -> Labelled:
        """Keep what a reviewer says of an item.

        What the label leaves open (guess, score, threshold, queue, how it came about) is taken from
        the item as it was shown.

        Args:
            label: Its ``item`` is one of this review, unless its source is ``"missed"``.
            client: The page that says it.

        Raises:
            UnknownItemError: There is no such item.
            LeasedError: Another reviewer, or another page, is looking at it.
            ReviewError: Its recording is gone, and more is said than skip.
            LabelError: It cannot be written.
        """
        with self._lock:
            self._catch_up()
            if label.item not in self._known and label.source == "missed":
                self._known[label.item] = Candidate.of_label(label)
            candidate = self._known_item(label.item)
            self._leases.require(label.item, label.reviewer, client)
            if label.polarity != "skip" and not self._source.place(candidate).is_there:
                raise ReviewError(
                    f"{label.recording}: is not there any more; an item whose recording is gone "
                    "can only be skipped; put the recording back to label it"
                )
            written = self.journal.append(self._completed(label, candidate))
            self._leases.end([label.item])
            self._handed.pop(label.item, None)
            self._said_one(written)
            change = self._change(written)
            labelled = Labelled(label=written, changed=change)
        self._tell("label", {"label": written.to_dict(), "change": change.to_dict()})
        return labelled

    def undo(self, seq: int, reviewer: str, *, client: str = "") -> Label:
        """Take back a label; its item comes next.

        Args:
            seq: Number of the label.
            reviewer: Who said it.
            client: The page that takes it back.

        Raises:
            LabelError: There is none, another said it, it was taken back already, or this cannot be
                written.
        """
        with self._lock:
            self._catch_up()
            label = self.journal.undo(seq, reviewer)
            self._said_one(label)
            self._queues.clear()
            self._returned.setdefault(label.reviewer, []).append(label.item)
            change = self._change(label)
        self._tell("undo", {"label": label.to_dict(), "change": change.to_dict()})
        return label

    def missed(
        self,
        recording: str,
        start_s: float,
        end_s: float,
        label: str,
        reviewer: str,
        *,
        client: str = "",
        comment: str = "",
    ) -> Label:
        """Keep an event that the detector missed.

        Where it is an item already, by half of the shorter one or more, that item gets the label.

        Args:
            recording: As the scan names it.
            start_s: Where it begins, in seconds.
            end_s: Where it ends, in seconds.
            label: What sounds there.
            reviewer: Who says so.
            client: The page that says it.
            comment: Whatever the reviewer adds.

        Raises:
            ReviewError: There is no such recording, or it is gone.
            LeasedError: Another is looking at that item.
            LabelError: A value is none that can be kept, or it cannot be written.
        """
        with self._lock:
            row = next(
                (one for one in self._source.events.recordings if one.recording == recording), None
            )
            if row is None:
                raise ReviewError(
                    f"{quoted(recording)}: is no recording of {self.name}; expected one as "
                    "recordings.csv names it"
                )
            said = Label(
                item=event_id(row.sha256, label, start_s, end_s),
                recording=recording,
                recording_sha256=row.sha256,
                start_s=start_s,
                end_s=end_s,
                label=label,
                polarity="positive",
                reviewer=reviewer,
                source="missed",
                comment=comment,
            )
            if said.item not in self._known:
                own = Candidate.of_label(said)
                for one in self._current.values():
                    if (
                        (one.place, one.guess) == (own.place, own.guess)
                        and one.item not in self._state.items
                        and is_same_sound(one, own)
                    ):
                        said = replace(said, item=one.item)
                        break
            return self.label(said, client=client).label

    def _completed(self, label: Label, candidate: Candidate) -> Label:
        """Return a label with what it leaves open."""
        shown = self._handed.get(label.item)
        queue = label.queue or (shown[0].queue if shown else "")
        score = shown[0].score if shown else candidate.score
        threshold = shown[0].threshold if shown else candidate.threshold
        source = label.source
        if source == "review" and queue == "random":
            source = "random"
        elif source == "review" and candidate.kind == "row":
            source = "index"
        return replace(
            label,
            source=source,
            guess=label.guess or ("" if source == "missed" else candidate.guess),
            score=score if label.score is None else label.score,
            threshold=threshold if label.threshold is None else label.threshold,
            queue=queue,
        )

    def _said_one(self, label: Label) -> None:
        """Count a line that this session has written."""
        before, self._state = self._state, self.journal.state()
        if self._state.last_seq != before.last_seq + 1:
            self._recount()
        self._tally.update(label.item, self._state.items.get(label.item))
        if label.item in self._state.items:
            self._current.setdefault(label.item, self._known[label.item])
        if label.is_opinion:
            for name in {label.label, label.guess} - {""}:
                self._since_fit[name] += 1

    def _change(self, label: Label) -> Change:
        state = self._state.items.get(label.item)
        is_disputed = state is not None and state.status == "disputed"
        n_new = self._since_fit[label.label]
        return Change(
            text=self._tally.line(label.label),
            label=label.label,
            n_positive=self._tally.n(label.label, "positive"),
            n_negative=self._tally.n(label.label, "negative"),
            is_disputed=is_disputed,
            refit_due=label.label in self._source.labels and n_new >= self.settings.refit_after,
        )

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        if self.on_change is not None:
            self.on_change(kind, {"scan": self.name, **data})

    # --- fitting -----------------------------------------------------------------------------

    def refit(self, label: str = "") -> Refit | None:
        """Fit the detector of a label again with what was said, and order the queue anew."""
        return None

    # --- keeping up --------------------------------------------------------------------------

    def _known_item(self, item: str) -> Candidate:
        if item not in self._known:
            raise UnknownItemError(
                f"item {quoted(item)}: is none of {self.name}; expected the id of an event or of "
                "what was labelled"
            )
        return self._known[item]

    def _replace(self, candidates: list[Candidate]) -> None:
        """Show other candidates from now on."""
        self._current = {one.item: one for one in candidates}
        self._known |= self._current
        self._reserved |= reserve(candidates, self.settings) - self._state.items.keys()
        self._queues.clear()

    def _catch_up(self) -> None:
        """Count what other processes wrote into the journal."""
        before, self._state = self._state, self.journal.state()
        if self._state.last_seq != before.last_seq:
            self._recount()

    def _recount(self) -> None:
        self._tally = Tally()
        for item, state in self._state.items.items():
            self._tally.update(item, state)
            if item not in self._known:
                self._known[item] = Candidate.of_label(next(iter(state.words.values())))
            self._current.setdefault(item, self._known[item])
        self._queues.clear()


def _counting(state: LabelState) -> list[Label]:
    """Return a label of each item."""
    return [one.label or next(iter(one.words.values())) for one in state.items.values()]


def _word_text(word: Label) -> str:
    if word.polarity == "unknown":
        return "unsure"
    return word.label if word.polarity == "positive" else f"not {word.label}"


def _moment(lease: Lease) -> datetime:
    return datetime.fromtimestamp(lease.until, UTC)
