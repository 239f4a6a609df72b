"""The worker process of ``sandbox``: reads requests and answers each, within its limits.

A message is JSON after its length. Samples do not travel through the socket: the answer
carries an open, unnamed file that holds them until the next request. Nothing is pickled in
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
from dataclasses import asdict, fields
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, MissingExtraError
from earful.model.audio.blocks import AudioBlock, BlockPlan, StreamStart, read_blocks
from earful.model.audio.clip import load_audio, probe_audio
from earful.model.audio.limits import AudioLimits

_LENGTH: Final = struct.Struct("!I")
# glibc keeps the memory of a long recording unless it is trimmed.
_WORTH_TRIMMING_BYTES: Final = 64 << 20


def serve(connection: socket.socket, *, cpu_s: float, memory_bytes: int) -> None:
    """Answer requests until the other end is gone.

    Args:
        connection: To ``sandbox``; the worker sends ``{"ready": true}`` first.
        cpu_s: Processor time for one request; a request that takes more ends the process.
        memory_bytes: Address space in addition to that of the process when it begins.
    """
    _limit_memory(memory_bytes)
    threading.Thread(target=_exit_with_parent, args=(connection,), daemon=True).start()
    try:
        send_message(connection, {"ready": True})
    except BrokenPipeError:  # killed before this process was ready
        return
    # From here on, answers report every failure; without this, libraries written in C would
    # also print each frame that they do not like.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    file = _unnamed_file()
    while True:
        try:
            request, _ = receive_message(connection)
        except EOFError:
            return
        _limit_time(cpu_s)
        if request["do"] == "stream":
            try:
                _stream(connection, request, cpu_s, file)
            except EOFError:
                return
            continue
        answer, samples = _answer(request)
        if samples is None:
            send_message(connection, answer)
            continue
        _send_samples(connection, answer, samples, file)
        if samples.nbytes >= _WORTH_TRIMMING_BYTES:
            del samples
            file.close()
            file = _unnamed_file()
            _trim_memory()


def _stream(
    connection: socket.socket, request: dict[str, Any], cpu_s: float, file: BinaryIO
) -> None:
    """Send a recording in blocks, each when the last one has been taken.

    Raises:
        EOFError: The other end is gone.
    """
    try:
        os.chdir(request["folder"])
        plan, limits = BlockPlan(**request["options"]), AudioLimits(**request["limits"])
        for found in read_blocks(request["path"], plan, limits):
            receive_message(connection)
            if isinstance(found, AudioBlock):
                values = {
                    each.name: getattr(found, each.name)
                    for each in fields(found)
                    if each.name != "samples"
                }
                answer = {"block": values, "n_samples": found.samples.size}
                _send_samples(connection, answer, found.samples, file)
            elif found is None:
                send_message(connection, {"skipped": True})
            else:
                kind = "start" if isinstance(found, StreamStart) else "end"
                send_message(connection, {kind: asdict(found)})
            _limit_time(cpu_s)  # which is for one block
    except EOFError:
        raise
    except Exception as error:
        receive_message(connection)
        send_message(connection, _failure(error))


def _send_samples(
    connection: socket.socket, answer: dict[str, Any], samples: NDArray[np.float32], file: BinaryIO
) -> None:
    # Overwrite the last samples: new memory costs more than the copying.
    file.seek(0)
    file.write(samples.data)
    file.flush()
    send_message(connection, answer, file.fileno())


def _unnamed_file() -> BinaryIO:
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
    """Receive values, and the descriptors of the files sent with them.

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
    """Carry out a request; a failure is an answer, too."""
    path, limits = request["path"], AudioLimits(**request["limits"])
    try:
        os.chdir(request["folder"])
        if request["do"] == "probe":
            return {"info": asdict(probe_audio(path, limits=limits))}, None
        clip = load_audio(path, limits=limits, **request["options"])
    except Exception as error:
        return _failure(error), None
    values = {
        "sample_rate": clip.sample_rate,
        "content_sha256": clip.content_sha256,
        "notes": clip.notes,
        "levels": clip.levels and asdict(clip.levels),
    }
    return {"clip": values, "n_samples": clip.samples.size}, np.ascontiguousarray(clip.samples)


def _failure(error: Exception) -> dict[str, Any]:
    """Return a failure as an answer."""
    if isinstance(error, MemoryError):
        return {"error": "MemoryError", "text": ""}
    if isinstance(error, (AudioError, MissingExtraError, ValueError)):
        return {"error": type(error).__name__, "text": str(error)}
    return {"error": "unexpected", "text": f"{type(error).__name__}: {error}"}


def _limit_memory(memory_bytes: int) -> None:
    """Limit this process's address space, and write no core dump of it."""
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Samples travel in files in memory, to which the limit on file sizes applies.
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _limit_time(cpu_s: float) -> None:
    """Make the system end this process when the next request takes longer."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))


def _exit_with_parent(connection: socket.socket) -> None:
    """End this process when the other end is gone, even in the middle of decoding."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    while not any(event & (select.POLLRDHUP | select.POLLHUP) for _, event in poll.poll()):
        pass
    os._exit(0)


def _trim_memory() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    serve(
        socket.socket(fileno=int(sys.argv[1])),
        cpu_s=float(sys.argv[2]),
        memory_bytes=int(sys.argv[3]),
    )
