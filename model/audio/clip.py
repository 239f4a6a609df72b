"""Clips: a file or bytes decoded under limits, mixed to mono, resampled and checked.

The steps, one module each: ``source`` opens a path without trusting it, the room ``decoders``
picks libsndfile or FFmpeg and tells them what they would get wrong, and ``segment`` reads a part
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
from earful.model.audio.levels import Levels, levels_of, unfilled_note
from earful.model.audio.limits import AudioLimits
from earful.model.audio.segment import Channels, count_frames, open_within, read_segment
from earful.model.audio.source import AudioSource, open_source, stored_sha256
from earful.wording import printable

# 24 bits in the lower part of 32: float32 holds such numbers exactly.
_UNFILLED = 2.0**-8
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
        content_sha256: Hex SHA-256 over the file's own rate and the segment's mono samples
            at it, rounded to 16 bits: equal audio in two lossless containers gives equal
            digests. Computed from ``samples`` when left empty.
        notes: What a reader should know of the file, such as a header that was not believed.
        levels: Measured at the file's own rate, over all channels; ``None`` where ``samples`` are
            all that there is to measure.

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
    notes: tuple[str, ...] = ()
    levels: Levels | None = None

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.dtype != np.float32 or samples.ndim != 1 or not samples.size:
            raise ValueError(
                f"samples of dtype {samples.dtype}, shape {samples.shape}: "
                "expected float32 of shape (n_samples,), n_samples > 0"
            )
        if not np.isfinite(samples).all():
            raise ValueError("samples hold NaN or infinity: expected finite numbers")
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate={self.sample_rate}: expected more than 0 Hz")
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
    """Properties from a file's header; a damaged or dishonest file may hold less.

    Attributes:
        duration_s: Length in seconds.
        sample_rate: In Hz.
        channels: Number of channels.
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
    """Read a segment ``[start_s, end_s)`` of a recording as mono float32.

    The segment is reached by seeking and equals that part of the whole file decoded: bit
    by bit where the coding is lossless, to rounding error in MP3 and OGG. Resampling is
    soxr HQ; loudness stays as recorded.

    Args:
        source: A path, or the bytes of a whole audio file.
        sample_rate: Target rate in Hz; ``None`` keeps the file's own.
        start_s: Where to begin, in seconds.
        end_s: Where to end (exclusive), in seconds; ``None`` for the end of the file. Up
            to 0.05 s past the end is taken for a rounded table and cut; more is an
            error, because a label for a segment that is not there is a wrong label.
        limits: Limits on what is decoded.
        channels: Whether to average the channels, or keep the first one.

    Raises:
        AudioError: The file is missing, unreadable, damaged, cut short, empty, not finite
            or outside a limit; its format needs the extra ``media``; or the segment is
            not in it. The message names the file, what was found and what was expected.
        ValueError: ``sample_rate`` is not positive.
    """
    if sample_rate is not None and sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate}: expected more than 0 Hz, or None")
    with open_source(source, max_bytes=limits.max_file_bytes) as opened:
        _check_times(opened.name, start_s, end_s)
        with closing(open_within(opened, limits)) as decoder:
            rate, notes = decoder.header.sample_rate, decoder.header.notes
            samples, levels = read_segment(
                opened.name, decoder, start_s, end_s, limits, channels=channels
            )
            if decoder.header.subtype == "PCM_32" and levels.peak <= _UNFILLED:
                whole = np.rint(samples.astype(np.float64) * levels.channels * 2.0**31)
                if note := unfilled_note(whole.astype(np.int32), round(levels.peak * 2.0**31)):
                    notes = (*notes, note)
    clip = Clip(
        samples=samples,
        sample_rate=rate,
        source="" if isinstance(source, bytes) else os.fspath(source),
        start_s=start_s,
        notes=notes,
        levels=levels,
    )
    return clip if sample_rate is None else resample(clip, sample_rate)


def probe_audio(source: AudioSource, *, limits: AudioLimits = AudioLimits()) -> AudioInfo:
    """Read a recording's header, decoding only where the header does not say its length.

    A file longer than ``limits.max_duration_s`` passes: a segment of it may be asked for.

    Args:
        source: A path, or the bytes of a whole audio file.
        limits: Limits on channels, sample rate and size, and on how much is decoded where
            the header does not say the length.

    Raises:
        AudioError: The file is missing, unreadable, empty or outside a limit, or its
            format needs the extra ``media``.
    """
    with (
        open_source(source, max_bytes=limits.max_file_bytes) as opened,
        closing(open_within(opened, limits)) as decoder,
    ):
        header = decoder.header
        n_frames = count_frames(opened.name, decoder, limits)
        return AudioInfo(
            duration_s=n_frames / header.sample_rate,
            sample_rate=header.sample_rate,
            channels=header.channels,
            format=header.format,
            subtype=header.subtype,
        )


def resample(clip: Clip, sample_rate: int) -> Clip:
    """Resample a clip with soxr HQ; its ``content_sha256`` stays the same.

    Args:
        clip: Any clip.
        sample_rate: Target rate in Hz.

    Raises:
        AudioError: The clip is too short to have a sample at that rate, or so loud that
            values between its samples are beyond float32.
        ValueError: ``sample_rate`` is not positive.
    """
    if sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate}: expected more than 0 Hz")
    if sample_rate == clip.sample_rate:
        return clip
    import soxr

    name = printable(clip.source) or "clip"
    samples = soxr.resample(clip.samples, clip.sample_rate, sample_rate, quality="HQ")
    if not samples.size:
        raise AudioError(
            f"{name}: {clip.samples.size} samples at {clip.sample_rate} Hz make "
            f"none at {sample_rate} Hz, expected at least one; take a longer segment"
        )
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{name}: is too loud to resample (up to "
            f"{np.abs(clip.samples).max():g}), expected about 1.0; export it again"
        )
    return replace(
        clip,
        samples=samples.astype(np.float32, copy=False),
        sample_rate=sample_rate,
        levels=clip.levels or levels_of(clip.samples, clip.sample_rate),
    )


def require_sample_rate(clips: Sequence[Clip], sample_rate: int) -> None:
    """Refuse clips at a rate other than the one that an embedder takes.

    Args:
        clips: Any clips.
        sample_rate: Target rate in Hz.

    Raises:
        ValueError: A clip has another rate; the message names the first one.
    """
    for row, clip in enumerate(clips):
        if clip.sample_rate != sample_rate:
            raise ValueError(
                f"clip {row} ({clip!r}) is at {clip.sample_rate} Hz, expected {sample_rate} Hz: "
                "resample it first"
            )


def file_sha256(path: str | os.PathLike[str], *, limits: AudioLimits = AudioLimits()) -> str:
    """Return the hex SHA-256 of a file's bytes.

    Args:
        path: The file.
        limits: Only its ``max_file_bytes`` counts.

    Raises:
        AudioError: It is not a readable regular file, or too large.
    """
    if known := stored_sha256(path, max_bytes=limits.max_file_bytes):
        return known
    digest = hashlib.sha256()
    n_left = limits.max_file_bytes
    with open_source(path, max_bytes=n_left) as opened:
        while chunk := opened.file.read(_DIGEST_BYTES):
            digest.update(chunk)
            n_left -= len(chunk)
            if n_left < 0:  # it grows, or its size was a lie, as in /proc
                raise AudioError(
                    f"{opened.name}: does not end within max_file_bytes={limits.max_file_bytes}, "
                    "expected a file that ends; copy it first, or raise the limit in a "
                    "program, by AudioLimits"
                )
    return digest.hexdigest()


def _check_times(name: str, start_s: float, end_s: float | None) -> None:
    if not 0 <= start_s <= _LATEST_S:
        raise AudioError(f"{name}: start_s={start_s}, expected 0 to {_LATEST_S:g} seconds")
    if end_s is not None and not start_s < end_s <= _LATEST_S:
        raise AudioError(
            f"{name}: end_s={end_s}, expected more than start_s={start_s} and at most "
            f"{_LATEST_S:g} seconds, or none"
        )


def _content_sha256(samples: NDArray[np.float32], sample_rate: int) -> str:
    digest = hashlib.sha256(f"{sample_rate}:".encode())
    for start in range(0, samples.size, _DIGEST_SAMPLES):
        piece = samples[start : start + _DIGEST_SAMPLES].clip(-1, 1)
        piece *= np.float32(32768)
        # Only the upper end can be rounded to a number that does not fit.
        np.minimum(np.rint(piece, out=piece), np.float32(32767), out=piece)
        digest.update(piece.astype("<i2").data)
    return digest.hexdigest()
