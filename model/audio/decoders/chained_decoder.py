"""The decoder of chained OGG files: several streams, one after the other, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.decoders.file_view import FileView
from earful.model.audio.decoders.stream_header import Decoder, StreamHeader
from earful.model.audio.source import OpenSource

_MOST_LINKS = 1024

OpenLink = Callable[[OpenSource, float], Decoder]
"""Opens one stream, as a file of its own that begins so many seconds into the recording."""


class ChainedDecoder:
    """Decoder that reads one stream after the other; their channels may differ.

    Args:
        source: The open file.
        starts: Where each stream begins in it, in bytes.
        open_link: Opens one of them.
        notes: What a reader should know of the file.

    Raises:
        AudioError: The streams have several sample rates, or there are more than a thousand.
    """

    def __init__(
        self,
        source: OpenSource,
        starts: Sequence[int],
        open_link: OpenLink,
        *,
        notes: tuple[str, ...] = (),
    ) -> None:
        if len(starts) > _MOST_LINKS:
            raise AudioError(
                f"{source.name}: is {len(starts)} OGG streams in a row, expected at most "
                f"{_MOST_LINKS}; cut it into parts"
            )
        self._source = source
        self._open_link = open_link
        self._places = list(zip(starts, [*starts[1:], source.size_bytes], strict=True))
        self.n_decoded = 0
        self._headers: list[StreamHeader] = []
        for link in range(len(self._places)):
            opened = self._open(link, 0.0)
            self._headers.append(opened.header)
            opened.close()
        self._lengths = [header.n_frames or 0 for header in self._headers]
        rates = [header.sample_rate for header in self._headers]
        other = next((n for n, rate in enumerate(rates) if rate != rates[0]), None)
        if other is not None:
            raise AudioError(
                f"{source.name}: is several OGG streams in a row, the first at {rates[0]} Hz and "
                f"number {other + 1} at {rates[other]} Hz, expected one sample rate; cut it into "
                "its streams, or convert it to WAV"
            )
        self.header = StreamHeader(
            sample_rate=rates[0],
            channels=max(header.channels for header in self._headers),
            n_frames=sum(self._lengths),
            format=self._headers[0].format,
            subtype=self._headers[0].subtype,
            damage=self._headers[-1].damage,
            notes=notes,
        )

    @property
    def one_layout(self) -> bool:
        """Whether all streams have the same coding and channels."""
        return len({(header.subtype, header.channels) for header in self._headers}) == 1

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a segment; see ``Decoder.blocks``.

        Each block has the channels of its own stream.
        """
        begin = 0
        for link, length in enumerate(self._lengths):
            end = begin + length
            if start < end and (stop is None or stop > begin):
                opened = self._open(link, begin / self.header.sample_rate)
                n_before = self.n_decoded
                own_stop = length if stop is None else min(length, stop - begin)
                try:
                    for block in opened.blocks(max(0, start - begin), own_stop):
                        self.n_decoded = n_before + opened.n_decoded
                        yield block
                finally:
                    opened.close()
            begin = end

    def close(self) -> None:
        """Do nothing: a stream's decoder is freed when it has been read."""

    def _open(self, link: int, begins_s: float) -> Decoder:
        start, stop = self._places[link]
        view = FileView(self._source.file, start=start, stop=stop)
        own = OpenSource(file=view, name=self._source.name, size_bytes=stop - start)
        return self._open_link(own, begins_s)
