"""The trimmed decoder: another one without the samples that its coding added.

A coding in blocks fills its last one, and one with overlapping transforms begins late. Where a
format says by how much, those samples are no part of the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from earful.model.audio.decoders.stream_header import Decoder, StreamHeader


class TrimmedDecoder:
    """Decoder of what another one gives between a delay and a length.

    Args:
        decoder: Freshly opened.
        delay: Samples per channel to leave out at the beginning.
        n_frames: Samples per channel of the recording after them; ``None`` for all the others.
    """

    def __init__(self, decoder: Decoder, *, delay: int = 0, n_frames: int | None = None) -> None:
        self._decoder = decoder
        self._delay = delay
        self._n_frames = n_frames
        header = decoder.header
        if n_frames is not None:
            header = replace(header, n_frames=n_frames, slack_frames=0)
        elif header.n_frames is not None:
            header = replace(header, n_frames=max(0, header.n_frames - delay))
        self._header = header

    @property
    def header(self) -> StreamHeader:
        """Properties that the file claims for itself, without what is left out."""
        return self._header

    @property
    def n_decoded(self) -> int:
        """Samples per channel decoded so far, with those that are left out."""
        return self._decoder.n_decoded

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a segment; see ``Decoder.blocks``."""
        if self._n_frames is not None:
            stop = self._n_frames if stop is None else min(stop, self._n_frames)
        if stop is not None and stop <= start:
            return
        end = None if stop is None else stop + self._delay
        yield from self._decoder.blocks(start + self._delay, end)

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._decoder.close()
