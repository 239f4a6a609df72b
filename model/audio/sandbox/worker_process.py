"""The worker process of the sandbox: reads requests and answers each, within its limits."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, MissingExtraError
from earful.model.audio.blocks import AudioBlock, BlockPlan, StreamStart, read_blocks
from earful.model.audio.clip import load_audio, probe_audio
from earful.model.audio.limits import AudioLimits
from earful.model.audio.sandbox.connections import (
    Connection,
    open_worker_connection,
    quiet_errors,
)
from earful.system import limit_cpu_time, limit_memory

# glibc keeps the memory of a long recording unless it is trimmed.
_WORTH_TRIMMING_BYTES: Final = 64 << 20


def serve(connection: Connection, *, cpu_s: float, memory_bytes: int) -> None:
    """Answer requests until the other end is gone.

    Args:
        connection: To its owner; the worker sends ``{"ready": true}`` first.
        cpu_s: Processor time for one request; a request that takes more ends the process.
        memory_bytes: Memory in addition to that of the process when it begins.
    """
    limit_memory(memory_bytes)
    try:
        connection.send({"ready": True})
    except BrokenPipeError:  # killed before this process was ready
        return
    # From here on, answers report every failure; without this, libraries written in C would
    # also print each frame that they do not like.
    quiet_errors()
    while True:
        try:
            request, _ = connection.receive()
        except EOFError:
            return
        limit_cpu_time(cpu_s)
        try:
            _serve_one(connection, request, cpu_s)
        except EOFError:
            return
        if os.name == "nt":
            os.chdir(os.sep)  # Windows removes no folder in which a process stands


def _serve_one(connection: Connection, request: dict[str, Any], cpu_s: float) -> None:
    """Answer one request.

    Raises:
        EOFError: The other end is gone.
    """
    if request["do"] == "stream":
        _stream(connection, request, cpu_s)
        return
    answer, samples = _answer(request)
    connection.send(answer, samples)
    if samples is not None and samples.nbytes >= _WORTH_TRIMMING_BYTES:
        del samples
        _trim_memory()


def _stream(connection: Connection, request: dict[str, Any], cpu_s: float) -> None:
    """Send a recording in blocks, each when the last one has been taken.

    Raises:
        EOFError: The other end is gone.
    """
    try:
        os.chdir(request["folder"])
        plan, limits = BlockPlan(**request["options"]), AudioLimits(**request["limits"])
        for found in read_blocks(request["path"], plan, limits):
            connection.receive()
            if isinstance(found, AudioBlock):
                values = {
                    each.name: getattr(found, each.name)
                    for each in fields(found)
                    if each.name != "samples"
                }
                answer = {"block": values, "n_samples": found.samples.size}
                connection.send(answer, np.ascontiguousarray(found.samples))
            elif found is None:
                connection.send({"skipped": True})
            else:
                kind = "start" if isinstance(found, StreamStart) else "end"
                connection.send({kind: asdict(found)})
            limit_cpu_time(cpu_s)  # which is for one block
    except EOFError:
        raise
    except Exception as error:
        connection.receive()
        connection.send(_failure(error))


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


def _trim_memory() -> None:
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def main(arguments: Sequence[str]) -> None:
    """Serve the connection that a command line names, within its limits."""
    how, cpu_s, memory_bytes = arguments
    serve(open_worker_connection(how), cpu_s=float(cpu_s), memory_bytes=int(memory_bytes))


if __name__ == "__main__":
    main(sys.argv[1:])
