"""The front end of YAMNet: recordings to patches of log-mel frames.

It computes what the published front end computes (``research/audioset/yamnet/features.py``
of the TensorFlow model garden), whose recipe is: 25 ms of a periodic Hann window every
10 ms, the magnitudes of a transform of 512 points, 64 triangles that are straight on the mel
scale from 125 to 7500 Hz, and log(mel + 0.001). Patches of 96 frames begin every 48; zeros
fill the last one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.runtime import OnnxNetwork

SAMPLE_RATE: Final = 16_000
FRAME_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
FFT_SAMPLES: Final = 512
N_MELS: Final = 64
PATCH_FRAMES: Final = 96
PATCH_HOP_FRAMES: Final = PATCH_FRAMES // 2
PATCH_SAMPLES: Final = (PATCH_FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
PATCH_HOP_SAMPLES: Final = PATCH_HOP_FRAMES * HOP_SAMPLES
LOWEST_HZ: Final = 125.0
HIGHEST_HZ: Final = 7500.0
FLOOR: Final = 0.001
# A million times full scale is no recording any more, but its spectrum must not overflow.
_LOUDEST = 1e6


class FrontEnd:
    """Front end that turns stretches of recordings into patches."""

    def __init__(self) -> None:
        # Periodic: one sample longer, and the last one left out.
        self._window = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
        self._levels = OnnxNetwork(
            "earful.model.yamnet", "weights/levels.onnx", {"filters": mel_filters()}
        )

    def patches(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the patches of a stretch.

        Args:
            stretch: As ``cut`` returns it: the samples of one or more patches.

        Returns:
            float32, shape ``(n_patches, 96, 64)``.
        """
        frames = np.lib.stride_tricks.sliding_window_view(stretch, FRAME_SAMPLES)[::HOP_SAMPLES]
        cuts = np.lib.stride_tricks.sliding_window_view(self.levels(frames), PATCH_FRAMES, axis=0)
        return np.ascontiguousarray(cuts[::PATCH_HOP_FRAMES].transpose(0, 2, 1))

    def levels(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map frames of samples, ``(n, 400)``, to log-mel levels, ``(n, 64)``.

        A level of log(0.001), -6.9, is silence.
        """
        spectra = np.fft.rfft(frames * self._window, FFT_SAMPLES)
        return self._levels(np.square(spectra.real) + np.square(spectra.imag))


def n_patches(n_samples: int) -> int:
    """Return how many patches a recording has; the last one is filled with zeros.

    Args:
        n_samples: At 16 kHz, 1 or more.

    >>> n_patches(1), n_patches(15_600), n_patches(15_601), n_patches(23_281)
    (1, 1, 2, 3)
    """
    return 1 + max(0, -(-(n_samples - PATCH_SAMPLES) // PATCH_HOP_SAMPLES))


def cut(samples: NDArray[np.float32], first: int, stop: int) -> NDArray[np.float32]:
    """Return the samples that some patches of a recording are made of.

    Args:
        samples: The recording, shape ``(n_samples,)``, at 16 kHz.
        first: The first patch.
        stop: The one after the last patch.

    Returns:
        A copy of shape ``(15_600 + 7680 * (stop - first - 1),)``; zeros follow the end of
        the recording.
    """
    start = first * PATCH_HOP_SAMPLES
    stretch = np.zeros(PATCH_SAMPLES + (stop - first - 1) * PATCH_HOP_SAMPLES, dtype=np.float32)
    found = samples[start : start + stretch.size]
    np.clip(found, -_LOUDEST, _LOUDEST, out=stretch[: found.size])
    return stretch


def mel_filters() -> NDArray[np.float32]:
    """Return the mel filter bank, float32, shape ``(257, 64)``.

    Triangles of height 1 between points equally spaced on the mel scale, whose flanks are
    straight on that scale; the constant part of a sound is in none of them.
    """
    bins = _mel(np.arange(FFT_SAMPLES // 2 + 1) * SAMPLE_RATE / FFT_SAMPLES)[:, None]
    edges = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), N_MELS + 2)
    below, peak, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - below) / (peak - below)
    falling = (above - bins) / (above - peak)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype(np.float32)


def _mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))
