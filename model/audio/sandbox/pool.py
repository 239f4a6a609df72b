"""WorkerPool: idle and busy workers, and the errors that a lost one costs a file."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

from earful.errors import AudioError, MissingExtraError
from earful.model.audio.limits import ANY_LENGTH, AudioLimits
from earful.model.audio.sandbox.connections import Message
from earful.model.audio.sandbox.worker import (
    ProcessLimits,
    Worker,
    WorkerCrashedError,
    WorkerLostError,
    WorkerTooBigError,
)
from earful.model.audio.source import fetched, name_of_source
from earful.wording import printable

_log = logging.getLogger("earful.model.audio.sandbox")

_MODULE: Final = "earful.model.audio.sandbox.worker_process"
_LIMITS: Final = ProcessLimits()
_NEXT: Final = {"next": True}
_ERRORS: Final = {error.__name__: error for error in (AudioError, MissingExtraError, ValueError)}


class WorkerPool:
    """Idle and busy workers; a request that finds no idle one starts another."""

    def __init__(
        self,
        limits: ProcessLimits = _LIMITS,
        command: Sequence[str] = ("-P", "-m", _MODULE),
    ) -> None:
        # -P: never import a module from the working folder, which may hold a stranger's files.
        self._limits = limits
        self._command = command
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    def request(
        self,
        do: str,
        path: str | os.PathLike[str],
        limits: AudioLimits,
        options: dict[str, Any],
    ) -> Message:
        """Decode or probe one file in a worker; raise an answer that is an error."""
        local = fetched(path, max_bytes=limits.max_file_bytes)
        message = _message(do, local, limits, options)
        with self._told_of(path):
            try:
                answered = self._try(message, fresh=False)
            except WorkerCrashedError:
                # Retry: only a worker that has read no other file shows that it was this one.
                answered = self._try(message, fresh=True)
        self._require_success(path, local, answered[0])
        return answered

    def stream(
        self, path: str | os.PathLike[str], limits: AudioLimits, options: dict[str, Any]
    ) -> Iterator[Message]:
        """Decode one file in a worker, answer by answer; raise one that is an error.

        The worker is ended where the caller takes no more before the last answer.
        """
        local = fetched(path, max_bytes=ANY_LENGTH.max_file_bytes)
        message = _message("stream", local, limits, options)
        n_given = 0
        for fresh in (False, True):
            try:
                with self._borrowed(fresh=fresh) as worker, self._told_of(path, crash=fresh):
                    answered = worker.request(message, _NEXT)
                    for place in itertools.count():
                        if "error" in answered[0]:
                            break
                        # After a crash, what was given before it comes again, bit by bit.
                        if place >= n_given:
                            n_given += 1
                            yield answered
                        if "end" in answered[0]:
                            return
                        answered = worker.request(_NEXT)
                self._require_success(path, local, answered[0])
            except WorkerCrashedError:
                continue

    def stop(self) -> None:
        """End all workers; the next file gets new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy, self._busy = self._busy, set()
        for worker in idle:
            worker.kill()
            worker.close()
        for worker in busy:  # the caller that waits for it closes the connection
            worker.kill()

    def warm_up(self) -> None:
        """Start an idle worker, unless there is any."""
        with self._lock:
            if not self._idle and not self._busy:
                self._idle.append(Worker(self._limits, self._command))

    def _try(self, message: dict[str, Any], *, fresh: bool) -> Message:
        with self._borrowed(fresh=fresh) as worker:
            return worker.request(message)

    @contextmanager
    def _borrowed(self, *, fresh: bool) -> Iterator[Worker]:
        """Lend an idle worker or, where ``fresh`` or none is idle, a new one."""
        with self._lock:
            if self._idle and not fresh:
                worker = self._idle.pop()
            else:
                worker = Worker(self._limits, self._command)
            self._busy.add(worker)
        try:
            yield worker
        except BaseException:
            with self._lock:
                self._busy.discard(worker)
            worker.kill()
            worker.close()
            raise
        with self._lock:
            if worker in self._busy:  # else all were ended meanwhile
                self._busy.remove(worker)
                self._idle.append(worker)
                return
        worker.close()

    @contextmanager
    def _told_of(self, path: str | os.PathLike[str], *, crash: bool = True) -> Iterator[None]:
        """Turn the loss of a worker into an error of a file; one that crashed only if so told."""
        try:
            yield
        except WorkerLostError as lost:
            if isinstance(lost, WorkerCrashedError) and not crash:
                raise
            name = name_of_source(path)
            if isinstance(lost, WorkerTooBigError):
                raise self._too_much(name) from lost
            _log.info("%s: its decoding process %s; the next file gets another", name, lost)
            raise AudioError(
                f"{name}: decoding it {lost}, expected a file that decoders can read; fetch or "
                "export it again"
            ) from lost

    def _require_success(
        self, path: str | os.PathLike[str], local: str, answer: dict[str, Any]
    ) -> None:
        if "error" in answer:
            # The worker knows an object of a store by its copy here.
            name = name_of_source(path)
            text = answer["text"].replace(printable(local), name)
            raise self._error(name, answer | {"text": text})

    def _error(self, name: str, answer: dict[str, Any]) -> Exception:
        if answer["error"] in _ERRORS:
            return _ERRORS[answer["error"]](answer["text"])
        if answer["error"] == "MemoryError":
            return self._too_much(name)
        return AudioError(
            f"{name}: its decoder failed ({printable(answer['text'])}), expected a file that "
            "decoders can read; fetch or export it again"
        )

    def _too_much(self, name: str) -> AudioError:
        return AudioError(
            f"{name}: decoding it takes more memory than the {self._limits.memory_bytes >> 20} "
            "MiB that are allowed; take a segment of it"
        )


def _message(
    do: str, path: str | os.PathLike[str], limits: AudioLimits, options: dict[str, Any]
) -> dict[str, Any]:
    return {
        "do": do,
        "path": os.fspath(path),
        "folder": os.getcwd(),
        "limits": asdict(limits),
        "options": options,
    }
