"""Limits on audio input: bytes, seconds, rates and channels."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Final

from earful.values import short_repr
from earful.wording import quoted


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


ANY_LENGTH: Final = AudioLimits(max_duration_s=31 * 86_400.0, max_file_bytes=1 << 50)
"""Limits for what is read in blocks: on channels and rates, and a month, so that a small file
keeps no decoder busy for ever."""


STRETCH_OF_LONG: Final = AudioLimits(max_file_bytes=1 << 42, max_values=1 << 34)
"""Limits for a stretch of what was read in blocks: such a recording may be larger than what a WAV
header can express."""


def check_channel(channel: str | int) -> None:
    """Refuse what names no channel of a recording.

    Raises:
        ValueError: It is neither ``"mean"`` nor ``"first"``, nor a number from 1.
    """
    is_number = isinstance(channel, int) and channel >= 1
    if not is_number and channel not in ("mean", "first"):
        raise ValueError(f"channel={channel!r}: expected 'mean', 'first' or a number from 1")


def check_rate(rate: object) -> int:
    """Return the rate of samples that a program gives, within the limits that files have.

    Of a rate in kHz resampling would make a thousand times the samples.

    Raises:
        ValueError: It is no whole number of Hz, or outside the limits.

    >>> check_rate(48_000.0)
    48000
    """
    limits = AudioLimits()
    lowest, highest = limits.min_sample_rate, limits.max_sample_rate
    expected = f"expected a rate in Hz of {lowest} to {highest}"
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or math.isnan(rate):
        raise ValueError(f"{expected}, got {quoted(rate)}")
    hz = float(rate)
    if lowest <= hz <= highest:
        if hz.is_integer():
            return int(hz)
        raise ValueError(f"expected a whole rate in Hz, got {rate}; round it")
    way_out = "resample the samples first"
    if 0 < hz <= highest / 1000:
        way_out = "a rate in kHz must be multiplied by 1000"
    raise ValueError(f"{expected}, got {rate}; {way_out}")
