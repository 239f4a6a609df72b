"""Worker: one process that decodes, as its owner sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from earful.errors import EarfulError
from earful.model.audio.sandbox.connections import (
    Connection,
    Message,
    PipeConnection,
    SocketConnection,
    TooFewSamplesError,
)
from earful.system import TOO_LONG_STATUS, TOO_MUCH_STATUS, can_share_files

_START_S: Final = 60.0
_OF_STORES: Final = ("AWS_", "GOOGLE_", "AZURE_")
# A crash in Windows: the exit status is the exception's code, such as 0xC0000005.
_LEAST_EXCEPTION: Final = 0xC0000000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """Limits on decoding one file; a worker that exceeds one is ended.

    Attributes:
        cpu_s: Processor time, in seconds.
        wall_s: Elapsed time, in seconds: for a decoder that waits for something for ever.
        memory_bytes: Address space in addition to the idle worker's own; where the system limits
            none, memory.
    """

    cpu_s: float = 60.0
    wall_s: float = 300.0
    memory_bytes: int = 2 << 30


class WorkerLostError(Exception):
    """Raised when a worker ends, or is ended, before it answers; its text says why."""


class WorkerCrashedError(WorkerLostError):
    """Raised when a worker ends by itself."""


class WorkerTooBigError(WorkerLostError):
    """Raised when a worker's watchdog ends it because it takes too much memory."""


class Worker:
    """One worker process and the connection to it.

    Args:
        limits: What it may take.
        command: What Python runs, before the connection and the limits.
    """

    def __init__(self, limits: ProcessLimits, command: Sequence[str]) -> None:
        self._limits = limits
        self._is_ready = False
        self._was_killed = False
        self._connection = self._connect(command)
        self._connection.set_timeout(_START_S)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has been heard of."""
        return self._is_ready

    def request(self, *messages: dict[str, Any]) -> Message:
        """Send a request, in one message or more, and return its answer.

        Raises:
            WorkerLostError: The process does not survive the request.
            EarfulError: The process cannot be started.
        """
        try:
            if not self._is_ready:
                self._connection.receive()
                self._connection.set_timeout(self._limits.wall_s)
                self._is_ready = True
            for message in messages:
                self._connection.send(message)
            return self._connection.receive()
        except TooFewSamplesError as error:
            raise WorkerLostError(str(error)) from error
        except TimeoutError as error:
            raise WorkerLostError(f"took more than {self._limits.wall_s:g} s") from error
        except (EOFError, OSError, ValueError) as error:
            raise self._exit_error() from error

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._was_killed = True
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the connection, at which the process ends."""
        self._connection.close()

    def _connect(self, command: Sequence[str]) -> Connection:
        if not can_share_files():
            self._process = self._start(command, "pipes", stdin=subprocess.PIPE)
            reading, writing = self._process.stdout, self._process.stdin
            assert reading is not None
            assert writing is not None
            return PipeConnection(reading, writing, self._process.kill)
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._process = self._start(command, str(number), pass_fds=(number,))
        return SocketConnection(ours)

    def _start(
        self,
        command: Sequence[str],
        how: str,
        *,
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, *command, how),
                *(str(self._limits.cpu_s), str(self._limits.memory_bytes)),
            ],
            stdin=stdin,
            stdout=subprocess.DEVNULL if pass_fds else subprocess.PIPE,
            pass_fds=pass_fds,
            env=_environment(),
            # Ctrl-C is for the process that owns the terminal, or the console.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
            | getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def _exit_error(self) -> Exception:
        """Return the error for the way in which the process ended."""
        try:
            status = self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            return WorkerLostError("broke off the connection")
        if self._was_killed:
            return WorkerLostError("was stopped")
        if not self._is_ready:
            return EarfulError(
                f"the process that decodes audio cannot be started (exit status {status} of "
                f"{sys.executable}); set EARFUL_DECODE=here to decode without one"
            )
        if status == TOO_MUCH_STATUS:
            return WorkerTooBigError("takes too much memory")
        if status in (TOO_LONG_STATUS, -getattr(signal, "SIGXCPU", TOO_LONG_STATUS)):
            return WorkerLostError(f"took more than {self._limits.cpu_s:g} s of processor time")
        if status < 0:
            return WorkerCrashedError(f"crashed ({signal.Signals(-status).name})")
        if status >= _LEAST_EXCEPTION:
            return WorkerCrashedError(f"crashed (0x{status:08X})")
        return WorkerCrashedError(f"ended with exit status {status}")


def _environment() -> dict[str, str]:
    """Return a worker's variables: a decoder of strangers' files gets no credentials."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(_OF_STORES)}
    return {**own, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
