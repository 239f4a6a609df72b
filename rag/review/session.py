"""ReviewSession: one scan, or an index, under review by any number of people at once."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from earful.errors import ReviewError
from earful.index.annotations import event_id
from earful.index.labels import Label, LabelJournal, journal_path
from earful.rag.review.board import Board
from earful.rag.review.candidates import Candidate, IndexSource, ReviewSource, ScanSource
from earful.rag.review.changes import Change, Labelled, Progress, Refit
from earful.rag.review.dealing import Dealer
from earful.rag.review.item import ReviewItem
from earful.rag.review.palette import Palette
from earful.rag.review.queues import Dealt
from earful.rag.review.refitting import Refitter
from earful.rag.review.settings import ReviewSettings
from earful.rag.scan import Events
from earful.values import repr_of
from earful.wording import known_names, quoted

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

    Several threads may use it at once. What is said is in the journal of the scan's folder, or of
    the index, before a call returns; other processes may write there, too.

    Args:
        source: What is asked about.
        settings: How a review chooses what is shown.
        labels: That are offered first.
        more_labels: That are offered last.
        clock: Tells seconds since 1970.

    Attributes:
        name: Name of the scan's folder; ``"index"`` for the rows of an index.
        journal: Where labels go.
        settings: As given.
        on_change: Is told of each change: ``"label"``, ``"undo"`` or ``"refit"``, and its data as
            plain JSON values.
    """

    def __init__(
        self,
        source: ReviewSource,
        settings: ReviewSettings = _DEFAULTS,
        *,
        labels: Sequence[str] = (),
        more_labels: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = source.name
        self.settings = settings
        self.journal = LabelJournal(journal_path(source.folder))
        self.on_change: OnChange | None = None
        self._source = source
        self._lock = threading.RLock()
        self._board = Board(source, self.journal, settings)
        self._dealer = Dealer(self._board, source, settings, clock)
        self._refitter = Refitter(self._board, self._dealer, source, settings, self._lock)
        self._palette = Palette(self.journal, [*labels, *source.labels], more_labels)

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
        """Open a scan, or the doubtful rows of an index, for review.

        Args:
            scan: Folder that a scan wrote; ``None`` for the rows of the index.
            index: An index, or its folder; beside a scan it has to be of the same encoder.
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
        if scan is None and index is None:
            raise ReviewError("nothing to review: expected the folder of a scan, or an index")
        opened: Index | None = None
        if index is not None:
            from earful.index import Index

            opened = index if isinstance(index, Index) else Index.open(index)
        source: ReviewSource
        if scan is not None:
            source = scanned = ScanSource(scan, settings, embedder=embedder)
            if opened is not None:
                scanned.require_encoder_of(opened)
        elif opened is not None:
            source = IndexSource(opened)
        labels: Sequence[str] = ()
        if task is not None:
            from earful.rag.task import Task, load_task

            if not isinstance(task, Task):
                task = load_task(os.fspath(task), takes_one_label=True)
            labels = tuple(task.labels)
        more = () if opened is None else sorted(opened.labels)
        return cls(source, settings, labels=labels, more_labels=more, clock=clock)

    def __repr__(self) -> str:
        return repr_of(self, name=self.name, n_items=self._board.n_items)

    # --- what is there -----------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Folder of the scan, or of the index."""
        return self._source.folder

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels to choose from: of the task, then of the scan, then what reviewers named."""
        with self._lock:
            return self._palette.labels()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the review, a sentence each."""
        return (*self._source.notes, *self._board.state.notes)

    @property
    def events(self) -> Events:
        """The events that detectors find now, with what reviewers said of them."""
        with self._lock:
            self._board.catch_up()
            return self._board.events()

    @property
    def refit_due(self) -> tuple[str, ...]:
        """Labels of which so much was said since their detectors were fitted that it is time."""
        return tuple(label for label in self._source.labels if self._refitter.is_due(label))

    def progress(self, reviewer: str = "") -> Progress:
        """Return how far the review is; of one reviewer, what they said themselves."""
        with self._lock:
            self._board.catch_up()
            board, fitting = self._board, self._refitter.is_running
            n, n_peaks = board.n_items, board.n_peaks
            return board.tally.progress(n, reviewer, n_peaks=n_peaks, is_fitting=fitting)

    def item(self, item_id: str, *, reviewer: str = "", client: str = "") -> ReviewItem:
        """Return an item by its id; one that somebody looks at as it was shown.

        Args:
            item_id: Its id.
            reviewer: Who asks; what they have not answered is as they were shown it.
            client: The page that asks.

        Raises:
            UnknownItemError: There is none.
        """
        with self._lock:
            self._board.catch_up()
            candidate = self._board.find(item_id)
            if (shown := self._dealer.shown(item_id, reviewer, client)) is not None:
                return shown
            dealt = Dealt(item=item_id, queue="", why="")
            return self._dealer.describe(candidate, dealt, self._dealer.leases.of(item_id))

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

        What this page has already comes first, as it was shown; skipped items come last, again.

        Args:
            n: How many; there may be fewer.
            reviewer: Who asks.
            label: Only items with this guess; empty for all.
            strategy: One of ``STRATEGIES``, or such as ``"target=0.6"``.
            client: The page that asks.
            skip: Items that the page shows already, and keeps.

        Raises:
            ReviewError: There is no such strategy, or ``n`` is below 1.
        """
        if n < 1:
            raise ReviewError(f"n={n}: expected 1 or more items")
        self._begin()
        with self._lock:
            self._board.catch_up()
            return self._dealer.next_items(
                n, reviewer=reviewer, client=client, label=label, strategy=strategy, skip=skip
            )

    def release(self, client: str) -> None:
        """Take back what a page has, such as when it is closed."""
        with self._lock:
            self._dealer.release(client)

    # --- what is said ------------------------------------------------------------------------

    def label(self, label: Label, *, client: str = "") -> Labelled:
        """Keep what a reviewer says of an item.

        What the label leaves open (guess, score, threshold, detector, queue, and whether it was
        drawn at random) is taken from the item as it was shown. A label that comes again, as its
        answer was lost on the way, is not written twice.

        Args:
            label: Its ``item`` is one of this review, unless its ``source`` is ``"missed"``.
            client: The page that says it.

        Returns:
            The label as it was written, and what it changed.

        Raises:
            UnknownItemError: There is no such item.
            LeasedError: Another reviewer, or another page, is looking at it.
            ReviewError: Its recording is gone, and more is said than skip.
            LabelError: It cannot be written.
        """
        with self._lock:
            self._board.catch_up()
            if label.source == "missed" and label.item not in self._board.known:
                self._board.known[label.item] = Candidate.of_label(label)
            candidate = self._board.find(label.item)
            if (known := self._board.said_before(label)) is not None:
                return Labelled(label=known, changed=self._change(known))
            self._dealer.leases.require(label.item, label.reviewer, client)
            if label.polarity != "skip" and not self._source.place(candidate).is_there:
                raise ReviewError(
                    f"{candidate.recording}: is not there any more, so that nobody can hear it; "
                    "expected a skip; put the recording back to label its items"
                )
            written = self.journal.append(self._completed(label, candidate, client))
            self._dealer.done(label.item, label.reviewer, client)
            self._board.count(label.item)
            self._refitter.learn_of(written)
            change = self._change(written)
        self._tell("label", {"label": written.to_dict(), "change": change.to_dict()})
        return Labelled(label=written, changed=change)

    def undo(self, seq: int, reviewer: str, *, client: str = "") -> Label:
        """Take back a label; the reviewer is shown its item next.

        Args:
            seq: Number of the label.
            reviewer: Who said it.
            client: The page that takes it back, and gets the item if nobody else has it.

        Returns:
            The label that no longer counts.

        Raises:
            LabelError: There is none, another said it, it was taken back already, or this cannot
                be written.
        """
        with self._lock:
            self._board.catch_up()
            label = self.journal.undo(seq, reviewer)
            self._board.count(label.item)
            if label.item in self._board.current:
                self._dealer.give_back(label, client)
            self._refitter.learn_of(label)
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
        flagged: bool = False,
        seen_ms: int | None = None,
        at: datetime | None = None,
    ) -> Labelled:
        """Keep an event that the detector missed.

        Where half of it, or of an item of that label, lies in the other, that item is meant.

        Args:
            recording: As the scan names it.
            start_s: Where it begins, in seconds.
            end_s: Where it ends, in seconds.
            label: What sounds there.
            reviewer: Who says so.
            client: Their page.
            comment: Whatever they add.
            flagged: Whether another reviewer should look at it.
            seen_ms: How long it was looked at, in milliseconds; ``None`` when unknown.
            at: When it was said; ``None`` for now.

        Returns:
            The label as it was written, and what it changed.

        Raises:
            ReviewError: The scan has no such recording, it is gone, or the stretch lies outside.
            LeasedError: Another is looking at that item.
            LabelError: A value is none that can be kept, or it cannot be written.
        """
        rows = {row.recording: row for row in self._source.events.recordings}
        row = rows.get(recording)
        if row is None:
            raise ReviewError(
                f"recording {quoted(recording)}: is none of {self.name}; "
                f"{known_names(recording, list(rows))}"
            )
        if row.duration_s is not None and start_s >= row.duration_s:
            raise ReviewError(
                f"{recording}: start_s={start_s:g} lies after its end at {row.duration_s:.2f} s; "
                "expected a stretch inside it"
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
            flagged=flagged,
            seen_ms=seen_ms,
            at=at,
        )
        with self._lock:
            if said.item not in self._board.known:
                same = self._board.same_as(Candidate.of_label(said))
                said = said if same is None else replace(said, item=same.item)
        return self.label(said, client=client)

    def _completed(self, label: Label, candidate: Candidate, client: str) -> Label:
        """Return a label with what it leaves open."""
        shown = self._dealer.as_shown(label.item, label.reviewer, client)
        missed = candidate.kind == "said" and label.source == "missed"
        queue = label.queue or ("" if shown is None else shown.queue)
        source = label.source
        if source == "review" and candidate.kind == "row":
            source = "index"
        elif source == "review" and shown is not None and shown.queue == "random":
            source = "random"
        score = candidate.score if shown is None else shown.score
        threshold = candidate.threshold if shown is None else shown.threshold
        return replace(
            label,
            source=source,
            guess=label.guess or ("" if missed else shown.guess if shown else candidate.guess),
            score=score if label.score is None else label.score,
            threshold=threshold if label.threshold is None else label.threshold,
            detector=label.detector or self._source.detector,
            queue=queue,
        )

    def _change(self, label: Label) -> Change:
        name, tally = label.label, self._board.tally
        state = self._board.state.items.get(label.item)
        text = tally.line(name) if label.polarity != "skip" else "skipped"
        if events := self._refitter.change(name):
            text += f"; {events}"
        return Change(
            text=text,
            label=name,
            n_positive=tally.n(name, "positive"),
            n_negative=tally.n(name, "negative"),
            is_disputed=state is not None and state.status == "disputed",
            refit_due=any(self._refitter.is_due(one) for one in (name, label.guess)),
        )

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        if self.on_change is not None:
            self.on_change(kind, {"scan": self.name, **data})

    # --- fitting -----------------------------------------------------------------------------

    def refit(self, label: str = "") -> Refit | None:
        """Fit detectors again with what was said, and put the queue in order anew.

        The first time it also looks for peaks. What somebody looks at stays as it was shown. It
        takes a second or less for an hour of recording, and nobody waits for it: call it in a
        thread.

        Args:
            label: Whose detector; empty, or one that was not looked for, for all of which something
                was said since.

        Returns:
            What has changed for the label, or for that of which most was said; ``None`` where there
            is nothing to fit, or it is being done already.
        """
        refits = self._refitter.run(label)
        for one in refits:
            self._tell("refit", one.to_dict())
        return refits[0] if refits else None

    def _begin(self) -> None:
        """Begin to look for peaks, the first time that somebody asks for items."""
        if self.settings.fit_in_background and self._refitter.begin():
            threading.Thread(target=self._refit_in_background, daemon=True).start()

    def _refit_in_background(self) -> None:
        try:
            self.refit()
        except Exception:
            logger.exception("%s: its detectors could not be fitted again", self.name)
