"""Desk: the reviews of a server, what pages are told of them, and fits in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from earful.index.labels import Label
from earful.serve.faults import RequestError
from earful.serve.reviewing.event_table import EventTable
from earful.serve.reviewing.rows import label_row
from earful.serve.sources import Sources
from earful.serve.work import Changes
from earful.wording import known_names, quoted

if TYPE_CHECKING:
    from earful.rag.review import ReviewSession

_log = logging.getLogger(__name__)


class Desk:
    """Reviews of a server by name; for any thread.

    Args:
        reviews: By the name of their scan; that of the index opens when it is asked for.
        sources: Say what plays a label.
        changes: Are told of labels and fits.
    """

    def __init__(
        self, reviews: Mapping[str, ReviewSession], sources: Sources, changes: Changes
    ) -> None:
        self._reviews, self._sources, self._changes = reviews, sources, changes
        self._lock = threading.Lock()
        self._tables: dict[str, tuple[tuple[int, int], EventTable]] = {}
        self._fits: dict[str, int] = {}
        # By review, labels whose detectors are to be fitted, in order: that of the first is.
        self._fitting: dict[str, dict[str, None]] = {}

    def session(self, name: str = "") -> ReviewSession:
        """Return a review.

        The review of the index begins when somebody asks for it: it looks for doubtful rows.

        Args:
            name: Of its scan, or ``"index"``; empty for the first.

        Raises:
            RequestError: There is none of that name.
            IndexFolderError: The index is damaged.
        """
        known = self._reviews
        found = next(iter(known.values()), None) if not name else known.get(name)
        if found is None:
            raise RequestError(
                f"scan {quoted(name)}: is not open; {known_names(name, list(known))}"
                if name
                else "no scan is open; start `earful serve` with --scan",
                status=404,
                code="unknown_scan",
                field="scan",
            )
        found.on_change = self._tell
        return found

    def table(self, name: str = "") -> EventTable:
        """Return the events of a scan as they are now.

        Raises:
            RequestError: There is none of that name.
            LabelError: Its journal is damaged.
        """
        session = self.session(name)
        said = session.journal.state()
        version = (said.last_seq, self._fits.get(session.name, 0))
        known = self._tables.get(session.name)
        if known is not None and known[0] == version:
            return known[1]
        statuses = {item: one.status for item, one in said.items.items()}
        table = EventTable(session.events, statuses)
        with self._lock:
            self._tables[session.name] = (version, table)
        return table

    def fit(self, session: ReviewSession, label: str) -> None:
        """Fit the detector of a label again, in a thread of its own, after those that wait."""
        with self._lock:
            is_running = session.name in self._fitting
            self._fitting.setdefault(session.name, {})[label] = None
        if not is_running:
            threading.Thread(
                target=self._fit, args=(session,), name="earful-fit", daemon=True
            ).start()

    def _fit(self, session: ReviewSession) -> None:
        while True:
            with self._lock:
                label = next(iter(self._fitting[session.name]), None)
                if label is None:
                    del self._fitting[session.name]
                    return
            try:
                if session.refit_due:  # the fit before may have known all of it
                    session.refit(label)
            except Exception as error:
                # The label is kept; the queue stays as it was.
                _log.warning(
                    "%s: the detector of %s could not be fitted",
                    *(session.name, label),
                    exc_info=error,
                )
            with self._lock:
                del self._fitting[session.name][label]

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell pages of a change, without paths."""
        told = dict(data)
        if kind == "refit":
            with self._lock:
                self._fits[told["scan"]] = self._fits.get(told["scan"], 0) + 1
        if isinstance(told.get("label"), Mapping):  # of a refit it is a name
            told["label"] = label_row(Label.from_dict(told["label"]), self._sources)
        self._changes.publish(kind, told)
