"""Spectrograms: small pictures of a clip, as data URIs of PNG."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from earful.html.png import encode_png
from earful.model.audio import Clip
from earful.model.encoders import BandLevels, overview_db

_BANDS = 48
_FRAMES = 160
_FFT_SAMPLES = 1024
_SHORTEST_HOP = 64
_LOWEST_HZ = 40.0
_RANGE_DB = 70.0
_OVERVIEW_RANGE_DB = 45.0
# About the level of quiet rooms: what is softer than this is drawn as silence.
_SOFTEST_PEAK_DB = -54.0
_COLOURS = np.array([[13, 8, 35], [87, 20, 110], [187, 55, 84], [249, 142, 9], [252, 255, 164]])


def draw_spectrogram(clip: Clip) -> str:
    """Return a log-mel spectrogram of a clip as a data URI: 48 bands, about 160 frames.

    >>> draw_spectrogram(Clip(samples=np.zeros(16000, np.float32), sample_rate=16000))[:22]
    'data:image/png;base64,'
    """
    samples = np.pad(clip.samples, (0, max(0, _FFT_SAMPLES - clip.samples.size)))
    hop = max(samples.size // _FRAMES, _SHORTEST_HOP)
    front_end = BandLevels(clip.sample_rate, _FFT_SAMPLES, hop, _BANDS, _LOWEST_HZ)
    levels = front_end.levels_db(samples)
    below = levels - max(float(levels.max()), _SOFTEST_PEAK_DB)
    return _picture(1 + below / _RANGE_DB)


def draw_overview(levels: NDArray[np.uint8], width: int) -> str:
    """Return the picture of a recording, or of a part of it, as a data URI.

    The loudest step of each column is drawn, so that short events are seen in long recordings.
    Each band is shown against its own median: a hum does not hide what is above it.

    Args:
        levels: From ``overview``, shape ``(n_steps, n_bands)``, at least one step.
        width: Most columns.
    """
    starts = np.linspace(0, len(levels), min(width, len(levels)) + 1).astype(int)[:-1]
    columns = np.maximum.reduceat(overview_db(levels), starts, axis=0)
    above = columns - np.median(columns, axis=0)
    # Sixteen shades take a third of the bytes.
    return _picture(np.round((0.15 + above / _OVERVIEW_RANGE_DB).clip(0, 1) * 15) / 15)


def _picture(shares: NDArray[np.floating]) -> str:
    """Return brightness of shape ``(n_columns, n_bands)`` as a data URI of PNG."""
    shades = (shares.T[::-1].clip(0, 1) * 255).astype(np.uint8)
    picture = encode_png(shades, _palette())
    return f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def _palette() -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(_COLOURS))
    parts = [np.interp(np.linspace(0, 1, 256), places, column) for column in _COLOURS.T]
    return np.stack(parts, axis=1).astype(np.uint8)
