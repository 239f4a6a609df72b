"""Streams: recordings of any length as blocks that follow each other, in bounded memory."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Self, cast

from earful.model.audio.blocks import AudioBlock, BlockPlan, StreamEnd, StreamStart
from earful.model.audio.limits import AudioLimits, check_rate
from earful.model.audio.sandbox import read_blocks_isolated
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """Properties of a recording that was read to its end.

    What is counted over its blocks begins with the first block that was asked for.

    Attributes:
        duration_s: Length of what was decoded, in seconds from the file's start.
        sample_rate: Of the file, in Hz.
        channels: Number of channels.
        format: Container, such as ``"WAV"``.
        subtype: Coding, such as ``"PCM_16"``.
        size_bytes: Size of the file.
        sha256: Hex SHA-256 of the file's bytes.
        n_blocks: Blocks of the whole recording.
        cut_short_at_s: Where it ends too early, in seconds; ``None`` for a whole one.
        cut_short_reason: Why that is known; empty for a whole one.
        notes: What a reader should know of the file, such as a header that was not believed.
        n_not_finite: Samples that were not numbers, and became 0.
        clipped_share: Share of the samples at full scale, from 0 to 1.
        peak: Largest absolute sample at the blocks' rate; 0 for digital silence.
        power: Mean square at the blocks' rate; full scale 1.0.
    """

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    subtype: str
    size_bytes: int
    sha256: str
    n_blocks: int
    cut_short_at_s: float | None
    cut_short_reason: str
    notes: tuple[str, ...]
    n_not_finite: int
    clipped_share: float
    peak: float
    power: float

    __repr__ = short_repr


class AudioBlocks:
    """Iterator over the blocks of a recording; ``stream_blocks`` makes it.

    Close it, or use it as a context manager, where its end may not be reached.

    Args:
        path: The audio file.
        plan: How it is cut.
        limits: Only channels and sample rates count.

    Attributes:
        start: What the header says.
    """

    def __init__(self, path: str | os.PathLike[str], plan: BlockPlan, limits: AudioLimits) -> None:
        self._plan = plan
        self._found = cast(
            "Generator[StreamStart | AudioBlock | StreamEnd | None]",
            read_blocks_isolated(path, plan, limits),
        )
        self._end: StreamEnd | None = None
        self._n_frames = self._n_samples = 0
        self._n_clipped = self._n_not_finite = 0
        self._peak = self._energy = 0.0
        self.start = cast("StreamStart", next(self._found))

    def __iter__(self) -> Iterator[AudioBlock]:
        return self

    def __next__(self) -> AudioBlock:
        """Return the next block.

        Raises:
            AudioError: Decoding crashed, or took more time or memory than it may.
        """
        for found in self._found:
            if isinstance(found, AudioBlock):
                self._count(found)
                return found
            if isinstance(found, StreamEnd):
                self._end = found
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Decode no further."""
        self._found.close()

    @property
    def info(self) -> StreamInfo:
        """What is known after the last block.

        Raises:
            ValueError: There are blocks left.
        """
        end, start, plan = self._end, self.start, self._plan
        if end is None:
            raise ValueError("the recording has blocks left: take them all, then ask for info")
        n_samples = end.n_frames * plan.sample_rate / start.sample_rate
        return StreamInfo(
            duration_s=end.n_frames / start.sample_rate,
            sample_rate=start.sample_rate,
            channels=start.channels,
            format=start.format,
            subtype=start.subtype,
            size_bytes=start.size_bytes,
            sha256=end.sha256,
            n_blocks=math.ceil(max(1, math.floor(n_samples + 0.5)) / plan.block_samples),
            cut_short_at_s=end.cut_short_at_s,
            cut_short_reason=end.cut_short_reason,
            notes=end.notes,
            n_not_finite=self._n_not_finite,
            clipped_share=self._n_clipped / max(1, self._n_frames),
            peak=self._peak,
            power=self._energy / max(1, self._n_samples),
        )

    def _count(self, block: AudioBlock) -> None:
        self._n_frames += block.n_frames
        self._n_samples += block.n_samples
        self._n_clipped += block.n_clipped
        self._n_not_finite += block.n_not_finite
        self._peak = max(self._peak, block.peak)
        self._energy += block.power * block.n_samples


def stream_blocks(
    path: str | os.PathLike[str],
    *,
    sample_rate: int,
    block_samples: int,
    margin_samples: int = 0,
    start_block: int = 0,
    channel: str | int = "mean",
    limits: AudioLimits = AudioLimits(),
) -> AudioBlocks:
    """Decode a recording of any length in blocks, in a process of its own.

    Block ``i`` holds the samples from ``i * block_samples - margin_samples`` to ``(i + 1) *
    block_samples + margin_samples`` at the target rate, and zeros where the recording has not
    begun or is over. It depends on the file alone, bit by bit, whichever block was the first.
    A recording that breaks off gives what there is of it; ``AudioBlocks.info`` then says where.

    Args:
        path: The audio file.
        sample_rate: Target rate, in Hz.
        block_samples: Samples of a block, without margins.
        margin_samples: Samples before and after it.
        start_block: Number of the first block.
        channel: ``"mean"``, ``"first"``, or the number of a channel from 1.
        limits: Only channels and sample rates count: any length will do.

    Raises:
        AudioError: The file is missing, unreadable, outside a limit, without samples or
            without the channel.
        MissingExtraError: The format needs the extra ``media``.
        ValueError: A number is below its least.
    """
    plan = BlockPlan(
        sample_rate=check_rate(sample_rate),
        block_samples=block_samples,
        margin_samples=margin_samples,
        start_block=start_block,
        channel=channel,
    )
    return AudioBlocks(path, plan, limits)
