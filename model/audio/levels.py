"""Levels of a recording as its file has them, before it becomes one channel at another rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """

    sample_rate: int
    channels: int
    power: float
    mono_power: float
    peak: float


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
        """Take in a block.

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
        return Levels(
            sample_rate=sample_rate,
            channels=self._channels,
            power=power,
            # Of one channel nothing is made but itself.
            mono_power=power if self._channels == 1 else power_of(mono),
            peak=self._peak,
        )


def levels_of(samples: NDArray[np.float32], sample_rate: int) -> Levels:
    """Return the levels of a recording of one channel, float32 of shape ``(n,)``."""
    power = power_of(samples)
    return Levels(
        sample_rate=sample_rate,
        channels=1,
        power=power,
        mono_power=power,
        peak=float(np.abs(samples).max()),
    )


def power_of(samples: NDArray[np.float32]) -> float:
    """Return the mean square about the mean of float32 samples, shape ``(n,)``.

    >>> power_of(np.array([3, 5], np.float32))
    1.0
    """
    total, square = _sums(samples, samples[0])
    return _power(total, square, samples.size)


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
