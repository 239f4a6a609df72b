"""Ray workers: the actors of one run, what each is doing, and those that are lost."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earful import errors
from earful.errors import EarfulError, EngineError
from earful.index.distributed.engines.engine import Done, Failed, Worker, describe
from earful.index.distributed.units import Unit, UnitResult
from earful.wording import shortened

_log = logging.getLogger(__name__)

# One that it does, and one that waits, so that none is idle while the driver commits.
_UNITS_AHEAD: Final = 2
_POLL_S: Final = 1.0
_MOST_FAILED_STARTS: Final = 3


# --- in a worker's process -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """How a worker began.

    Attributes:
        place: Host and process, for messages.
        refusal: Name of the error and its message, of one that others will raise, too.
        fault: Why it can do no unit.
    """

    place: str
    refusal: tuple[str, str] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raised:
    """What a unit raised.

    Attributes:
        error: In one line.
        fault: Why the worker can do no unit at all; empty where it can.
        refusal: As of ``_Started``.
    """

    error: str
    fault: str = ""
    refusal: tuple[str, str] | None = None


class WorkerActor:
    """The actor: one worker in a process of its own. Errors leave it as plain text."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def start(self, make_worker: Callable[[], Worker]) -> _Started:
        """Make the worker, and let it embed a sound, which also makes it ready."""
        place = f"{socket.gethostname()}, process {os.getpid()}"
        try:
            self._worker = make_worker()
            return _Started(place=place, fault=self._worker.fault())
        except EarfulError as error:
            return _Started(place=place, refusal=(type(error).__name__, str(error)))
        except Exception as error:
            return _Started(place=place, fault=_one_line(error))

    def work(self, unit: Unit) -> UnitResult | _Raised:
        """Do a unit."""
        if self._worker is None:
            return _Raised(error="the worker was not started", fault="it was not started")
        try:
            return self._worker.work(unit)
        except errors.MissingExtraError as error:
            # The rows are in order: the machine lacks a package, as the next one will.
            return _Raised(error=str(error), refusal=(type(error).__name__, str(error)))
        except Exception as error:
            return _Raised(error=_one_line(error), fault=self._worker.fault())


# --- in the driver's process ---------------------------------------------------------------


@dataclass(slots=True, kw_only=True, eq=False)
class _Seen:
    """An actor as the driver sees it.

    Attributes:
        actor: Its handle.
        starting: The answer to its start, until that has come.
        place: Where it is; empty until it has started.
        given: Units that it has, the one that it does first, with the answers to come.
        since: When it began the first of them, by ``time.monotonic``.
    """

    actor: Any
    starting: Any = None
    place: str = ""
    given: deque[tuple[Unit, Any]] = field(default_factory=deque)
    since: float = 0.0


class RayWorkers:
    """The workers of one run."""

    def __init__(
        self,
        ray: Any,
        make_worker: Callable[[], Worker],
        *,
        n_workers: int,
        resources: Mapping[str, float],
        start_s: float,
        unit_s: float,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            ray: The module, connected.
            make_worker: Makes the worker in its own process.
            n_workers: How many.
            resources: Of each, as options of an actor.
            start_s: Most seconds until the first worker has begun.
            unit_s: Most seconds for a unit.
        """
        self._ray = ray
        self._n_workers = n_workers
        self._start_s = start_s
        self._unit_s = unit_s
        # An actor that ends stays ended: Ray does not know which unit was to blame.
        self._class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=1)(
            WorkerActor
        ).options(scheduling_strategy="SPREAD", **resources)
        self._make_worker = ray.put(make_worker)
        self._workers: list[_Seen] = []
        self._returned: deque[Unit] = deque()
        self._began = time.monotonic()
        self._has_started = False
        self._n_failed_starts = 0
        self._broken_at = ""

    def outcomes(
        self, first: Unit, next_unit: Callable[[], Unit | None]
    ) -> Iterator[Done | Failed]:
        """Yield the outcome of each unit.

        Args:
            first: A unit that was taken already.
            next_unit: Gives the others.

        Raises:
            EngineError: No worker can be started, or none goes on working.
            EarfulError: A worker refuses to work.
        """
        self._returned.append(first)

        def take() -> Unit | None:
            return self._returned.popleft() if self._returned else next_unit()

        while True:
            self._give_out(take)
            if not any(worker.given for worker in self._workers):
                # Nobody has room while all workers start, and yet there may be a unit.
                if (unit := take()) is None:
                    return
                self._returned.appendleft(unit)
            self._start_missing()
            yield from self._collect()

    def end(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()

    # --- workers ---------------------------------------------------------------------------

    def _start_missing(self) -> None:
        if self._n_failed_starts >= _MOST_FAILED_STARTS and self._workers:
            return  # those that work go on
        for _ in range(self._n_workers - len(self._workers)):
            actor = self._class.remote()
            worker = _Seen(actor=actor, starting=actor.start.remote(self._make_worker))
            self._workers.append(worker)

    def _note_start(self, worker: _Seen) -> None:
        """Note how a worker began.

        Raises:
            EarfulError: It refuses to work, or is the last of several that cannot.
        """
        try:
            started: _Started = self._ray.get(worker.starting)
        except self._ray.exceptions.RayTaskError as error:
            raise _cannot_import(error) from error
        except self._ray.exceptions.RayError as error:
            if "ModuleNotFoundError" in str(error):
                raise _cannot_import(error) from error
            self._note_failed_start(worker, _why_lost(self._ray, error))
            return
        worker.starting, worker.place = None, started.place
        if started.refusal is not None:
            raise _as_error(*started.refusal)
        if started.fault:
            self._note_failed_start(worker, f"worker on {started.place}: {started.fault}")
            return
        self._has_started, self._n_failed_starts = True, 0
        _log.info("worker on %s has started", worker.place, extra={"place": worker.place})

    def _note_failed_start(self, worker: _Seen, why: str) -> None:
        self._drop(worker)
        self._n_failed_starts += 1
        _log.warning("a worker cannot start: %s", why, extra={"n": self._n_failed_starts})
        goes_on = self._has_started and self._workers
        if self._n_failed_starts >= _MOST_FAILED_STARTS and not goes_on:
            began = f" (it began at {self._broken_at})" if self._broken_at else ""
            raise EngineError(
                f"workers cannot start: {why}{began}; expected one that embeds a test sound. What "
                "was committed is kept: mend that, and run the same command again"
            )

    def _drop(self, worker: _Seen) -> None:
        self._workers.remove(worker)
        self._ray.kill(worker.actor)

    # --- units -----------------------------------------------------------------------------

    def _give_out(self, take: Callable[[], Unit | None]) -> None:
        """Give units to workers that have room, those first that have none."""
        for most in range(_UNITS_AHEAD):
            for worker in self._workers:
                if worker.starting is not None or len(worker.given) > most:
                    continue
                if (unit := take()) is None:
                    return
                if not worker.given:
                    worker.since = time.monotonic()
                worker.given.append((unit, worker.actor.work.remote(unit)))

    def _collect(self) -> Iterator[Done | Failed]:
        """Wait for the next thing to happen, and yield what comes of it."""
        waited_for = {}
        for worker in self._workers:
            if worker.starting is not None:
                waited_for[worker.starting] = worker
            elif worker.given:
                waited_for[worker.given[0][1]] = worker
        ready, _ = self._ray.wait(list(waited_for), num_returns=1, timeout=_POLL_S)
        for answer in ready:
            worker = waited_for[answer]
            if worker.starting is not None:
                self._note_start(worker)
            else:
                yield self._outcome(worker)
        if not ready:
            yield from self._overdue()

    def _outcome(self, worker: _Seen) -> Done | Failed:
        unit, answer = worker.given[0]
        try:
            result: UnitResult | _Raised = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return self._lose(worker, _why_lost(self._ray, error))
        worker.given.popleft()
        worker.since = time.monotonic()
        if not isinstance(result, _Raised):
            return Done(unit=unit, result=result)
        if result.refusal is not None:
            raise _as_error(*result.refusal)
        if result.fault:
            # What it has got besides would fail as well.
            self._broken_at = describe(unit)
            self._return_others(worker)
            self._drop(worker)
        return Failed(unit=unit, error=result.error, is_broken=bool(result.fault))

    def _lose(self, worker: _Seen, why: str) -> Failed:
        """Note that a worker is lost, with the unit that it was doing."""
        unit, _ = worker.given.popleft()
        self._return_others(worker)
        self._drop(worker)
        _log.warning("worker on %s is lost: %s", worker.place, why, extra={"place": worker.place})
        return Failed(unit=unit, error=why, was_lost=True)

    def _return_others(self, worker: _Seen) -> None:
        """Take back the units that a worker has not begun: they are not to blame."""
        self._returned.extend(unit for unit, _ in worker.given)
        worker.given.clear()

    def _overdue(self) -> Iterator[Failed]:
        now = time.monotonic()
        if not self._has_started and now - self._began > self._start_s:
            free = self._ray.available_resources()
            raise EngineError(
                f"no worker has started in {self._start_s:g} s; Ray has {free.get('CPU', 0):g} "
                f"CPUs and {free.get('GPU', 0):g} GPUs free. Wait until others are done with it, "
                "or ask for less by --workers and --cpus-per-worker"
            )
        for worker in list(self._workers):
            if worker.given and now - worker.since > self._unit_s:
                yield self._lose(worker, f"it took more than {self._unit_s:g} s for a unit")


def _one_line(error: BaseException) -> str:
    return shortened(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _why_lost(ray: Any, error: Exception) -> str:
    """Say in a few words how a worker's process ended; the whole of it goes to the log."""
    _log.info("Ray says: %s", error)
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "OutOfMemory" in str(error):
        return "its machine ran out of memory"
    if "node has died" in str(error):
        return "its machine is gone"
    return "its process ended"


def _as_error(name: str, message: str) -> EarfulError:
    """Return the error that a worker raised, by its name."""
    found = getattr(errors, name, EngineError)
    is_error = isinstance(found, type) and issubclass(found, EarfulError)
    made: EarfulError = (found if is_error else EngineError)(message)
    return made


def _cannot_import(error: Exception) -> EngineError:
    reason = " ".join(str(error).split("\n")[-1].split()) or type(error).__name__
    return EngineError(
        f"a worker cannot load what it needs ({shortened(reason)}); expected earful with all that "
        "the embedder needs on every machine: install the same release there, or give "
        "RayEngine(runtime_env={'pip': ['earful[ray]']})"
    )
