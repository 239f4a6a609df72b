"""The decoding sandbox: worker processes, so that a file that breaks a decoder breaks no run.

Decoders are C libraries that read strangers' files. One that crashes takes its process along,
and one that hangs can only be stopped by ending its process; so ``load_isolated`` and
``probe_isolated`` decode in a small worker process, under limits on time and memory, and turn
any failure of that process into one ``AudioError``. Workers are kept for the next files, as
many as callers need at once, and end with this process.

Where no such process can be started, ``EARFUL_DECODE=here`` decodes in the calling one.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, EarfulError, MissingExtraError
from earful.model.audio.blocks import (
    AudioBlock,
    BlockPlan,
    StreamEnd,
    StreamStart,
    read_blocks,
)
from earful.model.audio.clip import AudioInfo, Clip, load_audio, probe_audio
from earful.model.audio.levels import Levels
from earful.model.audio.limits import AudioLimits
from earful.model.audio.sandbox_worker import receive_message, send_message
from earful.model.audio.segment import Channels
from earful.wording import printable

_log = logging.getLogger(__name__)

_MODULE: Final = "earful.model.audio.sandbox_worker"
_START_S: Final = 60.0
_NEXT: Final = {"next": True}
_ERRORS: Final = {error.__name__: error for error in (AudioError, MissingExtraError, ValueError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits on decoding one file; a worker that exceeds one is ended.

    Attributes:
        cpu_s: Processor time, in seconds.
        wall_s: Elapsed time, in seconds: for a decoder that waits for something for ever.
        memory_bytes: Address space in addition to the idle worker's own.
    """

    cpu_s: float = 60.0
    wall_s: float = 300.0
    memory_bytes: int = 2 << 30


def load_isolated(
    path: str | os.PathLike[str],
    *,
    sample_rate: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: AudioLimits = AudioLimits(),
    channels: Channels = "mean",
) -> Clip:
    """Do what ``load_audio`` does, in a worker process.

    Args:
        path: The audio file.
        sample_rate: Target rate in Hz; ``None`` keeps the file's own.
        start_s: Where to begin, in seconds.
        end_s: Where to end (exclusive), in seconds; ``None`` for the end of the file.
        limits: Limits on what is decoded.
        channels: Whether to average the channels, or keep the first one.

    Raises:
        AudioError: As for ``load_audio``; or decoding crashed, or took more time or memory
            than ``ProcessLimits`` allows.
        MissingExtraError: The format needs the extra ``media``.
        ValueError: As for ``load_audio``.
    """
    options = {"sample_rate": sample_rate, "start_s": start_s, "end_s": end_s, "channels": channels}
    if _is_disabled():
        return load_audio(path, limits=limits, **options)  # type: ignore[arg-type]
    answer, samples = _pool.request("load", path, limits, options)
    clip = answer["clip"]
    return Clip(
        samples=samples,
        sample_rate=clip["sample_rate"],
        source=os.fspath(path),
        start_s=start_s,
        content_sha256=clip["content_sha256"],
        notes=tuple(clip["notes"]),
        levels=clip["levels"] and Levels(**clip["levels"]),
    )


def probe_isolated(
    path: str | os.PathLike[str], *, limits: AudioLimits = AudioLimits()
) -> AudioInfo:
    """Do what ``probe_audio`` does, in a worker process.

    Args:
        path: The audio file.
        limits: As for ``probe_audio``.

    Raises:
        AudioError: As for ``probe_audio`` and ``load_isolated``.
        MissingExtraError: The format needs the extra ``media``.
    """
    if _is_disabled():
        return probe_audio(path, limits=limits)
    answer, _ = _pool.request("probe", path, limits, {})
    return AudioInfo(**answer["info"])


def read_blocks_isolated(
    path: str | os.PathLike[str], plan: BlockPlan, limits: AudioLimits
) -> Iterator[StreamStart | AudioBlock | StreamEnd | None]:
    """Do what ``read_blocks`` does, in a worker process that is always one block ahead.

    Limits on time are for one block.

    Args:
        path: The audio file.
        plan: How it is cut.
        limits: Only channels and sample rates count.

    Raises:
        AudioError: As for ``read_blocks`` and ``load_isolated``.
        MissingExtraError: The format needs the extra ``media``.
    """
    if _is_disabled():
        yield from read_blocks(path, plan, limits)
        return
    for answer, samples in _pool.stream(path, limits, asdict(plan)):
        if "start" in answer:
            yield StreamStart(**answer["start"])
        elif "end" in answer:
            yield StreamEnd(**{**answer["end"], "notes": tuple(answer["end"]["notes"])})
        else:
            yield AudioBlock(samples=samples, **answer["block"]) if "block" in answer else None


def warm_up() -> None:
    """Start a worker for the first file while other things are still being loaded."""
    if not _is_disabled():
        _pool.warm_up()


def stop_decoding() -> None:
    """End every worker; a caller that waits for one gets an ``AudioError``."""
    _pool.stop()


class _WorkerLostError(Exception):
    """Raised when a worker ends, or is ended, before it answers; its text says why."""


class _WorkerCrashedError(_WorkerLostError):
    """Raised when a worker ends by itself."""


# A worker's answer, and the samples of a clip or block, empty for any other answer.
_Answer = tuple[dict[str, Any], NDArray[np.float32]]


def _read_samples(answer: dict[str, Any], files: Sequence[int]) -> NDArray[np.float32]:
    """Copy samples out of a worker's file, which its next answer overwrites."""
    if not files:
        return np.empty(0, np.float32)
    with open(files[0], "rb") as file:
        samples = np.empty(answer["n_samples"], np.float32)
        file.seek(0)
        n_bytes = file.readinto(samples.data)
    if n_bytes != samples.nbytes:
        raise _WorkerLostError(f"gave {n_bytes} bytes of samples instead of {samples.nbytes}")
    return samples


class _Worker:
    """One worker process and the connection to it."""

    def __init__(self, limits: ProcessLimits, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(_START_S)
        with theirs:
            arguments = (theirs.fileno(), limits.cpu_s, limits.memory_bytes)
            self._process = subprocess.Popen(
                [sys.executable, *command, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for the process that owns the terminal
            )
        self._connection = ours
        self._limits = limits
        self._is_ready = False
        self._was_killed = False

    def request(self, *messages: dict[str, Any]) -> _Answer:
        """Send a request, in one message or more, and return its answer.

        Raises:
            _WorkerLostError: The process does not survive the request.
            EarfulError: The process cannot be started.
        """
        try:
            if not self._is_ready:
                receive_message(self._connection)
                self._connection.settimeout(self._limits.wall_s)
                self._is_ready = True
            for message in messages:
                send_message(self._connection, message)
            answer, files = receive_message(self._connection)
            return answer, _read_samples(answer, files)
        except TimeoutError as error:
            raise _WorkerLostError(f"took more than {self._limits.wall_s:g} s") from error
        except (EOFError, OSError) as error:
            raise self._exit_error() from error

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._was_killed = True
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the connection, at which the process ends."""
        self._connection.close()

    def _exit_error(self) -> Exception:
        """Return the error for the way in which the process ended."""
        try:
            status = self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            return _WorkerLostError("broke off the connection")
        if self._was_killed:
            return _WorkerLostError("was stopped")
        if not self._is_ready:
            return EarfulError(
                f"the process that decodes audio cannot be started (exit status {status} of "
                f"{sys.executable}); set EARFUL_DECODE=here to decode without one"
            )
        if status == -signal.SIGXCPU:
            return _WorkerLostError(f"took more than {self._limits.cpu_s:g} s of processor time")
        if status < 0:
            return _WorkerCrashedError(f"crashed ({signal.Signals(-status).name})")
        return _WorkerCrashedError(f"ended with exit status {status}")


class _WorkerPool:
    """Idle and busy workers; a request that finds no idle one starts another."""

    def __init__(
        self,
        limits: ProcessLimits = ProcessLimits(),
        command: Sequence[str] = ("-P", "-m", _MODULE),
    ) -> None:
        # -P: never import a module from the working folder, which may hold a stranger's files.
        self._limits = limits
        self._command = command
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    def request(
        self,
        do: str,
        path: str | os.PathLike[str],
        limits: AudioLimits,
        options: dict[str, Any],
    ) -> _Answer:
        """Decode or probe one file in a worker; raise an answer that is an error."""
        message = _message(do, path, limits, options)
        with self._told_of(path):
            try:
                answered = self._try(message, fresh=False)
            except _WorkerCrashedError:
                # Retry: only a worker that has read no other file shows that it was this one.
                answered = self._try(message, fresh=True)
        self._require_success(path, answered[0])
        return answered

    def stream(
        self, path: str | os.PathLike[str], limits: AudioLimits, options: dict[str, Any]
    ) -> Iterator[_Answer]:
        """Decode one file in a worker, answer by answer; raise one that is an error.

        The worker is ended where the caller takes no more before the last answer.
        """
        message = _message("stream", path, limits, options)
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
                self._require_success(path, answered[0])
            except _WorkerCrashedError:
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
                self._idle.append(_Worker(self._limits, self._command))

    def _try(self, message: dict[str, Any], *, fresh: bool) -> _Answer:
        with self._borrowed(fresh=fresh) as worker:
            return worker.request(message)

    @contextmanager
    def _borrowed(self, *, fresh: bool) -> Iterator[_Worker]:
        """Lend an idle worker or, where ``fresh`` or none is idle, a new one."""
        with self._lock:
            if self._idle and not fresh:
                worker = self._idle.pop()
            else:
                worker = _Worker(self._limits, self._command)
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
        except _WorkerLostError as lost:
            if isinstance(lost, _WorkerCrashedError) and not crash:
                raise
            name = printable(os.fspath(path))
            _log.info("%s: its decoding process %s; the next file gets another", name, lost)
            raise AudioError(
                f"{name}: decoding it {lost}, expected a file that decoders can read; fetch or "
                "export it again"
            ) from lost

    def _require_success(self, path: str | os.PathLike[str], answer: dict[str, Any]) -> None:
        if "error" in answer:
            raise self._error(printable(os.fspath(path)), answer)

    def _error(self, name: str, answer: dict[str, Any]) -> Exception:
        if answer["error"] in _ERRORS:
            return _ERRORS[answer["error"]](answer["text"])
        if answer["error"] == "MemoryError":
            return AudioError(
                f"{name}: decoding it takes more memory than the {self._limits.memory_bytes >> 20} "
                "MiB that are allowed; take a segment of it"
            )
        return AudioError(
            f"{name}: its decoder failed ({printable(answer['text'])}), expected a file that "
            "decoders can read; fetch or export it again"
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


def _is_disabled() -> bool:
    return (
        os.environ.get("EARFUL_DECODE") == "here"
        or not sys.executable
        or not sys.platform.startswith("linux")
    )


_pool = _WorkerPool()
_pools_of_parents: list[_WorkerPool] = []


def _replace_pool() -> None:
    """Replace the pool in a forked child: two processes must not read from one socket."""
    global _pool
    _pools_of_parents.append(_pool)
    _pool = _WorkerPool()


os.register_at_fork(after_in_child=_replace_pool)
atexit.register(stop_decoding)
