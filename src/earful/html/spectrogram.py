"""Spectrograms: small pictures of a clip, as data URIs of PNG."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from earful.model.audio import Clip
from earful.model.encoders import LogMel, LogMelConfig

_BANDS = 48
_FRAMES = 160
_FFT_SAMPLES = 1024
_SHORTEST_HOP = 64
_RANGE_DB = 70.0
# About the level of quiet rooms: what is softer than this is drawn as silence.
_SOFTEST_PEAK_DB = 0.0
_COLOURS = np.array([[13, 8, 35], [87, 20, 110], [187, 55, 84], [249, 142, 9], [252, 255, 164]])


def draw_spectrogram(clip: Clip) -> str:
    """Return a log-mel spectrogram of a clip as a data URI: 48 bands, about 160 frames.

    >>> draw_spectrogram(Clip(samples=np.zeros(16000, np.float32), sample_rate=16000))[:22]
    'data:image/png;base64,'
    """
    import torch

    samples = np.pad(clip.samples, (0, max(0, _FFT_SAMPLES - clip.samples.size)))
    front_end = LogMel(
        LogMelConfig(
            sample_rate=clip.sample_rate,
            fft_samples=_FFT_SAMPLES,
            hop_samples=max(samples.size // _FRAMES, _SHORTEST_HOP),
            n_mels=_BANDS,
            low_hz=40.0,
            high_hz=clip.sample_rate / 2,
        )
    )
    levels = front_end(torch.from_numpy(samples[None])).numpy()[0].T[::-1]
    below = levels - max(float(levels.max()), _SOFTEST_PEAK_DB)
    shades = ((1 + below / _RANGE_DB).clip(0, 1) * 255).astype(np.uint8)
    return f"data:image/png;base64,{base64.b64encode(_png(shades)).decode('ascii')}"


def _png(shades: NDArray[np.uint8]) -> bytes:
    """Return a picture of shades of one palette, shape ``(height, width)``."""
    places = np.linspace(0, 1, len(_COLOURS))
    palette = [np.interp(np.linspace(0, 1, 256), places, column) for column in _COLOURS.T]
    height, width = shades.shape
    rows = np.pad(shades, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", np.stack(palette, axis=1).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
