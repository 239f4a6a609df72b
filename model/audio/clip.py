"""File or bytes to ``Clip``: decode under limits, mix to mono, resample, check.

The steps, one module each: ``source`` opens a path without trusting it, ``decoders`` picks
libsndfile or FFmpeg (``container``) with the help of ``framing``, ``stretch`` reads a part
under limits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.limits import AudioLimits
from earful.model.audio.segment import Channels, measure, open_within, read_stretch
from earful.model.audio.source import AudioSource, open_source
from earful.wording import printable

_DIGEST_SAMPLES = 1 << 20
_DIGEST_BYTES = 1 << 20
# Some 30 years: times beyond it are mistakes, and beyond 1e300 they overflow.
_LATEST_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """Decoded mono audio that knows its rate and where it came from.

    Attributes:
        samples: float32, shape ``(n_samples,)``, full scale 1.0, loudness as recorded.
        sample_rate: In Hz.
        source: Path or name of the recording; empty for audio made in memory.
        start_s: Where the clip begins in its source, in seconds.
        content_sha256: Hex SHA-256 over the file's own rate and the stretch's mono samples
            at it, rounded to 16 bits: equal audio in two lossless containers gives equal
            digests. Computed from ``samples`` when left empty.

    Raises:
        ValueError: ``samples`` is not float32 of one dimension, empty or not finite, or
            the rate is not positive.

    >>> Clip(samples=np.zeros(24000, np.float32), sample_rate=16000)
    Clip(1.50 s at 16000 Hz)
    """

    samples: NDArray[np.float32]
    sample_rate: int
    source: str = ""
    start_s: float = 0.0
    content_sha256: str = ""

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.dtype != np.float32 or samples.ndim != 1 or not samples.size:
            raise ValueError(
                f"samples of dtype {samples.dtype}, shape {samples.shape}; "
                "want float32 of shape (n_samples,), n_samples > 0"
            )
        if not np.isfinite(samples).all():
            raise ValueError("samples hold NaN or infinity; want finite numbers")
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate={self.sample_rate}; want more than 0 Hz")
        if not self.content_sha256:
            digest = _content_sha256(samples, self.sample_rate)
            object.__setattr__(self, "content_sha256", digest)

    def __repr__(self) -> str:
        return f"Clip({self.duration_s:.2f} s at {self.sample_rate} Hz)"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a file's header says; a damaged or dishonest file may hold less.

    Attributes:
        duration_s: Length in seconds.
        sample_rate: In Hz.
        channels: How many.
        format: Container, such as ``"WAV"``.
        subtype: Coding, such as ``"PCM_16"``.
    """

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    subtype: str


def load_audio(
    source: AudioSource,
    *,
    sample_rate: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: AudioLimits = AudioLimits(),
    channels: Channels = "mean",
) -> Clip:
    """Read a stretch ``[start_s, end_s)`` of a recording as mono float32.

    The stretch is reached by seeking and equals that part of the whole file decoded: bit
    by bit where the coding is lossless, to rounding error in MP3 and OGG. Resampling is
    soxr HQ; loudness stays as recorded.

    Args:
        source: A path, or the bytes of a whole audio file.
        sample_rate: Wanted rate in Hz; ``None`` keeps the file's own.
        start_s: Where to begin, in seconds.
        end_s: Where to end (exclusive), in seconds; ``None`` for the end of the file. Up
            to 0.05 s past the end is taken for a rounded table and cut; further is an
            error, because a label for a stretch that is not there is a wrong label.
        limits: What is accepted.
        channels: Whether channels are averaged, or the first one is kept.

    Raises:
        AudioError: The file is missing, unreadable, damaged, cut short, empty, not finite
            or outside a limit; its format needs the extra ``media``; or the stretch is
            not in it. The message names the file, what was found and what is wanted.
        ValueError: ``sample_rate`` is not positive.
    """
    if sample_rate is not None and sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate}; want more than 0 Hz, or None")
    with open_source(source, max_bytes=limits.max_file_bytes) as opened:
        _check_times(opened.name, start_s, end_s)
        with closing(open_within(opened, limits)) as decoder:
            rate = decoder.header.sample_rate
            samples = read_stretch(opened.name, decoder, start_s, end_s, limits, channels=channels)
    clip = Clip(
        samples=samples,
        sample_rate=rate,
        source="" if isinstance(source, bytes) else os.fspath(source),
        start_s=start_s,
    )
    return clip if sample_rate is None else resample(clip, sample_rate)


def probe_audio(source: AudioSource, *, limits: AudioLimits = AudioLimits()) -> AudioInfo:
    """Read what a recording's header says, decoding only where the header is silent.

    A file longer than ``limits.max_duration_s`` passes: a stretch of it may be wanted.

    Args:
        source: A path, or the bytes of a whole audio file.
        limits: What is accepted of channels, sample rate and size, and how much is decoded
            at most where the header is silent.

    Raises:
        AudioError: The file is missing, unreadable, empty or outside a limit, or its
            format needs the extra ``media``.
    """
    with (
        open_source(source, max_bytes=limits.max_file_bytes) as opened,
        closing(open_within(opened, limits)) as decoder,
    ):
        header = decoder.header
        n_frames = measure(opened.name, decoder, limits)
        return AudioInfo(
            duration_s=n_frames / header.sample_rate,
            sample_rate=header.sample_rate,
            channels=header.channels,
            format=header.format,
            subtype=header.subtype,
        )


def resample(clip: Clip, sample_rate: int) -> Clip:
    """Return the clip at another rate, by soxr HQ; its ``content_sha256`` stays.

    Args:
        clip: Any clip.
        sample_rate: Wanted rate in Hz.

    Raises:
        AudioError: The clip is too short to have a sample at that rate, or so loud that
            what lies between its samples is beyond float32.
        ValueError: ``sample_rate`` is not positive.
    """
    if sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate}; want more than 0 Hz")
    if sample_rate == clip.sample_rate:
        return clip
    import soxr

    name = printable(clip.source) or "clip"
    samples = soxr.resample(clip.samples, clip.sample_rate, sample_rate, quality="HQ")
    if not samples.size:
        raise AudioError(
            f"{name}: {clip.samples.size} samples at {clip.sample_rate} Hz make "
            f"none at {sample_rate} Hz, wanted at least one; take a longer stretch"
        )
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{name}: is too loud to resample (up to "
            f"{np.abs(clip.samples).max():g}), wanted about 1.0; export it again"
        )
    return replace(clip, samples=samples.astype(np.float32, copy=False), sample_rate=sample_rate)


def require_sample_rate(clips: Sequence[Clip], sample_rate: int) -> None:
    """Refuse clips at another rate than an embedder takes.

    Args:
        clips: Any clips.
        sample_rate: Wanted rate in Hz.

    Raises:
        ValueError: A clip has another rate; the message names the first one.
    """
    for row, clip in enumerate(clips):
        if clip.sample_rate != sample_rate:
            raise ValueError(
                f"clip {row} ({clip!r}) is at {clip.sample_rate} Hz, want {sample_rate} Hz: "
                "resample it first"
            )


def file_sha256(path: str | os.PathLike[str], *, limits: AudioLimits = AudioLimits()) -> str:
    """Return the hex SHA-256 of a file's bytes.

    Args:
        path: The file.
        limits: How much it may weigh.

    Raises:
        AudioError: It is not a readable regular file, or too large.
    """
    digest = hashlib.sha256()
    n_left = limits.max_file_bytes
    with open_source(path, max_bytes=n_left) as opened:
        while chunk := opened.file.read(_DIGEST_BYTES):
            digest.update(chunk)
            n_left -= len(chunk)
            if n_left < 0:  # it grows, or its size was a lie, as in /proc
                raise AudioError(
                    f"{opened.name}: goes on after max_file_bytes={limits.max_file_bytes}, "
                    "wanted a file that ends; copy it first, or raise the limit"
                )
    return digest.hexdigest()


def _check_times(name: str, start_s: float, end_s: float | None) -> None:
    if not 0 <= start_s <= _LATEST_S:
        raise AudioError(f"{name}: start_s={start_s}, wanted 0 to {_LATEST_S:g} seconds")
    if end_s is not None and not start_s < end_s <= _LATEST_S:
        raise AudioError(
            f"{name}: end_s={end_s}, wanted more than start_s={start_s} and at most "
            f"{_LATEST_S:g} seconds, or none"
        )


def _content_sha256(samples: NDArray[np.float32], sample_rate: int) -> str:
    digest = hashlib.sha256(f"{sample_rate}:".encode())
    for start in range(0, samples.size, _DIGEST_SAMPLES):
        piece = samples[start : start + _DIGEST_SAMPLES].clip(-1, 1)
        piece *= np.float32(32768)
        # Only the upper end can be rounded to what does not fit.
        np.minimum(np.rint(piece, out=piece), np.float32(32767), out=piece)
        digest.update(piece.astype("<i2").data)
    return digest.hexdigest()
