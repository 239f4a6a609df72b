"""Blocks of a recording of any length, decoded from its beginning to its end in little memory.

A block is a function of the file alone. It is resampled by itself, from a place where both rates
have a sample at the same moment, with so much before and after it that the filter settles: where
decoding began, or was taken up again, changes no bit of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.blocks.file_digest import FileDigest
from earful.model.audio.blocks.records import AudioBlock, BlockPlan, StreamEnd, StreamStart
from earful.model.audio.decoders import Decoder
from earful.model.audio.limits import ANY_LENGTH, AudioLimits
from earful.model.audio.segment import TOLERANCE_S, mix, no_samples, open_within
from earful.model.audio.source import OpenSource, open_source
from earful.wording import counted

Numbers = NDArray[np.float32]

LONGEST_S: Final = ANY_LENGTH.max_duration_s
"""Longest recording, in seconds."""
_CONTEXT_SAMPLES: Final = 2048
"""Samples at the target rate around a block on which its resampling may depend."""
_LOUDEST: Final = 1e6  # front ends clip there, and a resampler must not overflow before
_FULL_SCALE: Final = np.float32(0.9999)  # 16 bits reach 0.99997
_CLIPPED, _NOT_FINITE = 1, 2
# Where a sample is the same however one gets there, and the length is that of the bytes.
_PLAIN_FORMATS: Final = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "RAW"})
_PLAIN_CODINGS: Final = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"}
)


def read_blocks(
    path: str | os.PathLike[str], plan: BlockPlan, limits: AudioLimits
) -> Iterator[StreamStart | AudioBlock | StreamEnd | None]:
    """Decode a recording in this process.

    Args:
        path: The audio file.
        plan: How it is cut.
        limits: Only channels and sample rates count.

    Yields:
        Its start, its blocks and its end; ``None`` for every block before the first one that
        was decoded nevertheless.

    Raises:
        AudioError: The file is missing, unreadable, outside a limit, without samples or
            without the channel.
    """
    with (
        open_source(path, max_bytes=ANY_LENGTH.max_file_bytes) as opened,
        closing(open_within(opened, limits)) as decoder,
        closing(FileDigest(opened)) as digest,
    ):
        yield from _BlockReader(opened, decoder, plan).read(digest)


class _BlockReader:
    """Reader of one recording."""

    def __init__(self, opened: OpenSource, decoder: Decoder, plan: BlockPlan) -> None:
        self._name = opened.name
        self._size_bytes = opened.size_bytes
        self._decoder = decoder
        self._header = decoder.header
        self._plan = plan
        self._rate = decoder.header.sample_rate
        common = math.gcd(self._rate, plan.sample_rate)
        # So many samples of either rate last equally long.
        self._own_period = self._rate // common
        self._period = plan.sample_rate // common
        self._column = {"mean": -1, "first": 0}.get(str(plan.channel), 0)
        if isinstance(plan.channel, int):
            self._column = plan.channel - 1
        if self._column >= self._header.channels:
            raise AudioError(
                f"{self._name}: has {counted(self._header.channels, 'channel')}, expected "
                f"{plan.channel} or more; choose another with --channel"
            )
        self._parts: list[tuple[Numbers, NDArray[np.uint8]]] = []
        self._mono = np.zeros(0, dtype=np.float32)
        self._flags = np.zeros(0, dtype=np.uint8)
        self._kept_from = 0

    def read(self, digest: FileDigest) -> Iterator[StreamStart | AudioBlock | StreamEnd | None]:
        """Yield start, blocks and end."""
        header, plan = self._header, self._plan
        yield StreamStart(
            sample_rate=self._rate,
            channels=header.channels,
            format=header.format,
            subtype=header.subtype,
            size_bytes=self._size_bytes,
            duration_s=None if header.n_frames is None else header.n_frames / self._rate,
        )
        number = end = 0
        first_frame = self._stretch(plan.start_block)[0]
        is_exact = header.format in _PLAIN_FORMATS and header.subtype in _PLAIN_CODINGS
        if is_exact and first_frame < (header.n_frames or 0):
            number, end = plan.start_block, first_frame
        start = self._kept_from = end
        reason = ""
        try:
            for block in self._decoder.blocks(start, None):
                self._keep(block)
                end += len(block)
                if end > LONGEST_S * self._rate:
                    raise self._too_long()
                while self._stretch(number)[1] <= end:
                    yield self._block(number, None)
                    number += 1
        except AudioError as error:
            if end == start or end > LONGEST_S * self._rate:
                raise
            reason = str(error).removeprefix(f"{self._name}: ")
        if not end:
            raise no_samples(self._name)
        n_samples = self._n_samples(end)
        while number * plan.block_samples < n_samples:
            yield self._block(number, end)
            number += 1
        reason = reason or self._fault(end)
        yield StreamEnd(
            n_frames=end,
            sha256=digest.finish(),
            cut_short_at_s=end / self._rate if reason else None,
            cut_short_reason=reason,
            notes=header.notes,
        )

    def _n_samples(self, n_frames: int) -> int:
        """Return how many samples at the target rate so many of the file are."""
        return max(1, (2 * n_frames * self._period + self._own_period) // (2 * self._own_period))

    def _stretch(self, number: int) -> tuple[int, int]:
        """Return the frames of the file on which a block depends, were it endless."""
        plan = self._plan
        first = number * plan.block_samples - plan.margin_samples
        stop = (number + 1) * plan.block_samples + plan.margin_samples
        if self._period == self._own_period:
            return max(0, first), stop
        periods = max(0, first - _CONTEXT_SAMPLES) // self._period
        return (
            periods * self._own_period,
            -(-(stop + _CONTEXT_SAMPLES) * self._own_period // self._period),
        )

    def _block(self, number: int, end: int | None) -> AudioBlock | None:
        """Make a block; ``end`` is the file's, where that is known."""
        plan = self._plan
        begin, until = self._stretch(number)
        following = self._stretch(number + 1)[0]
        if number < plan.start_block:
            self._drop(following)
            return None
        until = until if end is None else min(until, end)
        self._gather()
        source = self._mono[begin - self._kept_from : until - self._kept_from]
        start = number * plan.block_samples
        n_own = plan.block_samples
        if end is not None:
            n_own = min(n_own, self._n_samples(end) - start)
        samples = np.zeros(n_own + 2 * plan.margin_samples, dtype=np.float32)
        # From the first sample that is both asked for and there.
        first = max(0, start - plan.margin_samples)
        there = self._resample(source)[first - begin * self._period // self._own_period :]
        place = first - start + plan.margin_samples
        there = there[: samples.size - place]
        samples[place : place + there.size] = there
        own = samples[plan.margin_samples : plan.margin_samples + n_own]
        flags = self._own_flags(number, end)
        made = AudioBlock(
            number=number,
            samples=samples,
            n_samples=n_own,
            n_frames=flags.size,
            n_clipped=int(np.count_nonzero(flags & _CLIPPED)),
            n_not_finite=int(np.count_nonzero(flags & _NOT_FINITE)),
            peak=float(max(own.max(), -own.min())),
            power=float(np.mean(np.square(own), dtype=np.float64)),
        )
        self._drop(following)
        return made

    def _own_flags(self, number: int, end: int | None) -> NDArray[np.uint8]:
        """Return the flags of the frames for which a block stands, and no other block."""
        bounds = [
            -(-place * self._plan.block_samples * self._own_period // self._period)
            for place in (number, number + 1)
        ]
        first, stop = (bound - self._kept_from for bound in bounds)
        if end is not None:
            last = (number + 1) * self._plan.block_samples >= self._n_samples(end)
            stop = end - self._kept_from if last else stop
        return self._flags[first:stop]

    def _resample(self, source: Numbers) -> Numbers:
        if self._period == self._own_period:
            return source
        import soxr

        found = soxr.resample(source, self._rate, self._plan.sample_rate, quality="HQ")
        return np.asarray(found, dtype=np.float32)

    def _keep(self, block: Numbers) -> None:
        """Add decoded frames, shape ``(n, channels)``, to those that are kept."""
        if not len(block):
            return
        if self._column >= 0:
            # A later stream of a chain may have fewer channels.
            column = min(self._column, block.shape[1] - 1)
            block = block[:, column : column + 1]
        loud = np.abs(block)
        flags = np.asarray((loud >= _FULL_SCALE).any(axis=1), dtype=np.uint8)
        if not (loud <= _LOUDEST).all():  # nor is NaN
            finite = np.isfinite(block)
            flags = np.where(finite.all(axis=1), flags, _NOT_FINITE).astype(np.uint8)
            block = np.where(finite, block, 0).clip(-_LOUDEST, _LOUDEST)
        self._parts.append((mix(block), flags))

    def _gather(self) -> None:
        """Put together what was decoded since the last time."""
        self._mono = np.concatenate([self._mono, *(mono for mono, _ in self._parts)])
        self._flags = np.concatenate([self._flags, *(flags for _, flags in self._parts)])
        self._parts.clear()

    def _drop(self, frame: int) -> None:
        """Forget what lies before a frame."""
        self._gather()
        n = min(self._mono.size, max(0, frame - self._kept_from))
        self._mono, self._flags = self._mono[n:], self._flags[n:]
        self._kept_from += n

    def _fault(self, end: int) -> str:
        """Return why a recording is known to be cut short; empty for a whole one."""
        header = self._header
        due = (header.n_frames or 0) - header.slack_frames - TOLERANCE_S * self._rate
        if header.damage:
            return header.damage
        return f"its header says {header.n_frames} samples" if end < due else ""

    def _too_long(self) -> AudioError:
        return AudioError(
            f"{self._name}: does not end within {LONGEST_S / 86_400:g} days, expected a recording; "
            "cut it into parts"
        )
