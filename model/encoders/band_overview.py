"""Overview: how loud each band of a recording is over time, as bytes that pictures are made of."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.encoders.band_levels import BandLevels, decibels

OVERVIEW_BANDS: Final = 48
_FFT_SAMPLES = 2048
# A byte is half a decibel above this.
_LOWEST_DB = -120.0
_STEP_DB = 0.5
_SHARE_OF_ENERGY = 0.9


def overview(
    samples: NDArray[np.float32], sample_rate: int, step_samples: int
) -> NDArray[np.uint8]:
    """Measure the mean level of mel bands in steps of a recording.

    Args:
        samples: float32, shape ``(n_samples,)``.
        sample_rate: In Hz.
        step_samples: Length of a step.

    Returns:
        uint8, shape ``(ceil(n_samples / step_samples), 48)``, lowest band first: 0 is -120 dB
        of a full-scale sine or less, each further 1 half a decibel.

    >>> overview(np.zeros(30000, np.float32), 44100, 8192).shape
    (4, 48)
    """
    n_steps = -(-samples.size // step_samples)
    n_frames = max(step_samples // _FFT_SAMPLES, 1)
    # Frames stand side by side and see every sample once: half the work of an overlap.
    hop = step_samples // n_frames
    front_end = _front_end(sample_rate, hop)
    powers = front_end.powers(np.pad(samples, (0, n_steps * step_samples - samples.size)))
    # The first frame is centred on the first sample: half of it is what was before.
    powers = powers[: n_steps * n_frames].reshape(n_steps, n_frames, OVERVIEW_BANDS).mean(axis=1)
    return ((decibels(powers) - _LOWEST_DB) / _STEP_DB).round().clip(0, 255).astype(np.uint8)


def overview_edges_hz(sample_rate: int) -> NDArray[np.float64]:
    """Return where the bands of an overview meet, in Hz, float64, shape ``(49,)``."""
    return _front_end(sample_rate, _FFT_SAMPLES).edges_hz


def overview_db(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the levels of an overview in dB of a full-scale sine, float32, of the same shape.

    >>> overview_db(np.array([[0, 240]], np.uint8))
    array([[-120.,    0.]], dtype=float32)
    """
    return levels.astype(np.float32) * np.float32(_STEP_DB) + np.float32(_LOWEST_DB)


def event_band_hz(
    levels: NDArray[np.uint8], background: NDArray[np.uint8], sample_rate: int
) -> tuple[float, float] | None:
    """Return the band that holds 90 % of an event's energy above its background.

    Args:
        levels: The event's part of an overview, shape ``(n_steps, 48)``.
        background: Typical levels of the recording, such as the median over its steps, shape
            ``(48,)``.
        sample_rate: Of the samples that the overview was made of, in Hz.

    Returns:
        Lower and upper end in Hz; ``None`` where nothing is above the background.
    """
    if not len(levels):
        return None
    energy = (10 ** (overview_db(levels) / 10)).mean(axis=0, dtype=np.float64)
    above = np.maximum(energy - 10 ** (overview_db(background) / 10), 0.0)
    total = float(above.sum())
    if total <= 0:
        return None
    shares = np.cumsum(above) / total
    edge = (1 - _SHARE_OF_ENERGY) / 2
    low = int(np.searchsorted(shares, edge, side="right"))
    high = int(np.searchsorted(shares, 1 - edge))
    edges = overview_edges_hz(sample_rate)
    return float(edges[low]), float(edges[min(high, OVERVIEW_BANDS - 1) + 1])


@cache
def _front_end(sample_rate: int, hop: int) -> BandLevels:
    return BandLevels(sample_rate, _FFT_SAMPLES, hop, OVERVIEW_BANDS, 20.0)
