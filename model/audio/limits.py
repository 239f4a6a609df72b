"""Limits on audio input: bytes, seconds, rates and channels."""

from __future__ import annotations

from dataclasses import dataclass

from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """Limits on audio input, counted while decoding, so that a small file cannot grow large.

    >>> AudioLimits(max_duration_s=60.0)
    AudioLimits(max_duration_s=60)

    Attributes:
        max_duration_s: Longest segment, in seconds.
        max_channels: Most channels.
        min_sample_rate: Lowest sample rate of a file, in Hz.
        max_sample_rate: Highest sample rate of a file, in Hz.
        max_bytes: Most memory for one decoded segment, as mono float32. By default half an
            hour at up to 74 kHz, 23 minutes at 96 kHz: with resampling a process then stays
            well under 2 GiB.
        max_values: Most samples decoded to get at one segment, over all channels, including
            those before it where they cannot be skipped: this bounds the time. By default
            half an hour of 12 channels at 48 kHz.
        max_file_bytes: Largest file. By default the most that a WAV header can express, and
            the size of ``max_values`` 32-bit samples.
    """

    max_duration_s: float = 1800.0
    max_channels: int = 64
    min_sample_rate: int = 1000
    max_sample_rate: int = 768_000
    max_bytes: int = 1 << 29
    max_values: int = 1 << 30
    max_file_bytes: int = 1 << 32

    __repr__ = short_repr
