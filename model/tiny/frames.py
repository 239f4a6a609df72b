"""The front end of ``earful-tiny``: recordings to windows of log-mel frames.

Its results equal those of the published ``aisfx`` package, which uses another library, to
within the last bits; see ``embedder``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.runtime import OnnxNetwork

SAMPLE_RATE: Final = 44_100
FRAME_SAMPLES: Final = 2048
HOP_SAMPLES: Final = 1024
N_MELS: Final = 96
WINDOW_FRAMES: Final = 100
WINDOW_HOP_FRAMES: Final = WINDOW_FRAMES // 2
WINDOW_SAMPLES: Final = (WINDOW_FRAMES - 1) * HOP_SAMPLES  # frames are centred: one at each end
POWER_GAIN: Final = 1e4
LARGEST: Final = 9.457798957824707
"""Mel bands become log10(1 + 10000 power) over this, the largest value of the original training."""
_FRAMES_AT_ONCE = 256
_MELS_PER_NEPER: Final = 1127.01048
# A million times full scale is not a real recording, but its power must not overflow.
_LOUDEST = 1e6


class FrontEnd:
    """Front end that turns recordings into frames and windows."""

    def __init__(self) -> None:
        # The original front end has the symmetric window, not the periodic one of an STFT.
        self._window = np.hanning(FRAME_SAMPLES).astype(np.float32)
        self._bands = OnnxNetwork(
            "earful.model.tiny", "weights/frames.onnx", {"filters": mel_filters()}
        )

    def frames(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the log-mel frames that the network takes.

        Args:
            samples: shape ``(n_samples,)``, at 44100 Hz.

        Returns:
            float32, shape ``(1 + ceil(n_samples / 1024), 96)``; 0 is silence, and music at
            full scale reaches 1. Frames are centred on multiples of 1024 samples, up to the
            first multiple past the end.
        """
        half = FRAME_SAMPLES // 2
        n_frames = 1 - (-samples.size // HOP_SAMPLES)
        end = (n_frames - 1) * HOP_SAMPLES + half - samples.size
        wave = np.pad(samples, (half, end))
        np.clip(wave, -_LOUDEST, _LOUDEST, out=wave)
        cuts = np.lib.stride_tricks.sliding_window_view(wave, FRAME_SAMPLES)[::HOP_SAMPLES]
        found = np.empty((n_frames, N_MELS), np.float32)
        # In pieces: the frames of half an hour take gigabytes when laid out side by side.
        for start in range(0, n_frames, _FRAMES_AT_ONCE):
            spectra = np.fft.rfft(cuts[start : start + _FRAMES_AT_ONCE] * self._window)
            power = np.square(spectra.real) + np.square(spectra.imag)
            found[start : start + _FRAMES_AT_ONCE] = self._bands(power)
        return found

    def windows(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield a recording's windows, each ``(WINDOW_FRAMES, N_MELS)``.

        They begin every ``WINDOW_HOP_FRAMES``, the last one aligned to the recording's end;
        a shorter recording is repeated until it fills one.
        """
        frames = self.frames(fill_window(samples))
        for start in window_starts(len(frames)):
            yield frames[start : start + WINDOW_FRAMES]


def frame_count(n_samples: int) -> int:
    """Return how many frames a recording has, one that is too short for a window as repeated.

    >>> frame_count(1), frame_count(200_000)
    (100, 197)
    """
    return 1 - (-max(n_samples, WINDOW_SAMPLES) // HOP_SAMPLES)


def fill_window(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat a short recording until it fills a window; return a longer one as it is.

    The original padded with silence instead; on labelled clips repetition found the right
    neighbour more often.
    """
    if samples.size >= WINDOW_SAMPLES:
        return samples
    return np.resize(samples, WINDOW_SAMPLES)


def window_starts(n_frames: int) -> list[int]:
    """Return the first frames of windows every 50 frames, the last window at the end.

    Args:
        n_frames: At least 100.

    >>> window_starts(100), window_starts(210)
    ([0], [0, 50, 100, 110])
    """
    return [*range(0, n_frames - WINDOW_FRAMES, WINDOW_HOP_FRAMES), n_frames - WINDOW_FRAMES]


def mel_filters() -> NDArray[np.float32]:
    """Return the mel filter bank, float32, shape ``(1025, 96)``.

    Triangles between points equally spaced on the HTK mel scale from 0 to 22050 Hz, with
    flanks that are straight on the mel scale, each scaled to a sum of 1: the bank of the
    original front end, which libraries with flanks straight in Hz do not reproduce.
    """
    bins_mel = _mel(np.arange(FRAME_SAMPLES // 2 + 1) * SAMPLE_RATE / FRAME_SAMPLES)
    points = np.linspace(0.0, _mel(np.float64(SAMPLE_RATE / 2)), N_MELS + 2)
    low, middle, high = points[:-2], points[1:-1], points[2:]
    rising = (bins_mel[:, None] - low) / (middle - low)
    falling = (high - bins_mel[:, None]) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = weights / weights.sum(axis=0, keepdims=True)
    return filters.astype(np.float32)


def band_centres() -> NDArray[np.float64]:
    """Return the frequency at which each mel band is highest, in Hz, shape ``(96,)``."""
    points = np.linspace(0.0, _mel(np.float64(SAMPLE_RATE / 2)), N_MELS + 2)[1:-1]
    return np.asarray(700.0 * np.expm1(points / _MELS_PER_NEPER))


def _mel(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(_MELS_PER_NEPER * np.log1p(np.asarray(hz) / 700.0))
