"""Short valid recordings in every format that libsndfile and FFmpeg write here.

What the generator of broken audio breaks, and what the fuzzer mutates.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# Format and coding as libsndfile names them, rate in Hz, channels.
LIBSNDFILE = (
    ("WAV", "PCM_U8", 8000, 1), ("WAV", "PCM_16", 16000, 1), ("WAV", "PCM_24", 44100, 2),
    ("WAV", "FLOAT", 16000, 2), ("WAV", "DOUBLE", 8000, 1), ("WAV", "ULAW", 8000, 1),
    ("WAV", "IMA_ADPCM", 16000, 1), ("WAV", "MS_ADPCM", 16000, 2), ("WAV", "GSM610", 8000, 1),
    ("WAV", "G721_32", 8000, 1), ("WAVEX", "PCM_16", 48000, 8), ("RF64", "PCM_16", 16000, 1),
    ("W64", "PCM_16", 16000, 1), ("FLAC", "PCM_16", 16000, 2), ("FLAC", "PCM_24", 44100, 1),
    ("OGG", "VORBIS", 44100, 1), ("OGG", "OPUS", 48000, 2), ("MP3", "MPEG_LAYER_III", 44100, 1),
    ("MP3", "MPEG_LAYER_III", 22050, 2), ("AIFF", "PCM_16", 16000, 1), ("AIFF", "FLOAT", 16000, 1),
    ("AU", "PCM_16", 16000, 1), ("AU", "G721_32", 8000, 1), ("CAF", "PCM_16", 16000, 1),
    ("CAF", "ALAC_16", 16000, 1), ("NIST", "PCM_16", 16000, 1), ("VOC", "PCM_16", 16000, 1),
    ("PAF", "PCM_16", 16000, 1), ("SVX", "PCM_16", 16000, 1), ("IRCAM", "PCM_16", 16000, 1),
    ("MAT4", "PCM_16", 16000, 1), ("MAT5", "PCM_16", 16000, 1), ("XI", "DPCM_16", 44100, 1),
    ("WVE", "ALAW", 8000, 1), ("HTK", "PCM_16", 16000, 1), ("AVR", "PCM_16", 16000, 1),
    ("SDS", "PCM_16", 16000, 1), ("MPC2K", "PCM_16", 44100, 1), ("PVF", "PCM_16", 16000, 1),
)  # fmt: skip
# Container and coding as FFmpeg names them, rate in Hz.
FFMPEG = (
    ("mp4", "aac", 44100), ("mp4", "alac", 44100), ("mov", "pcm_s24le", 48000),
    ("adts", "aac", 44100), ("latm", "aac", 44100), ("webm", "libopus", 48000),
    ("matroska", "flac", 44100), ("matroska", "libmp3lame", 44100), ("mpegts", "mp2", 44100),
    ("mpegts", "aac", 44100), ("asf", "wmav2", 44100), ("avi", "pcm_s16le", 44100),
    ("avi", "adpcm_ms", 22050), ("flv", "aac", 44100), ("wv", "wavpack", 44100),
    ("tta", "tta", 44100), ("ac3", "ac3", 44100), ("eac3", "eac3", 48000),
    ("amr", "libopencore_amrnb", 8000), ("3gp", "libopencore_amrnb", 8000), ("mp2", "mp2", 44100),
    ("ogg", "flac", 44100), ("caf", "alac", 44100),
)  # fmt: skip


class CannotWriteError(Exception):
    """What would write a format is not installed."""


def noise(seconds: float, rate: int, channels: int = 1, *, seed: int = 0) -> Samples:
    """A tone in hiss, float32 of shape ``(n, channels)``: no two moments sound alike."""
    n = round(seconds * rate)
    hiss = np.random.default_rng(seed).standard_normal((n, channels))
    tone = np.sin(2 * np.pi * 300 * np.arange(n) / rate)[:, None]
    return (0.2 * tone + 0.1 * hiss).astype(np.float32)


def by_libsndfile(samples: Samples, rate: int, kind: str, coding: str) -> bytes:
    """Encode ``(n, channels)`` samples."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=coding)
    return buffer.getvalue()


def by_ffmpeg(
    samples: Samples,
    rate: int,
    kind: str,
    coding: str,
    *,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> bytes:
    """Encode ``(n, 1)`` samples.

    Raises:
        CannotWriteError: PyAV or this encoder is not installed.
    """
    try:
        av: Any = import_module("av")
    except ImportError as error:
        raise CannotWriteError("PyAV is not installed") from error
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind, options=options or {}) as container:
        try:
            stream = container.add_stream(coding, rate=rate, options=codec_options or {})
        except av.codec.codec.UnknownCodecError as error:
            raise CannotWriteError(f"this FFmpeg cannot write {coding}") from error
        stream.layout = "mono"
        regroup = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate,
            frame_size=stream.frame_size or 1024,
        )  # fmt: skip
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*regroup.resample(frame), *regroup.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def every_format(seconds: float) -> dict[str, Callable[[], bytes]]:
    """Name what writes a recording of each format, as ``"wav-pcm_16-1"``."""

    def sound(kind: str, coding: str, rate: int, channels: int) -> Callable[[], bytes]:
        return lambda: by_libsndfile(noise(seconds, rate, channels), rate, kind, coding)

    def track(kind: str, coding: str, rate: int) -> Callable[[], bytes]:
        options = {"b": "96k"} if coding.startswith("wma") else {}  # it has no rate of its own
        return lambda: by_ffmpeg(noise(seconds, rate), rate, kind, coding, codec_options=options)

    found = {f"{k}-{c}-{n}".lower(): sound(k, c, rate, n) for k, c, rate, n in LIBSNDFILE}
    return found | {f"ffmpeg-{k}-{c}": track(k, c, rate) for k, c, rate in FFMPEG}
