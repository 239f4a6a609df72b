"""Refitting: detectors are fitted again beside a review, and their events take the old ones' place.

The lock of the review is held while it is read and while it is changed, not while a detector is
fitted or looks through recordings.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from earful.index.labels import Label
from earful.rag.review.board import Board
from earful.rag.review.candidates import IndexSource, ReviewSource
from earful.rag.review.changes import Refit
from earful.rag.review.dealing import Dealer
from earful.rag.review.settings import ReviewSettings

logger = logging.getLogger(__name__)


class Refitter:
    """Fits detectors again, one run at a time.

    Args:
        board: What there is, and what is said of it.
        dealer: Who looks at what.
        source: Of the candidates.
        settings: Of the review.
        lock: Guards the board and the dealer.
    """

    def __init__(
        self,
        board: Board,
        dealer: Dealer,
        source: ReviewSource,
        settings: ReviewSettings,
        lock: threading.RLock,
    ) -> None:
        self._board, self._dealer, self._source = board, dealer, source
        self._settings, self._lock = settings, lock
        self._running = threading.Lock()
        # Opinions of each label that its detector does not know yet.
        self._since = board.tally.opinions()
        self._was_fitted = False
        self._was_begun = isinstance(source, IndexSource)
        # Events of each label when what reviewers said was first used.
        self._first: dict[str, int] = {}

    @property
    def is_running(self) -> bool:
        """Whether detectors are being fitted."""
        return self._running.locked()

    def begin(self) -> bool:
        """Whether nobody has fitted anything yet; asked again, somebody has."""
        with self._lock:
            was, self._was_begun = self._was_begun, True
        return not was

    def learn_of(self, label: Label) -> None:
        """Count a label that detectors do not know yet, or one that was taken back."""
        if label.is_opinion:
            for name in {label.label, label.guess} - {""}:
                self._since[name] += 1

    def is_due(self, label: str) -> bool:
        """Whether so much was said of a label that it is time to fit again."""
        return label in self._source.labels and self._since[label] >= self._settings.refit_after

    def change(self, label: str) -> str:
        """Return how the events of a label changed by what was said; empty before a fit."""
        if label not in self._first:
            return ""
        return f"{self._first[label]:,} → {self._board.n_events(label):,} events"

    def run(self, label: str = "") -> list[Refit]:
        """Fit the detector of a label, or of all of which something was said.

        A label that the scan did not look for has no detector: what it says, it says of others.

        Returns:
            What changed, that of the label first, else of which most was said; nothing where
            another run goes on, or nothing can be fitted.
        """
        if not self._running.acquire(blocking=False):
            return []
        try:
            return self._run(label)
        finally:
            self._running.release()

    def _run(self, label: str) -> list[Refit]:
        began = time.perf_counter()
        with self._lock:
            self._was_begun = True
            self._board.catch_up()
            labels = self._labels(label)
            if not labels and not isinstance(self._source, IndexSource):
                return []
            said = self._board.said_for_fit()
            known = Counter({name: self._since[name] for name in labels})
        found = self._source.find(labels, said)
        if found is None:
            return []
        with self._lock:
            self._board.catch_up()
            self._was_fitted = True
            names = labels or ("",)
            before = {name: self._count(name) for name in names}
            leased = [item for item in self._board.current if self._dealer.leases.of(item)]
            self._board.take(found, leased)
            self._dealer.forget_vectors()
            self._since -= known
            seconds = time.perf_counter() - began
            refits = [
                self._told(name, before[name], seconds, found.notes)
                for name in sorted(names, key=lambda name: (name != label, -known[name], name))
            ]
        for one in refits:
            logger.info("%s", one.text, extra=one.to_dict())
        return refits

    def _labels(self, label: str) -> tuple[str, ...]:
        """Return the labels whose detectors are fitted."""
        if isinstance(self._source, IndexSource):
            return ()
        if not self._was_fitted:
            return self._source.labels
        if label in self._source.labels:
            return (label,)
        return tuple(name for name in self._source.labels if self._since[name] > 0)

    def _count(self, label: str) -> int:
        return self._board.n_events(label) if label else self._board.n_items

    def _told(self, label: str, before: int, seconds: float, notes: tuple[str, ...]) -> Refit:
        tally, after = self._board.tally, self._count(label)
        n_positive, n_negative = (tally.n(label, one) for one in ("positive", "negative"))
        change = f"{before:,} → {after:,}" if before != after else f"{after:,}"
        text = f"{label or self._source.name}: {change} {'events' if label else 'doubtful rows'}"
        if label and n_positive + n_negative:
            self._first.setdefault(label, before)
            text = f"{tally.line(label)}; {change} events"
        return Refit(
            scan=self._source.name,
            label=label,
            n_positive=n_positive,
            n_negative=n_negative,
            n_events_before=before,
            n_events_after=after,
            text=text,
            seconds=round(seconds, 3),
            notes=notes,
        )
