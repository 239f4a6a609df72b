"""Samples that a coding adds to a recording, where FFmpeg leaves them in.

An encoder that transforms overlapping stretches gives out the first samples late, and fills its
last packet. MP4, Matroska, CAF and OGG state both, and FFmpeg takes both off. What follows is
stated elsewhere: in the header of Musepack, or by the standard of a coding for all its encoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final

from earful.model.audio.decoders.stream_header import StreamHeader
from earful.model.audio.decoders.stream_length import read_at

# A transform of 512 samples every 256 (ATSC A/52); 5 ms of look-ahead (3GPP TS 26.071).
_DELAYS: Final = {"ac3": 256, "eac3": 256, "amrnb": 40}
# Containers of FFmpeg's that have no place to state a delay.
_SILENT: Final = frozenset({"ac3", "amr", "avi", "eac3", "mpeg", "mpegts", "w64", "wav"})
# The filter bank of Musepack, as its own decoder takes it off.
_MUSEPACK_DELAY: Final = 481
_MOST_MUSEPACK_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedSamples:
    """Samples that are no part of a recording.

    Attributes:
        delay: Samples per channel before its beginning.
        n_frames: Samples per channel of the recording; ``None`` where nothing says.
    """

    delay: int
    n_frames: int | None = None


def added_samples(file: BufferedIOBase, header: StreamHeader) -> AddedSamples | None:
    """Return what to take off the samples that FFmpeg gives; ``None`` for nothing.

    Args:
        file: Seekable; left where it was.
        header: As FFmpeg reads it.
    """
    if header.format == "mpc8":
        position = file.tell()
        try:
            return _musepack_8(read_at(file, 0, _MOST_MUSEPACK_BYTES))
        finally:
            file.seek(position)
    delay = _DELAYS.get(header.subtype)
    if delay is None or header.format not in _SILENT:
        return None
    return AddedSamples(delay=delay)


def _musepack_8(head: bytes) -> AddedSamples | None:
    """Read the stream header of Musepack SV8: a packet ``SH`` right behind the magic.

    Its content: a checksum of 4 bytes, the version, then as numbers of varying length the
    samples and how many of them, at the beginning, are no part of the recording.
    """
    if head[4:6] != b"SH":
        return None
    _, at = _varying(head, 6)
    n_samples, at = _varying(head, at + 5)
    n_silent, _ = _varying(head, at)
    if not n_samples or n_silent >= n_samples:
        return None
    return AddedSamples(delay=_MUSEPACK_DELAY + n_silent, n_frames=n_samples - n_silent)


def _varying(data: bytes, at: int) -> tuple[int, int]:
    """Read a number, seven bits a byte, the last byte below 128; return it and its end."""
    number = 0
    for place in range(at, min(at + 9, len(data))):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    return 0, len(data)
