"""Recordings decoded in worker processes.

Decoders are C libraries that read strangers' files. One that crashes takes its process along,
and one that hangs can only be stopped by ending its process; so ``load_isolated`` and
``probe_isolated`` decode in a small worker process, under limits on time and memory, and turn
any failure of that process into one ``AudioError``. Workers are kept for the next files, as
many as callers need at once, and end with this process.

Where no such process can be started, ``EARFUL_DECODE=here`` decodes in the calling one.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict

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
from earful.model.audio.sandbox.pool import WorkerPool
from earful.model.audio.segment import Channels
from earful.system import after_fork_in_child


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


def _is_disabled() -> bool:
    return os.environ.get("EARFUL_DECODE") == "here" or not sys.executable


_pool = WorkerPool()
_pools_of_parents: list[WorkerPool] = []


def _replace_pool() -> None:
    """Replace the pool in a forked child: two processes must not read from one socket."""
    global _pool
    _pools_of_parents.append(_pool)
    _pool = WorkerPool()


after_fork_in_child(_replace_pool)
atexit.register(stop_decoding)
