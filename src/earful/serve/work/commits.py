"""Commits: labels become rows of the index in the background, soon after they were given."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from earful.errors import EarfulError
from earful.serve.faults import UNEXPECTED
from earful.serve.work.changes import Changes, ServerEvent

_log = logging.getLogger(__name__)

EVERY_LABELS: Final = 20
QUIET_S: Final = 5.0
_RETRIES_S: Final = (5.0, 15.0, 60.0, 300.0)


class Commits:
    """Commits of labels: after every 20, after five seconds without one, and at the end.

    What fails is told to pages and tried again, later each time. Labels are in the journal before
    any of this, so nothing is lost by a commit that does not come.

    Args:
        commit: Commits the labels of a review, by its name, and returns what pages are told.
        changes: Tells which labels were given, and is told of each commit.
        explain: Turns an error's message into one that may be told, without paths.
        every: Labels after which one is due.
        quiet_s: Seconds without a label after which one is due.
    """

    def __init__(
        self,
        commit: Callable[[str], Mapping[str, Any]],
        changes: Changes,
        explain: Callable[[str], str] = str,
        *,
        every: int = EVERY_LABELS,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._commit, self._changes, self._explain = commit, changes, explain
        self._every, self._quiet_s = every, quiet_s
        self._wake = threading.Condition()
        self._n_waiting: dict[str, int] = {}
        self._due_s: dict[str, float] = {}
        self._n_failed: dict[str, int] = {}
        self._is_closed = False
        self._thread: threading.Thread | None = None
        changes.watch(self._see)

    def request(self, reviews: Iterable[str]) -> None:
        """Commit the labels of reviews soon, such as what an earlier run left out."""
        with self._wake:
            for name in reviews:
                self._n_waiting.setdefault(name, 0)
                self._due_s[name] = time.monotonic() + self._quiet_s
            self._start()

    @property
    def n_waiting(self) -> int:
        """Labels that wait for a commit."""
        with self._wake:
            return sum(self._n_waiting.values())

    def close(self) -> None:
        """Commit what waits, once, and take no more."""
        with self._wake:
            self._is_closed = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        for name in list(self._n_waiting):
            self._try(name)

    def _see(self, event: ServerEvent) -> None:
        """Count a label that was given or taken back."""
        scan = event.data.get("scan")
        if event.kind not in ("label", "undo") or not isinstance(scan, str):
            return
        with self._wake:
            if self._is_closed:
                return
            n = self._n_waiting[scan] = self._n_waiting.get(scan, 0) + 1
            now_s = time.monotonic()
            if not self._n_failed.get(scan):
                self._due_s[scan] = now_s if n >= self._every else now_s + self._quiet_s
            self._start()

    def _start(self) -> None:
        if self._is_closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="earful-commit", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._is_closed:
                    return
                if not self._due_s:
                    self._wake.wait()
                    continue
                name = min(self._due_s, key=self._due_s.__getitem__)
                left_s = self._due_s[name] - time.monotonic()
                if left_s > 0:
                    self._wake.wait(left_s)
                    continue
                del self._due_s[name]
            self._try(name)

    def _try(self, name: str) -> None:
        """Commit the labels of a review, and tell how it went."""
        with self._wake:
            n = self._n_waiting.pop(name, 0)
        told: dict[str, Any]
        try:
            told = {"scan": name, "ok": True, **self._commit(name)}
            self._n_failed.pop(name, None)
        except EarfulError as error:
            told = self._failed(name, n, self._explain(str(error)))
        except Exception as error:
            _log.error("labels of %r could not be committed", name, exc_info=error)
            told = self._failed(name, n, UNEXPECTED)
        self._changes.publish("commit", told)

    def _failed(self, name: str, n: int, why: str) -> dict[str, Any]:
        times = self._n_failed[name] = self._n_failed.get(name, 0) + 1
        wait_s = _RETRIES_S[min(times, len(_RETRIES_S)) - 1]
        with self._wake:
            self._n_waiting[name] = self._n_waiting.get(name, 0) + n
            if not self._is_closed:
                self._due_s[name] = time.monotonic() + wait_s
        text = f"labels are kept, and not yet in the index: {why}"
        return {
            "scan": name,
            "ok": False,
            "n_rows": 0,
            "n_removed": 0,
            "text": text,
            "retry_s": None if self._is_closed else wait_s,
        }
