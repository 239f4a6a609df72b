"""Desk: the reviews of a server, what pages are told of them, and fits in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from earful.errors import EarfulError
from earful.index.labels import Label
from earful.rag.review import ReviewSession, ReviewSettings
from earful.serve.faults import RequestError
from earful.serve.reviewing.event_table import EventTable
from earful.serve.reviewing.rows import label_row
from earful.wording import known_names, quoted

if TYPE_CHECKING:
    from earful.serve.state import ServerState

_log = logging.getLogger(__name__)
_INDEX: Final = "index"
_making = threading.Lock()
_desks: WeakKeyDictionary[ServerState, Desk] = WeakKeyDictionary()


class Desk:
    """Reviews of a server by name; for any thread.

    Args:
        state: Of the server.
    """

    def __init__(self, state: ServerState) -> None:
        # Weak: the desk is kept as long as its server, not the other way round.
        self._state_ref = ref(state)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._tables: dict[str, tuple[tuple[int, int], EventTable]] = {}
        self._fits: dict[str, int] = {}
        self._fitting: set[tuple[str, str]] = set()
        for session in state.reviews.values():
            self._listen(session)

    @classmethod
    def of(cls, state: ServerState) -> Desk:
        """Return the desk of a server: one, whoever asks."""
        with _making:
            found = _desks.get(state)
            if found is None:
                found = _desks[state] = cls(state)
            return found

    @property
    def _state(self) -> ServerState:
        state = self._state_ref()  # whoever asks holds it
        assert state is not None
        return state

    def session(self, name: str = "") -> ReviewSession:
        """Return a review.

        The review of the index begins when somebody asks for it: it looks for doubtful rows.

        Args:
            name: Of its scan, or ``"index"``; empty for the first.

        Raises:
            RequestError: There is none of that name.
            IndexFolderError: The index is damaged.
        """
        known = self._state.reviews
        found = next(iter(known.values()), None) if not name else known.get(name)
        if found is None and name == _INDEX:
            found = self._open_index()
        if found is None:
            raise RequestError(
                f"scan {quoted(name)}: is not open; {known_names(name, list(known))}"
                if name
                else "no scan is open; start `earful serve` with --scan",
                status=404,
                code="unknown_scan",
                field="scan",
            )
        self._listen(found)
        return found

    def table(self, name: str = "") -> EventTable:
        """Return the events of a scan as they are now.

        Raises:
            RequestError: There is none of that name.
            LabelError: Its journal is damaged.
        """
        session = self.session(name)
        version = (session.journal.state().last_seq, self._fits.get(session.name, 0))
        known = self._tables.get(session.name)
        if known is not None and known[0] == version:
            return known[1]
        table = EventTable(session.events)
        with self._lock:
            self._tables[session.name] = (version, table)
        return table

    def fit(self, session: ReviewSession, label: str) -> None:
        """Fit the detector of a label again, in a thread of its own; once at a time."""
        key = (session.name, label)
        with self._lock:
            if key in self._fitting:
                return
            self._fitting.add(key)
        threading.Thread(
            target=self._fit, args=(session, label), name="earful-fit", daemon=True
        ).start()

    def _open_index(self) -> ReviewSession:
        from earful.index import Index

        state = self._state
        with self._opening:
            found = state.reviews.get(_INDEX)
            if found is None:
                found = ReviewSession.open(
                    # An index of its own: the server's is read by others meanwhile.
                    index=Index.open(state.index_path),
                    task=state.task,
                    settings=ReviewSettings(double=state.settings.double),
                )
                state.add_review(found)
            return found

    def _fit(self, session: ReviewSession, label: str) -> None:
        try:
            session.refit(label)
        except EarfulError as error:
            # The label is kept; the queue stays as it was.
            _log.warning(
                "%s: the detector of %s could not be fitted: %s", session.name, label, error
            )
        finally:
            with self._lock:
                self._fitting.discard((session.name, label))

    def _listen(self, session: ReviewSession) -> None:
        if session.on_change is None:
            session.on_change = self._tell

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell pages of a change, without paths."""
        told = dict(data)
        if kind == "refit":
            with self._lock:
                self._fits[told["scan"]] = self._fits.get(told["scan"], 0) + 1
        if isinstance(told.get("label"), Mapping):  # of a refit it is a name
            told["label"] = label_row(Label.from_dict(told["label"]), self._state.sources)
        self._state.changes.publish(kind, told)
