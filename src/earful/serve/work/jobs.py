"""Jobs: work of minutes that goes on while pages do something else, one at a time."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from earful.errors import EarfulError
from earful.serve.faults import UNEXPECTED, RequestError
from earful.serve.work.changes import Changes
from earful.wording import quoted

_log = logging.getLogger(__name__)

_KEPT: Final = 50
_RETRY_S: Final = 30

JobStatus = Literal["running", "done", "failed", "cancelled"]
Tell = Callable[[Mapping[str, Any]], None]


class JobStoppedError(Exception):
    """Raised inside a job by ``tell`` when somebody has cancelled it."""


@dataclass(kw_only=True)
class Job:
    """Work that goes on, or went on, in the background.

    Attributes:
        id: Its id.
        kind: What it does, such as ``"scan"``.
        name: What it is about, such as the name of a scan.
        status: How it stands.
        progress: How far it is, as plain JSON values.
        result: What came of it, as plain JSON values.
        message: Why it failed.
    """

    id: str
    kind: str
    name: str
    status: JobStatus = "running"
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "status": self.status,
            "progress": dict(self.progress),
            "result": dict(self.result),
            "message": self.message,
        }


class Jobs:
    """Jobs of a server, of which one runs at a time; for any thread.

    Args:
        changes: Is told of each step, as a change of kind ``"job"``.
        explain: Turns an error's message into one that may be told, without paths.
    """

    def __init__(self, changes: Changes, explain: Callable[[str], str] = str) -> None:
        self._changes, self._explain = changes, explain
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: tuple[Job, threading.Event, threading.Thread] | None = None

    def start(self, kind: str, name: str, work: Callable[[Tell], Mapping[str, Any]]) -> Job:
        """Begin a job in a thread of its own.

        Args:
            kind: What it does.
            name: What it is about.
            work: Does it: calls what it is given with its progress, and returns its result.

        Raises:
            RequestError: Another one is running.
        """
        stop = threading.Event()
        with self._lock:
            if self._running is not None:
                other = self._running[0]
                raise RequestError(
                    f"the {other.kind} {quoted(other.name)} is running; expected one job at a "
                    "time; wait until it is done, or cancel it",
                    status=429,
                    code="job_running",
                    retry_after_s=_RETRY_S,
                )
            job = Job(id=f"j-{secrets.token_hex(6)}", kind=kind, name=name)
            while len(self._jobs) >= _KEPT:
                del self._jobs[next(iter(self._jobs))]
            self._jobs[job.id] = job
            thread = threading.Thread(
                target=self._run, args=(job, stop, work), name="earful-job", daemon=True
            )
            self._running = (job, stop, thread)
        self._publish(job)
        thread.start()
        return job

    def find(self, id: str) -> Job:
        """Return a job by its id.

        Raises:
            RequestError: There is none.
        """
        with self._lock:
            found = self._jobs.get(id)
        if found is None:
            raise RequestError(
                f"job {quoted(id)}: expected the id of a job of this server",
                status=404,
                code="unknown_job",
                field="id",
            )
        return found

    def all(self) -> list[Job]:
        """Return the jobs of this session, the newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, id: str) -> Job:
        """Ask a job to end; what it has finished is kept.

        Raises:
            RequestError: There is none.
        """
        job = self.find(id)
        with self._lock:
            if self._running is not None and self._running[0] is job:
                self._running[1].set()
        return job

    def close(self, wait_s: float = 10.0) -> None:
        """Ask what runs to end, and wait for it for a while."""
        with self._lock:
            running = self._running
        if running is not None:
            running[1].set()
            running[2].join(wait_s)

    def _run(
        self, job: Job, stop: threading.Event, work: Callable[[Tell], Mapping[str, Any]]
    ) -> None:
        def tell(progress: Mapping[str, Any]) -> None:
            if stop.is_set():
                raise JobStoppedError
            job.progress = dict(progress)
            self._publish(job)

        status: JobStatus = "failed"
        try:
            job.result = work(tell)
            status = "done"
        except JobStoppedError:
            status = "cancelled"
        except EarfulError as error:
            job.message = self._explain(str(error))
        except Exception as error:
            _log.error("the %s %r failed", job.kind, job.name, exc_info=error)
            job.message = UNEXPECTED
        with self._lock:
            self._running = None
            job.status = status
        self._publish(job)

    def _publish(self, job: Job) -> None:
        self._changes.publish("job", job.to_dict())
