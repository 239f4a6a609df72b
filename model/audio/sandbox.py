"""Decoding in processes of its own, so that a file which breaks a decoder breaks no run.

Decoders are C libraries that read strangers' files. One that crashes takes its process along,
and one that hangs can only be stopped by ending its process; so ``load_isolated`` and
``probe_isolated`` have a small process do it, under limits of time and memory, and turn
whatever becomes of that process into one ``AudioError``. The processes are kept for the next
files, as many as callers want at once, and end with ours.

Where no such process can be started, ``EARFUL_DECODE=here`` decodes in the calling one.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, EarfulError, MissingExtraError
from earful.model.audio.clip import AudioInfo, Clip, load_audio, probe_audio
from earful.model.audio.limits import AudioLimits
from earful.model.audio.sandbox_worker import receive_message, send_message
from earful.model.audio.segment import Channels
from earful.wording import printable

__all__ = ["Bounds", "load_isolated", "probe_isolated", "stop_decoding", "warm_up"]

_log = logging.getLogger(__name__)

_MODULE: Final = "earful.model.audio.sandbox_worker"
_START_S: Final = 60.0
_ERRORS: Final = {error.__name__: error for error in (AudioError, MissingExtraError, ValueError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What decoding one file may take before its process is ended.

    Attributes:
        cpu_s: Processor time, in seconds.
        wall_s: Time, in seconds: for a decoder that waits for something for ever.
        memory_bytes: Address space on top of the process's own.
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
    """Do what ``load_audio`` does, in another process.

    Args:
        path: The audio file.
        sample_rate: As for ``load_audio``, like everything that follows.
        start_s: In seconds.
        end_s: In seconds.
        limits: What is accepted.
        channels: What becomes of several.

    Raises:
        AudioError: As for ``load_audio``; or decoding crashed, or took more time or memory
            than ``Bounds`` allow.
        MissingExtraError: The format needs the extra ``media``.
        ValueError: As for ``load_audio``.
    """
    options = {"sample_rate": sample_rate, "start_s": start_s, "end_s": end_s, "channels": channels}
    if _decodes_here():
        return load_audio(path, limits=limits, **options)  # type: ignore[arg-type]
    answer, samples = _decoders.ask("load", path, limits, options)
    clip = answer["clip"]
    return Clip(
        samples=samples,
        sample_rate=clip["sample_rate"],
        source=os.fspath(path),
        start_s=start_s,
        content_sha256=clip["content_sha256"],
    )


def probe_isolated(
    path: str | os.PathLike[str], *, limits: AudioLimits = AudioLimits()
) -> AudioInfo:
    """Do what ``probe_audio`` does, in another process.

    Args:
        path: The audio file.
        limits: What is accepted.

    Raises:
        AudioError: As for ``probe_audio`` and ``load_isolated``.
        MissingExtraError: The format needs the extra ``media``.
    """
    if _decodes_here():
        return probe_audio(path, limits=limits)
    answer, _ = _decoders.ask("probe", path, limits, {})
    return AudioInfo(**answer["info"])


def warm_up() -> None:
    """Start a process for the first file while other things are still being loaded."""
    if not _decodes_here():
        _decoders.warm_up()


def stop_decoding() -> None:
    """End every process that decodes; whoever waits for one gets an ``AudioError``."""
    _decoders.stop()


class _LostError(Exception):
    """A process ended, or was ended, before it answered; says why."""


class _CrashError(_LostError):
    """It ended by itself."""


# What a process said, and samples, none for what is no clip.
_Answer = tuple[dict[str, Any], NDArray[np.float32]]


def _samples_of(answer: dict[str, Any], files: Sequence[int]) -> NDArray[np.float32]:
    """Copy samples out of a process's file, which its next answer overwrites."""
    if not files:
        return np.empty(0, np.float32)
    with open(files[0], "rb") as file:
        samples = np.empty(answer["clip"]["n_samples"], np.float32)
        file.seek(0)
        n_bytes = file.readinto(samples.data)
    if n_bytes != samples.nbytes:
        raise _LostError(f"gave {n_bytes} bytes of samples in place of {samples.nbytes}")
    return samples


class _Worker:
    """One process and the connection to it."""

    def __init__(self, bounds: Bounds, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(_START_S)
        with theirs:
            arguments = (theirs.fileno(), bounds.cpu_s, bounds.memory_bytes)
            self._process = subprocess.Popen(
                [sys.executable, *command, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for the process that has the terminal
            )
        self._connection = ours
        self._bounds = bounds
        self._is_ready = False
        self._was_killed = False

    def ask(self, request: dict[str, Any]) -> _Answer:
        """Have a request answered; ``_LostError`` when the process does not survive it."""
        try:
            if not self._is_ready:
                receive_message(self._connection)
                self._connection.settimeout(self._bounds.wall_s)
                self._is_ready = True
            send_message(self._connection, request)
            answer, files = receive_message(self._connection)
            return answer, _samples_of(answer, files)
        except TimeoutError as error:
            raise _LostError(f"took more than {self._bounds.wall_s:g} s") from error
        except (EOFError, OSError) as error:
            raise self._why_gone() from error

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._was_killed = True
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Close the connection, at which the process ends."""
        self._connection.close()

    def _why_gone(self) -> Exception:
        try:
            status = self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            return _LostError("broke off the connection")
        if self._was_killed:
            return _LostError("was stopped")
        if not self._is_ready:
            return EarfulError(
                f"the process that decodes audio cannot be started (exit status {status} of "
                f"{sys.executable}); set EARFUL_DECODE=here to decode without one"
            )
        if status == -signal.SIGXCPU:
            return _LostError(f"took more than {self._bounds.cpu_s:g} s of processor time")
        if status < 0:
            return _CrashError(f"crashed ({signal.Signals(-status).name})")
        return _CrashError(f"ended with exit status {status}")


class _Decoders:
    """The processes that wait for work; one more is started for whoever finds none."""

    def __init__(
        self, bounds: Bounds = Bounds(), command: Sequence[str] = ("-P", "-m", _MODULE)
    ) -> None:
        # -P: what lies in the working folder under the name of a module is a stranger's.
        self._bounds = bounds
        self._command = command
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    def ask(
        self,
        do: str,
        path: str | os.PathLike[str],
        limits: AudioLimits,
        options: dict[str, Any],
    ) -> _Answer:
        """Have one file dealt with; an answer that is an error is raised."""
        request = {
            "do": do,
            "path": os.fspath(path),
            "folder": os.getcwd(),
            "limits": asdict(limits),
            "options": options,
        }
        name = printable(os.fspath(path))
        try:
            try:
                answer, samples = self._ask(request, fresh=False)
            except _CrashError:
                # Only a process that has seen nothing else shows that it was this file.
                answer, samples = self._ask(request, fresh=True)
        except _LostError as lost:
            _log.info("%s: its decoding process %s; the next file gets another", name, lost)
            raise AudioError(
                f"{name}: decoding it {lost}, wanted a file that decoders can read; fetch or "
                "export it again"
            ) from lost
        if "error" in answer:
            raise self._error(name, answer)
        return answer, samples

    def stop(self) -> None:
        """End all of them; the next file gets new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy, self._busy = self._busy, set()
        for worker in idle:
            worker.kill()
            worker.forget()
        for worker in busy:  # whoever waits for it closes the connection
            worker.kill()

    def warm_up(self) -> None:
        """Have one that waits, unless there are some."""
        with self._lock:
            if not self._idle and not self._busy:
                self._idle.append(_Worker(self._bounds, self._command))

    def _ask(self, request: dict[str, Any], *, fresh: bool) -> _Answer:
        with self._lock:
            if self._idle and not fresh:
                worker = self._idle.pop()
            else:
                worker = _Worker(self._bounds, self._command)
            self._busy.add(worker)
        try:
            answered = worker.ask(request)
        except BaseException:
            with self._lock:
                self._busy.discard(worker)
            worker.kill()
            worker.forget()
            raise
        with self._lock:
            if worker in self._busy:  # else all were ended meanwhile
                self._busy.remove(worker)
                self._idle.append(worker)
                return answered
        worker.forget()
        return answered

    def _error(self, name: str, answer: dict[str, Any]) -> Exception:
        if answer["error"] in _ERRORS:
            return _ERRORS[answer["error"]](answer["text"])
        if answer["error"] == "MemoryError":
            return AudioError(
                f"{name}: decoding it takes more memory than the {self._bounds.memory_bytes >> 20} "
                "MiB that are allowed; take a stretch of it"
            )
        return AudioError(
            f"{name}: its decoder failed ({printable(answer['text'])}), wanted a file that "
            "decoders can read; fetch or export it again"
        )


def _decodes_here() -> bool:
    return (
        os.environ.get("EARFUL_DECODE") == "here"
        or not sys.executable
        or not sys.platform.startswith("linux")
    )


_decoders = _Decoders()
_left_to_parent: list[_Decoders] = []


def _start_anew() -> None:
    """Leave the parent's processes to it: answers for two must not come down one socket."""
    global _decoders
    _left_to_parent.append(_decoders)
    _decoders = _Decoders()


os.register_at_fork(after_in_child=_start_anew)
atexit.register(stop_decoding)
