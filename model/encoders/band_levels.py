"""Levels of mel bands over time, in NumPy: for the baseline embedder, pictures and overviews."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FRAMES_AT_ONCE: Final = 2048
# Below the noise that rounding to 16 bits leaves in a bin.
FLOOR_DB: Final = -130.0


class BandLevels:
    """Front end that measures how loud mel bands are, frame by frame.

    Args:
        sample_rate: In Hz.
        fft_samples: Length of the Hann window and of its spectrum.
        hop_samples: Distance between frames.
        n_bands: Number of bands.
        low_hz: Lower edge of the lowest band; the highest ends at half the sample rate.

    Attributes:
        filters: The filter bank, float64, shape ``(fft_samples // 2 + 1, n_bands)``.
    """

    def __init__(
        self, sample_rate: int, fft_samples: int, hop_samples: int, n_bands: int, low_hz: float
    ) -> None:
        self._fft_samples, self._hop_samples = fft_samples, hop_samples
        self._points = np.linspace(_mel(low_hz), _mel(sample_rate / 2), n_bands + 2)
        self.filters = _filters(self._points, sample_rate, fft_samples)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft_samples) / fft_samples)
        # A sine of amplitude 1 then peaks at a power of 1 in its bin.
        self._window = window / (window.sum() / 2)

    @property
    def edges_hz(self) -> NDArray[np.float64]:
        """Where bands meet, in Hz, float64, shape ``(n_bands + 1,)``."""
        points = self._points
        return np.asarray(700 * (10 ** ((points[1:] + points[:-1]) / 2 / 2595) - 1))

    def powers(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Measure the power of each band in each frame.

        Args:
            samples: float32, shape ``(n_samples,)``.

        Returns:
            float64, shape ``(1 + n_samples // hop_samples, n_bands)``: the mean power of the
            band's bins, where 1 is a full-scale sine's in its own bin. Frames are centred.
        """
        half = self._fft_samples // 2
        padded = np.pad(samples, half)
        frames = np.lib.stride_tricks.sliding_window_view(padded, self._fft_samples)
        frames = frames[:: self._hop_samples]
        found = np.empty((len(frames), self.filters.shape[1]))
        # In pieces: the frames of half an hour take gigabytes when laid out side by side.
        for start in range(0, len(frames), _FRAMES_AT_ONCE):
            piece = slice(start, start + _FRAMES_AT_ONCE)
            spectra = np.fft.rfft(frames[piece] * self._window)
            found[piece] = (spectra.real**2 + spectra.imag**2) @ self.filters
        return found

    def levels_db(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return ``powers`` in dB; silence is -130."""
        return decibels(self.powers(samples))


def decibels(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return powers in dB, no lower than -130.

    >>> decibels(np.array([1.0, 0.01, 0.0]))
    array([   0.,  -20., -130.])
    """
    return np.asarray(10 * np.log10(np.maximum(powers, 10 ** (FLOOR_DB / 10))))


def _filters(
    points: NDArray[np.float64], sample_rate: int, fft_samples: int
) -> NDArray[np.float64]:
    """Return a filter bank, float64, shape ``(fft_samples // 2 + 1, n_bands)``.

    Triangles between points equally spaced on the HTK mel scale, straight on that scale and
    each summing to 1, so that white noise is equally loud in every band. A band between two
    bins of the spectrum is the nearest bin.
    """
    bins = _mel(np.arange(fft_samples // 2 + 1) * sample_rate / fft_samples)[:, None]
    low, middle, high = points[:-2], points[1:-1], points[2:]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(weights.sum(axis=0) == 0)
    weights[np.abs(bins - middle[empty]).argmin(axis=0), empty] = 1
    return np.asarray(weights / weights.sum(axis=0))


def _mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hz) / 700))
