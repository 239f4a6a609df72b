"""Levels of a recording as its file has them, before it becomes one channel at another rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WIDE_BITS = 32  # no recorder has more than 24 bits, so these integers may be filled in part
_LOW_BITS = 0xFF
_AT_ONCE = 1 << 16  # float32 adds up so many squares to five digits, and they fit a cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Levels of a segment at the file's own rate.

    Attributes:
        sample_rate: That rate, in Hz.
        channels: How many there are.
        power: Mean square about the mean, averaged over the channels; full scale 1.0.
        mono_power: Mean square about the mean of what was made of them.
        peak: Largest absolute sample of any channel.
        offset: Mean of what was made of the channels: a constant part, which is no sound.
        swing: Largest distance of what was made of them from that mean.
    """

    sample_rate: int
    channels: int
    power: float
    mono_power: float
    peak: float
    offset: float
    swing: float


class LevelMeter:
    """Measures a recording block by block, while it is decoded."""

    def __init__(self) -> None:
        self._n = 0
        self._channels = 0
        self._peak = 0.0
        self._zero = np.float32(0)  # what is measured from, for offsets that dwarf the sound
        self._sums: NDArray[np.float64] = np.zeros(0)
        self._squares: NDArray[np.float64] = np.zeros(0)

    def add(self, block: NDArray[np.float32]) -> None:
        """Add a block of samples.

        Args:
            block: shape ``(n, channels)``; it may hold values that are not finite.
        """
        if not len(block):
            return
        if not self._n:
            self._zero = block[0, 0]
        channels = block.shape[1]
        if channels > self._channels:  # a later stream of a chain may have more
            more = channels - self._channels
            self._sums = np.pad(self._sums, (0, more))
            self._squares = np.pad(self._squares, (0, more))
            self._channels = channels
        for channel in range(channels):
            total, square = _sums(block[:, channel], self._zero)
            self._sums[channel] += total
            self._squares[channel] += square
        self._peak = max(self._peak, float(block.max()), -float(block.min()))
        self._n += len(block)

    def levels(self, sample_rate: int, mono: NDArray[np.float32]) -> Levels:
        """Return what was measured.

        Args:
            sample_rate: Of the file, in Hz.
            mono: float32, shape ``(n,)``: what was made of the channels; finite.
        """
        powers = [
            _power(total, square, self._n)
            for total, square in zip(self._sums.tolist(), self._squares.tolist(), strict=True)
        ]
        power = sum(powers) / self._channels
        offset, swing = offset_and_swing(mono)
        return Levels(
            sample_rate=sample_rate,
            channels=self._channels,
            power=power,
            # Of one channel nothing is made but itself.
            mono_power=power if self._channels == 1 else power_of(mono),
            peak=self._peak,
            offset=offset,
            swing=swing,
        )


def levels_of(samples: NDArray[np.float32], sample_rate: int) -> Levels:
    """Return the levels of a recording of one channel, float32 of shape ``(n,)``."""
    power = power_of(samples)
    offset, swing = offset_and_swing(samples)
    return Levels(
        sample_rate=sample_rate,
        channels=1,
        power=power,
        mono_power=power,
        peak=float(np.abs(samples).max()),
        offset=offset,
        swing=swing,
    )


def offset_and_swing(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Return the mean of samples, shape ``(n,)``, and their largest distance from it.

    >>> offset_and_swing(np.array([3, 5, 4], np.float32))
    (4.0, 1.0)
    """
    if not samples.size:
        return 0.0, 0.0
    offset = float(samples.mean(dtype=np.float64))
    return offset, max(float(samples.max()) - offset, offset - float(samples.min()))


def power_of(samples: NDArray[np.float32]) -> float:
    """Return the mean square about the mean of float32 samples, shape ``(n,)``.

    >>> power_of(np.array([3, 5], np.float32))
    1.0
    """
    total, square = _sums(samples, samples[0])
    return _power(total, square, samples.size)


def unfilled_note(samples: NDArray[np.signedinteger], peak: int | None = None) -> str:
    """Return a note on wide integers that look like values of a narrower type; mostly ``""``.

    Samples that fill their type from above, as 24 bits in the upper part of 32, are in order
    however quiet they are: their lowest bits are zero.

    Args:
        samples: Any shape; full scale is that of the type.
        peak: Largest absolute value, where ``samples`` are sums of channels.

    >>> unfilled_note(np.array([0, 8_000_001], np.int32))
    'its int32 samples peak at -49 dB of full scale: if they are 24-bit values, divide by 2**23'
    """
    bits = 8 * samples.itemsize
    if bits < _WIDE_BITS or not samples.size or not (samples & _LOW_BITS).any():
        return ""
    if peak is None:
        peak = max(int(samples.max()), -int(samples.min()))
    width = next((width for width in (16, 24, 32) if peak <= 1 << (width - 1)), bits)
    if width >= bits:
        return ""
    level = decibels(peak / (1 << (bits - 1)))
    return (
        f"its {samples.dtype.name} samples peak at {level:.0f} dB of full scale: if they are "
        f"{width}-bit values, divide by 2**{width - 1}"
    )


def _power(total: float, square: float, n: int) -> float:
    """Return the mean square about the mean; infinite where it is beyond float32."""
    return max(0.0, square / n - (total / n) ** 2) if square < math.inf else math.inf


def _sums(samples: NDArray[np.float32], zero: np.float32) -> tuple[float, float]:
    """Return the sums of samples and of their squares, both measured from ``zero``."""
    total = square = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # infinite power is loud enough to say so
        for start in range(0, samples.size, _AT_ONCE):
            piece = samples[start : start + _AT_ONCE] - zero
            total += float(piece.sum())
            square += float(np.dot(piece, piece))
    return total, square


def decibels(ratio: float) -> float:
    """Return a ratio of amplitudes in dB; minus infinity for 0.

    >>> decibels(0.1)
    -20.0
    """
    return 20 * math.log10(ratio) if ratio > 0 else -math.inf
