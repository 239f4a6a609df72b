"""File or bytes to ``Clip``: decode under limits, mix to mono, resample, check.

WAV, FLAC, MP3, OGG, AIFF, AU and CAF go through libsndfile; everything else, and what
libsndfile is known to cut short, through FFmpeg's libraries (``container.py``, the extra
``media``). A header is never trusted: what counts is what was decoded.
"""

from __future__ import annotations

import hashlib
import io
import math
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError

if TYPE_CHECKING:
    import soundfile

    from earful.model.container import Container

Source = str | os.PathLike[str] | bytes

_FRAMES_AT_ONCE = 1 << 16
# How far a stretch may reach past the end, and a header past what is there: encoders pad.
_TOLERANCE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """Decoded mono audio that knows its rate and where it came from.

    Attributes:
        samples: float32, shape ``(n_samples,)``, full scale 1.0, loudness as recorded.
        sample_rate: In Hz.
        source: Path or name of the recording; empty for audio made in memory.
        start_s: Where the clip begins in its source, in seconds.
        content_sha256: Hex SHA-256 over the stretch's mono samples at the file's own
            rate, rounded to 16 bits: equal audio in two containers gives equal digests.
            Computed from ``samples`` when left empty.

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
            digest = _ContentDigest(self.sample_rate)
            digest.update(samples)
            object.__setattr__(self, "content_sha256", digest.hexdigest())

    def __repr__(self) -> str:
        return f"Clip({self.duration_s:.2f} s at {self.sample_rate} Hz)"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLimits:
    """What is accepted. Counted while decoding, so that a small file cannot grow large.

    Attributes:
        max_duration_s: Longest stretch, in seconds.
        max_channels: Most channels.
        min_sample_rate: Lowest rate of a file, in Hz.
        max_sample_rate: Highest rate of a file, in Hz.
        max_bytes: Most memory for one decoded stretch, as mono float32.
    """

    max_duration_s: float = 1800.0
    max_channels: int = 64
    min_sample_rate: int = 1000
    max_sample_rate: int = 768_000
    max_bytes: int = 1 << 30


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
    source: Source,
    *,
    sample_rate: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: AudioLimits = AudioLimits(),
) -> Clip:
    """Read a stretch ``[start_s, end_s)`` of a recording as mono float32.

    The stretch is reached by seeking. Channels are averaged; resampling is soxr HQ.

    Args:
        source: A path, or the bytes of a file.
        sample_rate: Wanted rate in Hz; ``None`` keeps the file's own.
        start_s: Where to begin, in seconds.
        end_s: Where to end (exclusive), in seconds; ``None`` for the end of the file. Up
            to 0.05 s past the end is taken for rounding and cut.
        limits: What is accepted.

    Raises:
        AudioError: The file is missing, unreadable, damaged, empty, not finite or outside
            a limit, or the stretch is not in it. The message names file, found, wanted.
        MissingExtraError: The format needs ``earful[media]``.
    """
    name = _name(source)
    if not (math.isfinite(start_s) and start_s >= 0):
        raise AudioError(f"{name}: start_s={start_s}; want 0 or more seconds")
    if end_s is not None and not (math.isfinite(end_s) and end_s > start_s):
        raise AudioError(f"{name}: end_s={end_s} is not after start_s={start_s}")
    with _opened(source) as file:
        decoder = _decoder(file, name, limits)
        rate = decoder.info.sample_rate
        first = round(start_s * rate)
        last = None if end_s is None else round(end_s * rate)
        digest = _ContentDigest(rate)
        most = int(min(limits.max_duration_s * rate, limits.max_bytes // 4))
        blocks: list[NDArray[np.float32]] = []
        n_samples = 0
        for block in decoder.blocks(first, last):
            mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
            mono = np.ascontiguousarray(mono)
            if not np.isfinite(mono).all():
                raise AudioError(f"{name}: holds NaN or infinity; want finite samples")
            n_samples += mono.size
            if n_samples > most:
                raise AudioError(
                    f"{name}: is longer than {most / rate:g} s; want a stretch within that limit, "
                    "or a higher limit"
                )
            digest.update(mono)
            blocks.append(mono)
    missing_s = None if last is None else (last - first - n_samples) / rate
    if not n_samples:
        where = f"at {start_s:g} s or after it" if first else "in it"
        raise AudioError(f"{name}: has no samples {where}; want some")
    if missing_s is not None and missing_s > _TOLERANCE_S:
        raise AudioError(
            f"{name}: ends at {start_s + n_samples / rate:.3f} s; want a stretch up to {end_s:g} s"
        )
    clip = Clip(
        samples=np.concatenate(blocks),
        sample_rate=rate,
        source=name,
        start_s=start_s,
        content_sha256=digest.hexdigest(),
    )
    return clip if sample_rate is None else resample(clip, sample_rate)


def probe_audio(source: Source, *, limits: AudioLimits = AudioLimits()) -> AudioInfo:
    """Read what a recording's header says, without decoding it.

    Raises:
        AudioError: The file is missing, unreadable or outside a limit.
        MissingExtraError: The format needs ``earful[media]``.
    """
    with _opened(source) as file:
        return _decoder(file, _name(source), limits).info


def resample(clip: Clip, sample_rate: int) -> Clip:
    """Return the clip at another rate, by soxr HQ; ``content_sha256`` stays.

    Args:
        clip: Any clip.
        sample_rate: Wanted rate in Hz.

    Raises:
        AudioError: The clip is too short to have a sample at that rate.
    """
    if sample_rate == clip.sample_rate:
        return clip
    import soxr

    samples = soxr.resample(clip.samples, clip.sample_rate, sample_rate, quality="HQ")
    if not samples.size:
        raise AudioError(
            f"{clip.source or 'clip'}: {clip.samples.size} samples at {clip.sample_rate} Hz are "
            f"none at {sample_rate} Hz; want a longer stretch"
        )
    return replace(clip, samples=samples.astype(np.float32, copy=False), sample_rate=sample_rate)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the hex SHA-256 of a file's bytes.

    Raises:
        AudioError: It is not a readable regular file.
    """
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _ContentDigest:
    def __init__(self, sample_rate: int) -> None:
        self._hash = hashlib.sha256(f"{sample_rate}:".encode())

    def update(self, mono: NDArray[np.float32]) -> None:
        self._hash.update(np.rint(np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _name(source: Source) -> str:
    if isinstance(source, bytes):
        return f"<{len(source)} bytes>"
    return os.fspath(source)


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """Open a regular file; anything that could block or is no file is refused first."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    path = os.fspath(source)
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: is {_kind(mode)}; want an audio file")
        file = open(path, "rb")  # noqa: SIM115 - closed below, after what callers do with it
    except FileNotFoundError:
        link = "a link that leads nowhere" if os.path.islink(path) else "no such file"
        raise AudioError(f"{path}: {link}; want an audio file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(f"{path}: cannot be opened ({reason}); want a readable file") from error
    with file:
        yield file


def _kind(mode: int) -> str:
    for test, kind in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return kind
    return "not a regular file"


def _decoder(file: BinaryIO, name: str, limits: AudioLimits) -> _SoundFileDecoder | Container:
    """Choose what decodes this file, and hold its header against the limits."""
    import soundfile

    decoder: _SoundFileDecoder | Container
    head = file.read(12)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise AudioError(f"{name}: is empty (0 bytes); want an audio file")
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        file.seek(0)
        if _is_libsndfiles(head):
            raise AudioError(
                f"{name}: is damaged ({_reason(error)}); want an intact file"
            ) from error
        decoder = _container(file, name)
    else:
        if lost := _cut_short(sound, file):
            sound.close()
            file.seek(0)
            decoder = _container(file, name, because=lost)
        else:
            decoder = _SoundFileDecoder(sound, name)
    info = decoder.info
    if not 1 <= info.channels <= limits.max_channels:
        raise AudioError(f"{name}: has {info.channels} channels; want 1 to {limits.max_channels}")
    if not limits.min_sample_rate <= info.sample_rate <= limits.max_sample_rate:
        raise AudioError(
            f"{name}: has a sample rate of {info.sample_rate} Hz; want {limits.min_sample_rate} "
            f"to {limits.max_sample_rate} Hz"
        )
    return decoder


def _container(file: BinaryIO, name: str, *, because: str = "") -> Container:
    from earful.model.container import Container

    return Container(file, name, because=because)


def _is_libsndfiles(head: bytes) -> bool:
    return head[:4] in {b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b".snd", b"caff"} or (
        head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}
    )


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2].strip().rstrip(".") or type(error).__name__


class _SoundFileDecoder:
    """Blocks of frames out of libsndfile."""

    def __init__(self, sound: soundfile.SoundFile, name: str) -> None:
        self._sound = sound
        self._name = name
        self.info = AudioInfo(
            duration_s=sound.frames / sound.samplerate if sound.samplerate else 0.0,
            sample_rate=sound.samplerate,
            channels=sound.channels,
            format=sound.format,
            subtype=sound.subtype,
        )

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, last)`` as float32, shape ``(n_frames, channels)``."""
        import soundfile

        sound = self._sound
        position = first
        with sound:
            try:
                if first:
                    if first >= sound.frames:
                        return
                    sound.seek(first)
                while last is None or position < last:
                    wanted = _FRAMES_AT_ONCE
                    if last is not None:
                        wanted = min(wanted, last - position)
                    block = sound.read(wanted, dtype="float32", always_2d=True)
                    if not len(block):
                        break
                    position += len(block)
                    yield block
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise AudioError(
                    f"{self._name}: is damaged after {position / sound.samplerate:.3f} s "
                    f"({_reason(error)}); want an intact file"
                ) from error
            promised = sound.frames if last is None else min(last, sound.frames)
            if position < promised - _TOLERANCE_S * sound.samplerate:
                raise AudioError(
                    f"{self._name}: breaks off at {position / sound.samplerate:.3f} s; its header "
                    f"promises {promised / sound.samplerate:.3f} s"
                )


def _cut_short(sound: soundfile.SoundFile, file: BinaryIO) -> str:
    """Say what libsndfile would leave out of this file; empty when nothing."""
    if sound.format not in {"MP3", "MPEG", "OGG"}:
        return ""
    position = file.tell()
    data: bytes | mmap.mmap
    if isinstance(file, io.BytesIO):
        data = file.getvalue()
    else:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        from earful.model.framing import chained_ogg, mpeg_samples

        if sound.format == "OGG":
            return "several OGG streams one after the other" if chained_ogg(data) else ""
        samples = mpeg_samples(data)
        tolerance = _TOLERANCE_S * sound.samplerate + 3 * 1152
        if samples is not None and samples > sound.frames + tolerance:
            return (
                f"MPEG audio of {samples / sound.samplerate:.2f} s that announces "
                f"{sound.frames / sound.samplerate:.2f} s"
            )
        return ""
    finally:
        if isinstance(data, mmap.mmap):
            data.close()
        file.seek(position)
