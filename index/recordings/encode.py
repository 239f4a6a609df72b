"""Encoding of a recording: decoded block by block in a sandbox, its steps kept as they come."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.index.recordings.kept import KeptRecording, SampleLevels
from earful.index.recordings.settings import BLOCK_S, StoreSettings
from earful.index.recordings.store import StepStore
from earful.model import StepEmbedder
from earful.model.audio import AudioBlock, AudioLimits, StreamInfo, check_channel, stream_blocks
from earful.model.encoders import OVERVIEW_BANDS, overview
from earful.model.runtime import at_most_cores, n_cores
from earful.values import short_repr

PARTS: Final = 10
"""A block is decoded in so many parts, so that little of it is in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How recordings are heard, beside the embedder.

    Attributes:
        low_hz: What lies below is silence, in Hz.
        high_hz: What lies above is silence, in Hz; ``None`` for no limit.
        slow: How many times slower than recorded a recording is heard.
        channel: ``"mean"``, ``"first"``, or a channel's number from 1.

    Raises:
        ValueError: A value is outside its range.
    """

    low_hz: float = 0.0
    high_hz: float | None = None
    slow: float = 1.0
    channel: str | int = "mean"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < (np.inf if self.high_hz is None else self.high_hz):
            raise ValueError(
                f"low_hz={self.low_hz:g}, high_hz={self.high_hz}: expected 0 <= lowest < highest"
            )
        if not 1 <= self.slow <= 100:
            raise ValueError(f"slow={self.slow:g}: expected 1 to 100")
        check_channel(self.channel)

    @property
    def band_hz(self) -> tuple[float, float] | None:
        """Lowest and highest frequency in the recording; ``None`` for all."""
        if not self.low_hz and self.high_hz is None:
            return None
        return self.low_hz, np.inf if self.high_hz is None else self.high_hz


class SlowedSteps:
    """Steps of recordings that are heard slower than they were recorded.

    A recording of an N times higher rate is the same samples; so is its time N times shorter.

    Args:
        embedder: Any.
        slow: How many times slower.
    """

    def __init__(self, embedder: StepEmbedder, slow: float) -> None:
        self._embedder = embedder
        self._slow = slow
        self.steps_fingerprint = embedder.steps_fingerprint
        self.steps_rate = round(embedder.steps_rate * slow)
        self.step_samples = embedder.step_samples
        self.margin_steps = embedder.margin_steps
        self.step_dim = embedder.step_dim

    def embed_steps(
        self, samples: NDArray[np.float32], *, band_hz: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """Embed samples at ``steps_rate``, a band being that of the recording."""
        if band_hz is not None:
            band_hz = (band_hz[0] / self._slow, band_hz[1] / self._slow)
        return self._embedder.embed_steps(samples, band_hz=band_hz)

    def pool_steps(self, steps: NDArray[np.floating], length: int) -> NDArray[np.float32]:
        """Pool windows as the embedder does."""
        return self._embedder.pool_steps(steps, length)


class StoppedError(Exception):
    """Encoding was told to stop between two blocks."""


class Encoder:
    """Encoder of recordings into a store.

    Args:
        embedder: Its steps are kept.
        hearing: How recordings are heard.
        limits: On channels and rates.

    Attributes:
        heard: The same.
        embedder: The same at the rate of the recordings: slowed where they are.
    """

    def __init__(
        self,
        embedder: StepEmbedder,
        hearing: Hearing = Hearing(),
        *,
        limits: AudioLimits = AudioLimits(),
    ) -> None:
        self.heard = embedder
        self.embedder: StepEmbedder = embedder
        if hearing.slow != 1:
            self.embedder = SlowedSteps(embedder, hearing.slow)
        self._hearing = hearing
        self._limits = limits
        rate = self.embedder.steps_rate / embedder.step_samples
        self._part_steps = max(1, round(BLOCK_S / PARTS * rate / hearing.slow))

    @property
    def settings(self) -> StoreSettings:
        """The settings of a store for its steps."""
        hearing, embedder = self._hearing, self.embedder
        return StoreSettings(
            fingerprint=embedder.steps_fingerprint,
            step_dim=embedder.step_dim,
            overview_bands=OVERVIEW_BANDS,
            steps_rate=embedder.steps_rate / embedder.step_samples,
            block_steps=PARTS * self._part_steps,
            low_hz=hearing.low_hz,
            high_hz=hearing.high_hz,
            slow=hearing.slow,
            channel=hearing.channel,
        )

    def encode(
        self,
        path: str | os.PathLike[str],
        key: str,
        size: int,
        store: StepStore,
        *,
        on_audio: Callable[[float], None] = lambda _: None,
        share: Callable[[], int] = n_cores,
        stop: threading.Event | None = None,
    ) -> KeptRecording:
        """Decode a recording from where an earlier process came to, and keep its steps.

        Args:
            path: The recording.
            key: Its key in the store.
            size: Of its file, in bytes.
            store: Of the same ``settings``.
            on_audio: Called with the seconds of each stretch that was encoded.
            share: Tells how many cores to use for the next stretch.
            stop: Ends it between two parts, with what is kept by then.

        Returns:
            What is known of it by now.

        Raises:
            AudioError: It cannot be decoded.
            BusyRecordingError: Another process is at it.
            StoppedError: ``stop`` was set.
            OSError: It cannot be written.
        """
        begun = KeptRecording(path=os.fspath(path), bytes=size)
        with store.writer(key, begun) as writer:
            if writer.is_finished:
                return writer.kept
            embedder, start = self.embedder, writer.kept.n_blocks
            held: list[NDArray[np.float16]] = []
            levels = SampleLevels()
            with stream_blocks(
                path,
                sample_rate=embedder.steps_rate,
                block_samples=self._part_steps * embedder.step_samples,
                margin_samples=embedder.margin_steps * embedder.step_samples,
                start_block=start * PARTS,
                channel=self._hearing.channel,
                limits=self._limits,
            ) as stream:
                for part, steps in self._embed(stream, share, stop):
                    held.append(steps)
                    levels += SampleLevels(
                        n=part.n_frames,
                        peak=part.peak,
                        n_clipped=part.n_clipped,
                        n_not_finite=part.n_not_finite,
                    )
                    on_audio(part.n_samples / embedder.steps_rate)
                    if len(held) == PARTS:
                        writer.append(np.concatenate(held), levels)
                        held, levels = [], SampleLevels()
                if held:
                    writer.append(np.concatenate(held), levels)
                writer.finish(_finished(writer.kept, stream.info))
            return writer.kept

    def _embed(
        self, parts: Iterator[AudioBlock], share: Callable[[], int], stop: threading.Event | None
    ) -> Iterator[tuple[AudioBlock, NDArray[np.float16]]]:
        """Yield the parts in order with their steps, several of them being embedded at once.

        A core that computes a whole part waits for no other one. The last part is computed by all
        the cores that are free. How many there are changes no bit.
        """
        pending: deque[tuple[AudioBlock, Future[NDArray[np.float16]]]] = deque()
        whole = self._part_steps * self.embedder.step_samples
        # Threads begin when they are needed.
        with ThreadPoolExecutor(n_cores(), thread_name_prefix="earful-steps") as pool:
            try:
                for part in parts:
                    if stop is not None and stop.is_set():
                        raise StoppedError
                    n = share()
                    # One more than there are cores, so that none waits for what is written.
                    while len(pending) > (n if n > 1 else 0):
                        first, steps = pending.popleft()
                        yield first, steps.result()
                    is_last = part.n_samples < whole
                    if n > 1 and not (is_last and not pending):
                        n_free = max(1, n - len(pending)) if is_last else 1
                        pending.append((part, pool.submit(self._steps, part, n_free)))
                    else:
                        yield part, self._steps(part, n)
                while pending:
                    first, steps = pending.popleft()
                    yield first, steps.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _steps(self, part: AudioBlock, n: int) -> NDArray[np.float16]:
        """Embed a part on so many cores, leave out its margins, and put its overview beside it."""
        embedder = self.embedder
        margin = embedder.margin_steps
        n_steps = -(-part.n_samples // embedder.step_samples)
        with at_most_cores(n):
            steps = embedder.embed_steps(part.samples, band_hz=self._hearing.band_hz)
        start = margin * embedder.step_samples
        own = part.samples[start : start + part.n_samples]
        seen = overview(own, embedder.steps_rate, embedder.step_samples)
        steps = steps[margin : margin + n_steps].astype(np.float16)
        # Bytes in a number's place: nobody reads them as numbers.
        return np.concatenate([steps, seen.view(np.float16)], axis=1)


def _finished(kept: KeptRecording, info: StreamInfo) -> KeptRecording:
    cut_short = ""
    if info.cut_short_at_s is not None:
        cut_short = f"cut short at {info.cut_short_at_s:.2f} s: {info.cut_short_reason}"
    return replace(
        kept,
        sha256=info.sha256,
        duration_s=info.duration_s,
        sample_rate=info.sample_rate,
        channels=info.channels,
        cut_short=cut_short,
        notes=info.notes,
    )
