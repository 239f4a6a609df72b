"""The process that decodes for ``isolated``: reads requests, answers each, keeps to its limits.

A message is JSON behind its length. Samples do not travel through the socket: the answer
carries an open, nameless file that holds them, until the next request. Nothing is pickled in
either direction.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, MissingExtraError
from earful.model.audio.clip import load_audio, probe_audio
from earful.model.audio.limits import AudioLimits

_LENGTH: Final = struct.Struct("!I")
# glibc keeps what a long recording took until it is told that a short one may follow.
_WORTH_TRIMMING_BYTES: Final = 64 << 20


def serve(connection: socket.socket, *, cpu_s: float, memory_bytes: int) -> None:
    """Answer requests until the other end is gone.

    Args:
        connection: To ``isolated``; says ``{"ready": true}`` first.
        cpu_s: Processor time for one request; a request that takes more ends the process.
        memory_bytes: Address space beyond what the process has when it begins.
    """
    _limit_memory(memory_bytes)
    threading.Thread(target=_leave_with, args=(connection,), daemon=True).start()
    send_message(connection, {"ready": True})
    # From here on, what goes wrong is told in an answer; libraries written in C also tell
    # the standard error of every frame that they do not like.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    file = _nameless_file()
    while True:
        try:
            request, _ = receive_message(connection)
        except EOFError:
            return
        _limit_time(cpu_s)
        answer, samples = _answer(request)
        if samples is None:
            send_message(connection, answer)
            continue
        # Over what was there before: new memory costs more than the copying.
        file.seek(0)
        file.write(samples.data)
        file.flush()
        send_message(connection, answer, file.fileno())
        if samples.nbytes >= _WORTH_TRIMMING_BYTES:
            del samples
            file.close()
            file = _nameless_file()
            _give_memory_back()


def _nameless_file() -> BinaryIO:
    return open(os.memfd_create("earful-clip"), "wb")


def send_message(connection: socket.socket, values: dict[str, Any], *files: int) -> None:
    """Send values, and open files along with them.

    Raises:
        OSError: The other end is gone.
    """
    text = json.dumps(values).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(text))], files)
    connection.sendall(text)


def receive_message(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive values, and the descriptors of the files that came along.

    Raises:
        EOFError: The other end is gone.
        TimeoutError: Nothing came within the connection's timeout.
    """
    try:
        head, files, _, _ = socket.recv_fds(connection, _LENGTH.size, 1)
        head += _receive(connection, _LENGTH.size - len(head))
        text = _receive(connection, _LENGTH.unpack(head)[0])
    except ConnectionError as error:
        raise EOFError from error
    values: dict[str, Any] = json.loads(text)
    return values, files


def _receive(connection: socket.socket, n: int) -> bytes:
    parts = bytearray()
    while len(parts) < n:
        part = connection.recv(n - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Do what is asked for; whatever goes wrong is an answer, too."""
    path, limits = request["path"], AudioLimits(**request["limits"])
    try:
        os.chdir(request["folder"])
        if request["do"] == "probe":
            return {"info": asdict(probe_audio(path, limits=limits))}, None
        clip = load_audio(path, limits=limits, **request["options"])
    except (AudioError, MissingExtraError, ValueError) as error:
        return {"error": type(error).__name__, "text": str(error)}, None
    except MemoryError:
        return {"error": "MemoryError", "text": ""}, None
    except Exception as error:
        return {"error": "unexpected", "text": f"{type(error).__name__}: {error}"}, None
    values = {
        "sample_rate": clip.sample_rate,
        "content_sha256": clip.content_sha256,
        "n_samples": clip.samples.size,
    }
    return {"clip": values}, np.ascontiguousarray(clip.samples)


def _limit_memory(memory_bytes: int) -> None:
    """Bound what this process can ask the system for, and leave no core dump of it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Samples travel in files that lie in memory, and those count as files.
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _limit_time(cpu_s: float) -> None:
    """Let the system end this process when the next request takes longer."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))


def _leave_with(connection: socket.socket) -> None:
    """End this process when the other end is gone, even in the middle of decoding."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    while not any(event & (select.POLLRDHUP | select.POLLHUP) for _, event in poll.poll()):
        pass
    os._exit(0)


def _give_memory_back() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    serve(
        socket.socket(fileno=int(sys.argv[1])),
        cpu_s=float(sys.argv[2]),
        memory_bytes=int(sys.argv[3]),
    )
