"""Connections between this process and a worker: values as JSON, samples beside them.

A message is JSON after its length. Where the system can hand over open files, samples are in an
unnamed file in memory that goes along with the answer; elsewhere they follow it in a pipe. Nothing
is pickled in either direction.
"""

from __future__ import annotations

import json
import os
import queue
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Message = tuple[dict[str, Any], Samples]
"""Values, and samples, empty for a message that has none; ``n_samples`` says how many."""

_LENGTH: Final = struct.Struct("!I")
# glibc keeps the memory of a long recording unless it is given back.
_WORTH_GIVING_BACK: Final = 64 << 20


class TooFewSamplesError(Exception):
    """Raised where an answer has fewer samples than it says."""


class Connection(Protocol):
    """Either end of a connection."""

    def send(self, values: dict[str, Any], samples: Samples | None = None) -> None:
        """Send a message.

        Raises:
            OSError: The other end is gone.
        """

    def receive(self) -> Message:
        """Wait for a message.

        Raises:
            EOFError: The other end is gone.
            TimeoutError: Nothing came in time.
            TooFewSamplesError: Samples are missing.
        """

    def set_timeout(self, seconds: float) -> None:
        """Wait no longer for a message from now on."""

    def close(self) -> None:
        """Close this end; the process at the other ends."""


class SocketConnection:
    """A socket; samples come in open files.

    Args:
        ours: The connected socket.
        is_worker: Whether this process is the worker, which ends when the other end is gone.
    """

    def __init__(self, ours: socket.socket, *, is_worker: bool = False) -> None:
        self._socket = ours
        self._file: IO[bytes] | None = None
        if is_worker:
            threading.Thread(target=self._exit_with_parent, daemon=True).start()

    def send(self, values: dict[str, Any], samples: Samples | None = None) -> None:
        """Send a message; its samples are overwritten by the next."""
        text = json.dumps(values).encode()
        files = [] if samples is None else [self._write(samples)]
        socket.send_fds(self._socket, [_LENGTH.pack(len(text))], files)
        self._socket.sendall(text)
        if samples is not None and samples.nbytes >= _WORTH_GIVING_BACK and self._file:
            self._file.close()
            self._file = None

    def receive(self) -> Message:
        """Wait for a message, and copy its samples."""
        try:
            head, files, _, _ = socket.recv_fds(self._socket, _LENGTH.size, 1)
            head += self._read(_LENGTH.size - len(head))
            values: dict[str, Any] = json.loads(self._read(_LENGTH.unpack(head)[0]))
        except ConnectionError as error:
            raise EOFError from error
        return values, _read_samples(values, files)

    def set_timeout(self, seconds: float) -> None:
        """Wait no longer for a message from now on."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _write(self, samples: Samples) -> int:
        if self._file is None:
            self._file = open(os.memfd_create("earful-clip"), "wb")  # noqa: SIM115 - kept open
        # Overwrite the last samples: new memory costs more than the copying.
        self._file.seek(0)
        self._file.write(samples.data)
        self._file.flush()
        return self._file.fileno()

    def _read(self, n: int) -> bytes:
        parts = bytearray()
        while len(parts) < n:
            part = self._socket.recv(n - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def _exit_with_parent(self) -> None:
        """End this process when the other end is gone, even in the middle of decoding."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        while not any(event & (select.POLLRDHUP | select.POLLHUP) for _, event in poll.poll()):
            pass
        os._exit(0)


class PipeConnection:
    """Two pipes; samples follow their message.

    Args:
        reading: Where messages come from.
        writing: Where they go to.
        end: Ends the process at the other end, when it takes too long.
    """

    def __init__(
        self, reading: IO[bytes], writing: IO[bytes], end: Callable[[], None] = lambda: None
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._end = end
        self._timeout_s: float | None = None

    def send(self, values: dict[str, Any], samples: Samples | None = None) -> None:
        """Send a message."""
        text = json.dumps(values).encode()
        self._writing.write(_LENGTH.pack(len(text)) + text)
        if samples is not None:
            self._writing.write(samples.data)
        self._writing.flush()

    def receive(self) -> Message:
        """Wait for a message."""
        with self._in_time():
            values: dict[str, Any] = json.loads(self._read(*_LENGTH.unpack(self._read(4))))
            samples = np.empty(values.get("n_samples", 0), np.float32)
            n_bytes = _fill(self._reading, samples)
            if n_bytes != samples.nbytes:
                raise EOFError
        return values, samples

    def set_timeout(self, seconds: float) -> None:
        """Wait no longer for a message from now on."""
        self._timeout_s = seconds

    def close(self) -> None:
        """Close both pipes."""
        for pipe in (self._writing, self._reading):
            with suppress(OSError):
                pipe.close()

    def _read(self, n: int) -> bytes:
        content = self._reading.read(n)
        if len(content) < n:
            raise EOFError
        return content

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """End the other process when a block takes too long: reading a pipe has no timeout."""
        if self._timeout_s is None:
            yield
            return
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            self._end()

        timer = threading.Timer(self._timeout_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (EOFError, OSError) as error:
            if is_late.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()


class WorkerPipes(PipeConnection):
    """A worker's standard input and output; nothing else reads or writes there from now on."""

    def __init__(self) -> None:
        reading = os.fdopen(os.dup(0), "rb")
        writing = os.fdopen(os.dup(1), "wb")
        # A library that prints must not write into the messages.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        super().__init__(reading, writing)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._take, daemon=True).start()

    def receive(self) -> Message:
        """Wait for a message."""
        return self._messages.get()

    def _take(self) -> None:
        """Read messages, and end this process with the other, even in the middle of decoding."""
        with suppress(EOFError, OSError, ValueError):
            while True:
                self._messages.put(super().receive())
        os._exit(0)


def open_worker_connection(how: str) -> Connection:
    """Open a worker's end.

    Args:
        how: A socket's descriptor, or ``"pipes"``.
    """
    if how == "pipes":
        return WorkerPipes()
    return SocketConnection(socket.socket(fileno=int(how)), is_worker=True)


def _read_samples(values: dict[str, Any], files: list[int]) -> Samples:
    """Copy samples out of a worker's file, which its next answer overwrites."""
    if not files:
        return np.empty(0, np.float32)
    samples = np.empty(values["n_samples"], np.float32)
    with open(files[0], "rb") as file:
        file.seek(0)
        n_bytes = _fill(file, samples)
    if n_bytes != samples.nbytes:
        raise TooFewSamplesError(f"gave {n_bytes} bytes of samples instead of {samples.nbytes}")
    return samples


def _fill(file: IO[bytes], samples: Samples) -> int:
    """Read samples; return how many bytes there were."""
    # A file opened for reading has it, but its general type does not say so.
    return int(file.readinto(samples.data)) if samples.size else 0  # type: ignore[attr-defined]


def quiet_errors() -> None:
    """Discard what libraries in C print on standard error from now on."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
