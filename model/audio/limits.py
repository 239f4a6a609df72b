"""Limits on audio input: bytes, seconds, rates and channels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """What is accepted. Counted while decoding, so that a small file cannot grow large.

    Attributes:
        max_duration_s: Longest stretch, in seconds.
        max_channels: Most channels.
        min_sample_rate: Lowest rate of a file, in Hz.
        max_sample_rate: Highest rate of a file, in Hz.
        max_bytes: Most memory for one decoded stretch, as mono float32. By default half an
            hour at up to 74 kHz, 23 minutes at 96 kHz: with resampling a process then stays
            well under 2 GiB.
        max_values: Most samples decoded to get at one stretch, over all channels, those
            before it included where they cannot be skipped: what bounds the time. By
            default half an hour of 12 channels at 48 kHz.
        max_file_bytes: Most that a file may weigh. By default what a WAV file can say of
            itself, and what ``max_values`` take as 32-bit samples.
    """

    max_duration_s: float = 1800.0
    max_channels: int = 64
    min_sample_rate: int = 1000
    max_sample_rate: int = 768_000
    max_bytes: int = 1 << 29
    max_values: int = 1 << 30
    max_file_bytes: int = 1 << 32
