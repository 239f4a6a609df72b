"""Segments: one part of a recording decoded under limits, mixed to mono and checked.

A header is never trusted with memory. Its claims can only lead to an earlier refusal;
what is accepted is counted while decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.decoders import Decoder, open_decoder
from earful.model.audio.levels import LevelMeter, Levels
from earful.model.audio.next_steps import RAISE_LIMIT, TAKE_STRETCH
from earful.model.audio.source import OpenSource

if TYPE_CHECKING:
    from earful.model.audio.limits import AudioLimits

Channels = Literal["mean", "first"]

# How far a segment may reach past the end, and a file fall short of its header. Tables give
# times to a tenth or a hundredth of a second, and MP3 and AAC encoders pad by up to 48 ms.
TOLERANCE_S = 0.05
# Memory for at most this many samples is reserved on a header's word; it grows as they come.
_MOST_RESERVED = 2**24


def open_within(opened: OpenSource, limits: AudioLimits) -> Decoder:
    """Open a decoder for a file whose channels and sample rate are within limits.

    Raises:
        AudioError: No decoder reads the file, or it is outside a limit.
    """
    decoder = open_decoder(opened)
    header = decoder.header
    fault, way_out = "", "mix it down"
    if not 1 <= header.channels <= limits.max_channels:
        fault = f"has {header.channels} channels, expected 1 to {limits.max_channels}"
    elif not limits.min_sample_rate <= header.sample_rate <= limits.max_sample_rate:
        fault = (
            f"has a sample rate of {header.sample_rate} Hz, expected {limits.min_sample_rate} to "
            f"{limits.max_sample_rate} Hz"
        )
        way_out = "resample it"
    if fault:
        decoder.close()
        raise AudioError(
            f"{opened.name}: {fault}; {way_out}, or change the limit in a program, by AudioLimits"
        )
    return decoder


def read_segment(
    name: str,
    decoder: Decoder,
    start_s: float,
    end_s: float | None,
    limits: AudioLimits,
    *,
    channels: Channels = "mean",
) -> tuple[NDArray[np.float32], Levels]:
    """Decode ``[start_s, end_s)`` of a recording to one channel.

    Args:
        name: Name of the recording in errors.
        decoder: Freshly opened.
        start_s: Where to begin, in seconds.
        end_s: Where to end (exclusive), in seconds; ``None`` for the end of the file.
        limits: Limits on what is decoded.
        channels: Whether to average the channels, or keep the first one.

    Returns:
        float32, shape ``(n,)``, ``n > 0``, finite, at the file's own rate; and the levels of the
        channels that it was made of.

    Raises:
        AudioError: The data is damaged, cut short, not finite or too long, or the segment
            is not in it.
    """
    return _SegmentReader(name, decoder, start_s, end_s, limits, channels).read()


def count_frames(name: str, decoder: Decoder, limits: AudioLimits) -> int:
    """Return the samples per channel of a recording, from its header where it says.

    Args:
        name: Name of the recording in errors.
        decoder: Freshly opened.
        limits: How much is decoded at most where the header is silent.

    Raises:
        AudioError: The recording has no samples, or more than may be decoded to count them.
    """
    n_frames = decoder.header.n_frames
    if n_frames is None:
        n_frames = sum(len(block) for block in _counted(name, decoder, 0, None, limits))
    if not n_frames:
        raise no_samples(name)
    return n_frames


class _SegmentReader:
    """Reader of one segment of one recording, under limits."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        start_s: float,
        end_s: float | None,
        limits: AudioLimits,
        channels: Channels,
    ) -> None:
        self._name = name
        self._decoder = decoder
        self._header = decoder.header
        self._rate = decoder.header.sample_rate
        self._start = round(start_s * self._rate)
        self._stop = None if end_s is None else round(end_s * self._rate)
        self._limits = limits
        self._takes_first = channels == "first"
        n_most, self._limit = min(
            (limits.max_duration_s * self._rate, f"max_duration_s={limits.max_duration_s:g}"),
            (limits.max_bytes // 4, f"max_bytes={limits.max_bytes} (decoded)"),
            (
                limits.max_values // decoder.header.channels,
                f"max_values={limits.max_values} (over all channels)",
            ),
            key=lambda limit: limit[0],
        )
        self._n_most = int(n_most)

    def read(self) -> tuple[NDArray[np.float32], Levels]:
        """Decode, mix, measure and check; float32, shape ``(n,)``."""
        self._check_header()
        meter = LevelMeter()
        samples = np.empty(self._n_reserved(), dtype=np.float32)
        n = 0
        blocks = _counted(self._name, self._decoder, self._start, self._stop, self._limits)
        for block in blocks:
            if n + len(block) > self._n_most:
                raise self._too_long("it is longer than")
            if n + len(block) > samples.size:
                # Grown in place: a list of blocks to concatenate would need twice the memory.
                samples.resize(max(n + len(block), samples.size * 5 // 4), refcheck=False)
            heard = block[:, :1] if self._takes_first else block
            samples[n : n + len(block)] = mix(heard)
            meter.add(heard)
            n += len(block)
        samples.resize(n, refcheck=False)
        self._check_end(n)
        # The file may still hold NaN or infinity, which no embedder takes.
        finite = np.isfinite(samples)
        if not finite.all():
            first = int(finite.argmin())
            raise AudioError(
                f"{self._name}: holds {samples[first]} at {(self._start + first) / self._rate:.3f} "
                f"s ({n - np.count_nonzero(finite)} of {n} samples are not finite), expected "
                "numbers; export it again"
            )
        return samples, meter.levels(self._rate, samples)

    def _n_reserved(self) -> int:
        """Guess how many samples will come; a header that lies costs only some growing."""
        n = (self._header.n_frames or 0) - self._start
        if self._stop is not None:
            n = min(n, self._stop - self._start)
        return max(0, min(n, self._n_most, _MOST_RESERVED))

    def _check_header(self) -> None:
        """Refuse what the header already rules out, before any of it is decoded."""
        if self._stop is not None and self._stop <= self._start:
            raise AudioError(
                f"{self._name}: the segment is shorter than one sample at {self._rate} Hz, "
                "expected at least one; move end_s"
            )
        n_frames = self._header.n_frames
        if n_frames is not None:
            if self._start >= n_frames + self._header.slack_frames and n_frames:
                raise self._beyond(f"lasts {n_frames / self._rate:.3f} s")
            if self._stop is None and n_frames - self._start > self._n_most:
                raise self._too_long(f"its header says {n_frames / self._rate:.2f} s, over")
        if self._stop is not None and self._stop - self._start > self._n_most:
            raise self._too_long(
                f"{(self._stop - self._start) / self._rate:.2f} s are requested, over"
            )

    def _check_end(self, n: int) -> None:
        """Check that decoding got as far as requested, or as the header promised."""
        end = self._start + n
        tolerance = TOLERANCE_S * self._rate
        if self._stop is not None and end >= self._stop:
            return
        promised = (self._header.n_frames or 0) - self._header.slack_frames
        due = promised if self._stop is None else min(promised, self._stop)
        if self._header.damage or end < due - tolerance:
            what = self._header.damage or f"its header says {self._header.n_frames} samples"
            raise AudioError(
                f"{self._name}: breaks off after {end / self._rate:.2f} s ({what}), expected a "
                "whole file; fetch or export it again"
            )
        if not n and not self._start:
            raise no_samples(self._name)
        if not n:
            raise self._beyond(f"ends before {end / self._rate:.3f} s")
        if self._stop is not None and end < self._stop - tolerance:
            raise self._beyond(f"lasts {end / self._rate:.3f} s")

    def _beyond(self, found: str) -> AudioError:
        end = "the end" if self._stop is None else f"{self._stop / self._rate:.3f} s"
        return AudioError(
            f"{self._name}: {found}, expected a segment from "
            f"{self._start / self._rate:.3f} s to {end}; correct the times"
        )

    def _too_long(self, found: str) -> AudioError:
        way_out = TAKE_STRETCH
        if self._stop is not None:
            way_out = "take a shorter segment, or give its times in seconds if these are others"
        return AudioError(
            f"{self._name}: {found} the {self._n_most / self._rate:.2f} s that {self._limit} "
            f"allows; {way_out}{RAISE_LIMIT}"
        )


def _counted(
    name: str, decoder: Decoder, start: int, stop: int | None, limits: AudioLimits
) -> Iterator[NDArray[np.float32]]:
    """Yield a decoder's blocks; raise when it has decoded more than is allowed."""
    n_most = limits.max_values // decoder.header.channels
    for block in decoder.blocks(start, stop):
        if decoder.n_decoded > n_most:
            raise AudioError(
                f"{name}: does not end within the {n_most / decoder.header.sample_rate:.2f} s of "
                f"decoding that max_values={limits.max_values} (over all channels) allows; cut it "
                "into parts, or raise the limit in a program, by AudioLimits"
            )
        yield block


def no_samples(name: str) -> AudioError:
    """Return the error of a recording in which there is nothing."""
    return AudioError(f"{name}: holds no samples, expected at least one; fetch or export it again")


def mix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average channels, ``(n, channels)`` to ``(n,)``, always summing in the same order."""
    if block.shape[1] == 1:
        return block[:, 0]
    mono = block[:, 0].copy()
    with np.errstate(over="ignore", invalid="ignore"):  # the caller reports it with its place
        for channel in range(1, block.shape[1]):
            mono += block[:, channel]
        return mono / np.float32(block.shape[1])
