"""Media: answers to requests for audio, spectrograms and overviews, kept for a while."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from earful.html import encode_png
from earful.model.runtime import n_cores
from earful.serve.media.cache import ByteCache
from earful.serve.media.faults import RecordingGoneError
from earful.serve.media.overview import LOWEST_HZ, TILE_COLUMNS, Overview, compute_overview
from earful.serve.media.spectrogram import LONGEST_VIEW_S, SpectrogramView, compute_spectrogram
from earful.serve.media.stretch import PlayedSource, clamp_stretch, read_frames, read_stretch
from earful.serve.media.wav import check_slow, encode_wav
from earful.values import short_repr

LONGEST_AUDIO_S: Final = 60.0
"""Longest stretch that is given as audio, in seconds."""

_MADE_BYTES: Final = 64 << 20
_LEAST_AT_ONCE: Final = 2
_FORM: Final = 1
"""Counts up with every change of what is computed, so that no browser keeps the old."""

FindKept = Callable[[], Overview | None]
"""Gives the overview that a scan keeps of a source; ``None`` where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Body and headers of an answer.

    Attributes:
        body: WAV or PNG.
        media_type: ``"audio/wav"`` or ``"image/png"``.
        headers: Numbers that go with it.
    """

    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(hash=False)

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An answer that is made when somebody wants it.

    Attributes:
        etag: A quoted hash of all that it depends on: the same until the file changes.
        make: Makes the answer, or finds it among those made lately.
    """

    etag: str
    make: Callable[[], Made]


class Media:
    """Maker of audio and pictures, with what it made lately kept in memory; for any thread.

    Args:
        most_bytes: Most bytes that are kept of answers, and as many of overviews.
    """

    def __init__(self, most_bytes: int = _MADE_BYTES) -> None:
        self._made = ByteCache[Made](most_bytes, lambda made: len(made.body))
        self._places = threading.BoundedSemaphore(max(_LEAST_AT_ONCE, n_cores()))
        self._overviews = ByteCache[Overview](most_bytes, lambda one: one.n_bytes)

    def audio(
        self,
        source: PlayedSource,
        start_s: float = 0.0,
        end_s: float | None = None,
        slow: float = 1.0,
    ) -> Order:
        """Return a stretch as WAV of 16 bits, one channel, at most 60 s of recording.

        Headers: ``X-Start-S`` and ``X-End-S`` of the stretch in seconds of the source, and
        ``X-Slow``: it is played for so many times its length.

        Args:
            source: What is played.
            start_s: Where it begins, in seconds of the source.
            end_s: Where it ends (exclusive); ``None`` for the end, or 60 s on.
            slow: How many times slower it is played, 1/16 to 16.

        Raises:
            MediaRangeError: The stretch is not in the source, or a number outside its range.
            RecordingGoneError: The file is not there.
            AudioError: It cannot be decoded.
        """
        start_s, end_s = clamp_stretch(source, start_s, end_s, most_s=LONGEST_AUDIO_S)
        check_slow(slow)

        def make() -> Made:
            return Made(
                body=encode_wav(read_stretch(source, start_s, end_s), slow),
                media_type="audio/wav",
                headers={
                    "X-Start-S": f"{start_s:.6f}",
                    "X-End-S": f"{end_s:.6f}",
                    "X-Slow": f"{slow:g}",
                },
            )

        return self._order(make, "audio", source, source.version, start_s, end_s, slow)

    def spectrogram(
        self,
        source: PlayedSource,
        start_s: float,
        end_s: float | None,
        view: SpectrogramView,
    ) -> Order:
        """Return a stretch of ten minutes at most as a grey PNG; see ``compute_spectrogram``.

        Headers: ``X-Low-Hz``, ``X-High-Hz`` of the picture's edges, ``X-Db-Low``, ``X-Db-High``
        of black and white (the view's 40th and 99.9th percentile, 30 to 80 dB apart),
        ``X-Start-S``, ``X-End-S``, ``X-N-Fft`` in samples and ``X-Sample-Rate`` in Hz.

        Raises:
            MediaRangeError: The stretch is not in the source, or a number outside its range.
            RecordingGoneError: The file is not there.
            AudioError: It cannot be decoded.
        """
        start_s, end_s = clamp_stretch(source, start_s, end_s, most_s=LONGEST_VIEW_S)
        rate = source.sample_rate
        view.band_hz(rate)

        def make() -> Made:
            found = compute_spectrogram(
                lambda first, stop: read_frames(source, first, stop),
                rate,
                (source.start_s + start_s) * rate,
                (source.start_s + end_s) * rate,
                view,
            )
            return Made(
                body=encode_png(found.shades, level=1),
                media_type="image/png",
                headers={
                    "X-Low-Hz": f"{found.low_hz:g}",
                    "X-High-Hz": f"{found.high_hz:g}",
                    "X-Db-Low": f"{found.db_low:.2f}",
                    "X-Db-High": f"{found.db_high:.2f}",
                    "X-Start-S": f"{start_s:.6f}",
                    "X-End-S": f"{end_s:.6f}",
                    "X-N-Fft": f"{found.n_fft}",
                    "X-Sample-Rate": f"{rate}",
                },
            )

        return self._order(make, "spectrogram", source, source.version, start_s, end_s, view)

    def overview(
        self,
        source: PlayedSource,
        column: int = 0,
        n: int = TILE_COLUMNS,
        *,
        pool: int = 1,
        kept: FindKept = lambda: None,
    ) -> Order:
        """Return a tile of the whole recording as a grey PNG of 96 rows.

        Rows are equally spaced on the mel scale. Headers: ``X-Columns`` of the whole recording,
        ``X-Column`` of the first, ``X-Step-S`` seconds of a column, ``X-Low-Hz``, ``X-High-Hz``.

        Args:
            source: The recording.
            column: The first column.
            n: Columns, 1 to 4096.
            pool: Steps of a column, 1 to 4096: the loudest is drawn.
            kept: Gives what a scan keeps of it.

        Raises:
            MediaRangeError: A number is outside its range; or no overview is kept, and the source
                is too long to compute one.
            RecordingGoneError: No overview is kept, and the file is not there.
            AudioError: It cannot be decoded.
            ScanError: What is kept is damaged.
        """

        def make() -> Made:
            key = source, version
            whole = self._overviews.get(key, lambda: kept() or compute_overview(source))
            return Made(
                body=encode_png(whole.tile(column, n, pool), level=1),
                media_type="image/png",
                headers={
                    "X-Columns": f"{whole.n_columns(pool)}",
                    "X-Column": f"{column}",
                    "X-Step-S": f"{whole.step_s * pool:.9g}",
                    "X-Low-Hz": f"{LOWEST_HZ:g}",
                    "X-High-Hz": f"{whole.high_hz:g}",
                },
            )

        version: tuple[int, int] | None = None
        with suppress(RecordingGoneError):
            version = source.version
        return self._order(make, "overview", source, version, column, n, pool)

    def _order(self, make: Callable[[], Made], *depends: object) -> Order:
        digest = hashlib.sha256(repr((_FORM, *depends)).encode("utf-8", "backslashreplace"))
        etag = f'"{digest.hexdigest()[:32]}"'
        return Order(etag=etag, make=lambda: self._made.get(etag, lambda: self._in_turn(make)))

    def _in_turn(self, make: Callable[[], Made]) -> Made:
        # Each call at once takes a decoding process, and beginning one takes longer than waiting.
        with self._places:
            return make()
