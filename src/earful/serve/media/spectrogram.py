"""Spectrograms: a stretch of a recording as shades of grey, for a view of some width and height."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.serve.media.faults import MediaRangeError
from earful.values import short_repr

MOST_WIDTH: Final = 4096
MOST_HEIGHT: Final = 512
FFT_SIZES: Final = (256, 512, 1024, 2048, 4096)
LONGEST_VIEW_S: Final = 600.0
"""Longest stretch that is computed; longer ones are what overviews are for."""

LOW_PERCENTILE: Final = 40.0
"""Of a view's levels: what is drawn black, as most of a view is background."""

HIGH_PERCENTILE: Final = 99.9
"""Of a view's levels: what is drawn white."""

_LEAST_RANGE_DB: Final = 30.0  # noise alone stays dark
_MOST_RANGE_DB: Final = 80.0  # below it a window's side lobes are seen
_FLOOR_DB: Final = -130.0
_FRAMES_AT_ONCE: Final = 512
_SAMPLES_AT_ONCE: Final = 1 << 21
# A window this many times as long as a column is wide shows both time and frequency well.
_COLUMNS_OF_WINDOW: Final = 4
_LOW_RATE_HZ: Final = 16_000

Reader = Callable[[int, int], NDArray[np.float32]]
"""Gives the samples from one number to another (exclusive), float32, zeros where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrogramView:
    """What is asked for.

    Attributes:
        width: Columns, 1 to 4096.
        height: Rows, 1 to 512.
        low_hz: Lower end of the lowest row.
        high_hz: Upper end of the highest row; ``None`` for half the sample rate.
        n_fft: Window in samples, one of 256, 512, 1024, 2048, 4096; ``None`` for what fits the
            width of a column.

    Raises:
        MediaRangeError: A number is outside its range.
    """

    width: int = 800
    height: int = 256
    low_hz: float = 0.0
    high_hz: float | None = None
    n_fft: int | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, value, most in (
            ("width", self.width, MOST_WIDTH),
            ("height", self.height, MOST_HEIGHT),
        ):
            if not 1 <= value <= most:
                raise MediaRangeError(f"{name}={value}: expected 1 to {most}", name)
        if self.n_fft is not None and self.n_fft not in FFT_SIZES:
            sizes = ", ".join(map(str, FFT_SIZES))
            raise MediaRangeError(f"n_fft={self.n_fft}: expected one of {sizes}", "n_fft")
        if not (math.isfinite(self.low_hz) and self.low_hz >= 0):
            raise MediaRangeError(f"fmin={self.low_hz:g}: expected 0 Hz or more", "fmin")
        if self.high_hz is not None and not (
            math.isfinite(self.high_hz) and self.high_hz > self.low_hz
        ):
            raise MediaRangeError(
                f"fmax={self.high_hz:g}: expected more than fmin={self.low_hz:g} Hz", "fmax"
            )

    def band_hz(self, sample_rate: int) -> tuple[float, float]:
        """Return the lower and upper end of what is drawn, at most half the sample rate.

        Raises:
            MediaRangeError: The lower end is not below that.
        """
        nyquist = sample_rate / 2
        if self.low_hz >= nyquist:
            raise MediaRangeError(
                f"fmin={self.low_hz:g}: expected less than {nyquist:g} Hz, half the sample rate",
                "fmin",
            )
        return self.low_hz, nyquist if self.high_hz is None else min(self.high_hz, nyquist)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrogram:
    """A view as it was computed.

    Attributes:
        shades: uint8, shape ``(height, width)``, the highest row first; 0 is ``db_low`` or less,
            255 ``db_high`` or more.
        low_hz: Lower end of the lowest row.
        high_hz: Upper end of the highest row.
        db_low: Level of black, in dB of a full-scale sine.
        db_high: Level of white.
        n_fft: Window in samples.
    """

    shades: NDArray[np.uint8]
    low_hz: float
    high_hz: float
    db_low: float
    db_high: float
    n_fft: int

    __repr__ = short_repr


def compute_spectrogram(
    read: Reader, sample_rate: int, start: float, stop: float, view: SpectrogramView
) -> Spectrogram:
    """Compute a view of a stretch.

    Column ``i`` of ``width`` stands for as much of the stretch, from left to right. One that is
    wider than half a window shows the loudest of several frames, so that nothing short is lost.
    The softest 40 % of the view's levels are black, the loudest 0.1 % are white; 30 to 80 dB lie
    between.

    Args:
        read: Gives the samples, also those around the stretch.
        sample_rate: In Hz.
        start: Number of the stretch's first sample; may be a fraction.
        stop: Number of the sample behind its last.
        view: What is asked for.

    Raises:
        MediaRangeError: The view's lowest frequency is above half the sample rate.
    """
    low_hz, high_hz = view.band_hz(sample_rate)
    column = (stop - start) / view.width
    n_fft = view.n_fft or fitting_n_fft(column, sample_rate)
    rows = _Rows(low_hz, high_hz, view.height, sample_rate, n_fft)
    n_frames = max(1, math.ceil(column / (n_fft / 2)))
    levels = np.empty((view.width, view.height), np.float32)
    for first, last in _pieces(view.width, column):
        places = np.arange(first * n_frames, last * n_frames) + 0.5
        centres = np.floor(start + places * (column / n_frames)).astype(np.int64)
        base = int(centres[0]) - n_fft // 2
        samples = read(base, int(centres[-1]) + n_fft // 2)
        powers = _powers(samples, centres - base - n_fft // 2, n_fft, rows)
        powers = powers.reshape(last - first, n_frames, -1).max(axis=1)
        levels[first:last] = rows.levels_db(powers)
    db_low, db_high = _range_db(levels)
    shades = (levels - np.float32(db_low)) * np.float32(255 / (db_high - db_low))
    return Spectrogram(
        shades=np.ascontiguousarray(np.rint(shades).clip(0, 255).astype(np.uint8).T[::-1]),
        low_hz=low_hz,
        high_hz=high_hz,
        db_low=db_low,
        db_high=db_high,
        n_fft=n_fft,
    )


def fitting_n_fft(column_samples: float, sample_rate: int) -> int:
    """Return the window that suits a width of columns: about four times as long.

    The narrowest columns get one that still tells the harmonics of a voice apart.

    >>> [fitting_n_fft(samples, 44_100) for samples in (3.0, 220.5, 5000.0)]
    [512, 1024, 4096]
    """
    nearest = round(math.log2(max(column_samples * _COLUMNS_OF_WINDOW, 1.0)))
    least = FFT_SIZES[0] if sample_rate < _LOW_RATE_HZ else FFT_SIZES[1]
    return int(min(max(2**nearest, least), FFT_SIZES[-1]))


def _pieces(width: int, column: float) -> Iterator[tuple[int, int]]:
    """Cut columns into pieces of little audio, so that memory stays small."""
    n = max(1, min(width, int(_SAMPLES_AT_ONCE // column)))
    for first in range(0, width, n):
        yield first, min(first + n, width)


def _powers(
    samples: NDArray[np.float32], starts: NDArray[np.int64], n_fft: int, rows: _Rows
) -> NDArray[np.float32]:
    """Return the power of the bins of each frame, of what the rows show alone."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)
    window = _window(n_fft)
    found = np.empty((len(starts), rows.n_columns), np.float32)
    for at in range(0, len(starts), _FRAMES_AT_ONCE):
        piece = slice(at, at + _FRAMES_AT_ONCE)
        spectra = np.fft.rfft(frames[starts[piece]] * window)[:, rows.bins]
        powers = np.square(spectra.real) + np.square(spectra.imag)
        found[piece] = rows.pool(powers.astype(np.float32, copy=False))
    return found


@lru_cache(maxsize=len(FFT_SIZES))
def _window(n_fft: int) -> NDArray[np.float32]:
    """Return a Hann window with which a full-scale sine has a power of 1 in its bin."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.asarray(window / (window.sum() / 2), dtype=np.float32)


class _Rows:
    """What each row of a view shows: the loudest of its bins, or the level between two.

    Args:
        low_hz: Lower end of the lowest row.
        high_hz: Upper end of the highest.
        height: Number of rows.
        sample_rate: In Hz.
        n_fft: Window in samples.

    Attributes:
        bins: The bins that are needed.
        n_columns: How many numbers ``pool`` gives.
    """

    def __init__(
        self, low_hz: float, high_hz: float, height: int, sample_rate: int, n_fft: int
    ) -> None:
        bin_hz = sample_rate / n_fft
        row_hz = (high_hz - low_hz) / height
        last = n_fft // 2
        # A row of exactly a bin's width shows that bin.
        self._starts: NDArray[np.int64] | None = None
        if row_hz >= bin_hz * (1 - 1e-9):
            edges = np.ceil((low_hz + row_hz * np.arange(height)) / bin_hz - 1e-6)
            starts = np.clip(edges.astype(np.int64), 0, last)
            stop = min(math.floor(high_hz / bin_hz + 1e-6) + 1, last + 1)
            self.bins = slice(int(starts[0]), max(stop, int(starts[-1]) + 1))
            self._starts = starts - starts[0]
            self.n_columns = height
            return
        middles = (low_hz + row_hz * (np.arange(height) + 0.5)) / bin_hz
        below = np.clip(np.floor(middles).astype(np.int64), 0, last - 1)
        self.bins = slice(int(below[0]), int(below[-1]) + 2)
        self._below = below - below[0]
        self._share = np.clip(middles - below, 0, 1).astype(np.float32)
        self.n_columns = self.bins.stop - self.bins.start

    def pool(self, powers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the loudest bin of each row, or all bins where rows are narrower than bins."""
        if self._starts is None:
            return powers
        return np.maximum.reduceat(powers, self._starts, axis=1)

    def levels_db(self, powers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the levels of the rows in dB, shape ``(n, height)``."""
        floor = np.float32(10 ** (_FLOOR_DB / 10))
        levels = np.float32(10) * np.log10(np.maximum(powers, floor))
        if self._starts is None:
            low, high = levels[:, self._below], levels[:, self._below + 1]
            levels = low + (high - low) * self._share
        return np.asarray(levels, dtype=np.float32)


def _range_db(levels: NDArray[np.float32]) -> tuple[float, float]:
    """Return the levels of black and white."""
    ranks = [
        min(int(levels.size * percentile / 100), levels.size - 1)
        for percentile in (LOW_PERCENTILE, HIGH_PERCENTILE)
    ]
    ordered = np.partition(levels, ranks, axis=None)
    low, high = (float(ordered[rank]) for rank in ranks)
    if high - low < _LEAST_RANGE_DB:
        return low, low + _LEAST_RANGE_DB
    return max(low, high - _MOST_RANGE_DB), high
