"""Records of a recording that is read in blocks: how it is cut, its start, blocks and end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.model.audio.limits import check_channel


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """How a recording is cut into blocks.

    Attributes:
        sample_rate: Of the blocks, in Hz.
        block_samples: Samples of a block, without margins.
        margin_samples: Samples before and after it.
        start_block: Number of the first block.
        channel: ``"mean"``, ``"first"``, or the number of a channel from 1.

    Raises:
        ValueError: A number is below its least.
    """

    sample_rate: int
    block_samples: int
    margin_samples: int = 0
    start_block: int = 0
    channel: str | int = "mean"

    def __post_init__(self) -> None:
        for name, least in (
            ("sample_rate", 1),
            ("block_samples", 1),
            ("margin_samples", 0),
            ("start_block", 0),
        ):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name}={value}: expected {least} or more")
        check_channel(self.channel)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AudioBlock:
    """One block of a recording.

    Attributes:
        number: Its number, from 0.
        samples: float32, with both margins; zeros where the recording has not begun or is over.
        n_samples: How many of them belong to the block itself: fewer than asked in the last one.
        n_frames: Samples per channel of the file that it stands for.
        n_clipped: How many of those are at full scale in some channel.
        n_not_finite: How many of those were not numbers in some channel, and became 0.
        peak: Largest absolute sample of the block itself.
        power: Mean square of the block itself.
    """

    number: int
    samples: NDArray[np.float32]
    n_samples: int
    n_frames: int
    n_clipped: int
    n_not_finite: int
    peak: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    """Properties from a recording's header; a damaged or dishonest file may hold less.

    Attributes:
        sample_rate: Of the file, in Hz.
        channels: Number of channels.
        format: Container, such as ``"WAV"``.
        subtype: Coding, such as ``"PCM_16"``.
        size_bytes: Size of the file.
        duration_s: Length in seconds, where the header says it.
    """

    sample_rate: int
    channels: int
    format: str
    subtype: str
    size_bytes: int
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """Properties of a recording that only its end tells.

    Attributes:
        n_frames: Samples per channel at the file's own rate.
        sha256: Hex SHA-256 of the file's bytes.
        cut_short_at_s: Where it ends too early, in seconds; ``None`` for a whole one.
        cut_short_reason: Why that is known.
        notes: What a reader should know of the file, such as a header that was not believed.
    """

    n_frames: int
    sha256: str
    cut_short_at_s: float | None
    cut_short_reason: str
    notes: tuple[str, ...]
