"""Stream lengths, counted from a file's own packets, where its header may be wrong.

libsndfile believes headers: an MP3 of varying bit rate without a frame count ends early
without an error, an OGG file of several chained streams ends after the first. Each walk here
goes from one packet header to the next and decodes nothing. Layouts: ISO/IEC 11172-3 and 13818-3
(MPEG audio), RFC 3533 (OGG pages). Formats made of chunks: ``chunks``.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BufferedIOBase

_RESYNC_BYTES = 65_536
# Limits on a walk. This many MPEG frames last 30 hours at 44.1 kHz; honest files have junk
# between frames once or twice.
_MOST_PACKETS = 1 << 22
_MOST_RESYNCS = 256
_MOST_TAGS = 16

# kbit/s by (MPEG-1?, layer) and the header's 4-bit index; 0 is "free format", 15 is "bad".
_LOW_RATES_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BIT_RATES_KBPS: dict[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW_RATES_KBPS,
    (False, 3): _LOW_RATES_KBPS,
}
# By the header's version bits: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5.
_SAMPLE_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MpegLength:
    """Length of an MPEG stream (MP1, MP2, MP3), counted over its frames.

    Attributes:
        n_samples: Samples per channel, less encoder delay and padding where noted.
        n_frame_samples: Samples per channel of one frame.
        counted: Whether the file has a frame count of its own (a Xing or Info tag).
    """

    n_samples: int
    n_frame_samples: int
    counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OggPages:
    """Structure of an OGG file, read from its page headers.

    Attributes:
        starts: Where each stream begins, in bytes: more than one in a chain, which is several
            recordings in one file.
        cut: Whether the last page is shorter than its own header says.
        n_samples_before_last_page: Position at which the last page of the first stream
            begins, in the stream's own units; 0 where that page is the only one.
    """

    starts: tuple[int, ...]
    cut: bool
    n_samples_before_last_page: int

    @property
    def chained(self) -> bool:
        """Whether one stream begins after another."""
        return len(self.starts) > 1


class TooManyPacketsError(Exception):
    """Raised for a file with more packets, pages or chunks than a walk is worth."""

    def __init__(self, most: int, kind: str) -> None:
        super().__init__(f"holds more than {most} {kind}")


@dataclass(frozen=True, slots=True)
class _Frame:
    n_bytes: int
    n_samples: int
    kind: tuple[int, int, int]  # version, layer, rate index: the same all through a stream
    mono: bool


@dataclass(frozen=True, slots=True)
class _Tag:
    n_trimmed: int  # encoder delay and padding, in samples
    counted: bool


def measure_mpeg(file: BufferedIOBase) -> MpegLength | None:
    """Count the samples of an MPEG audio file by walking from frame to frame.

    Args:
        file: Seekable; left wherever the walk ended.

    Returns:
        The length, or ``None`` where no two frames follow each other, as in other formats
        and in streams of free bit rate. The count stops early where junk lies between
        frames again and again.

    Raises:
        TooManyPacketsError: The file has millions of frames.
    """
    file.seek(after_id3(file))
    first = _next_frame(file, None)
    if first is None:
        return None
    tag = _read_tag(file.read(first.n_bytes), first)
    n_frames = 1 if tag is None else 0  # decoders drop the frame that holds a tag
    n_resyncs = 0
    while len(head := file.read(4)) == 4:
        frame = _parse_frame(head)
        if frame is None or frame.kind != first.kind:
            n_resyncs += 1
            if head[:3] == b"TAG" or head == b"APET" or n_resyncs > _MOST_RESYNCS:
                break
            file.seek(-4, 1)
            frame = _next_frame(file, first.kind)
            if frame is None:
                break
            file.seek(4, 1)
        n_frames += 1
        if n_frames > _MOST_PACKETS:
            raise TooManyPacketsError(_MOST_PACKETS, "MPEG frames")
        file.seek(frame.n_bytes - 4, 1)
    return MpegLength(
        n_samples=max(0, n_frames * first.n_samples - (tag.n_trimmed if tag else 0)),
        n_frame_samples=first.n_samples,
        counted=tag is not None and tag.counted,
    )


def walk_ogg(file: BufferedIOBase, size_bytes: int) -> OggPages:
    """Walk over the pages of an OGG file.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.

    Raises:
        TooManyPacketsError: The file has millions of pages.
    """
    file.seek(0)
    cut = in_data = False
    starts = [0]
    position = before = n_pages = place = 0
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        n_pages += 1
        if n_pages > _MOST_PACKETS:
            raise TooManyPacketsError(_MOST_PACKETS, "OGG pages")
        begins = bool(head[5] & 2)
        granule = int.from_bytes(head[6:14], "little", signed=True)
        lacing = file.read(head[26])
        end = file.tell() + sum(lacing)
        cut = len(lacing) < head[26] or end > size_bytes
        if begins and in_data:
            starts.append(place)
        in_data = not begins
        if granule > 0 and len(starts) == 1:  # -1 marks a page on which no packet ends
            before, position = position, granule
        place = file.seek(end)
    return OggPages(
        starts=tuple(starts),
        cut=cut or 0 < len(head) < 27,
        n_samples_before_last_page=before,
    )


def after_id3(file: BufferedIOBase) -> int:
    """Return where a file's leading ID3v2 tags end, in bytes; 0 without any.

    Args:
        file: Seekable; left wherever the walk ended.
    """
    position = 0
    for _ in range(_MOST_TAGS):
        head = read_at(file, position, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        n_bytes = 0
        for byte in head[6:]:
            n_bytes = n_bytes << 7 | byte & 0x7F
        position += 10 + n_bytes + (10 if head[5] & 0x10 else 0)
    return position


def is_mpeg_frame(head: bytes) -> bool:
    """Tell whether bytes begin like a frame of MPEG audio (MP1, MP2, MP3)."""
    return _parse_frame(head[:4]) is not None


def read_at(file: BufferedIOBase, position: int, n_bytes: int) -> bytes:
    """Return up to so many bytes of a file from a place on."""
    file.seek(position)
    return file.read(n_bytes)


def _parse_frame(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    bits_per_s = 1000 * _BIT_RATES_KBPS[version == 3, layer][bit_rate]
    rate_hz = _SAMPLE_RATES_HZ[version][rate]
    if layer == 1:
        n_samples, n_bytes = 384, (12 * bits_per_s // rate_hz + padding) * 4
    else:
        n_samples = 576 if layer == 3 and version != 3 else 1152
        n_bytes = n_samples // 8 * bits_per_s // rate_hz + padding
    return _Frame(n_bytes, n_samples, (version, layer, rate), head[3] >> 6 == 3)


def _next_frame(file: BufferedIOBase, kind: tuple[int, int, int] | None) -> _Frame | None:
    """Move to the next frame that is followed by a similar one: a sync pattern proves nothing."""
    start = file.tell()
    data = file.read(_RESYNC_BYTES)
    at = data.find(b"\xff")
    while at >= 0:
        frame = _parse_frame(data[at : at + 4])
        if frame is not None and kind in (None, frame.kind):
            following = _parse_frame(read_at(file, start + at + frame.n_bytes, 4))
            if following is not None and following.kind == frame.kind:
                file.seek(start + at)
                return frame
        at = data.find(b"\xff", at + 1)
    return None


def _read_tag(frame: bytes, header: _Frame) -> _Tag | None:
    """Read the Xing or Info tag that a stream's first frame may hold instead of audio."""
    at = 4 + ((17 if header.mono else 32) if header.kind[0] == 3 else (9 if header.mono else 17))
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    # Frame count, byte count, seek table and quality are each there only when flagged.
    lame = at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1)
    lame += 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    trim = frame[lame + 21 : lame + 24]
    if not frame[lame : lame + 4].isalnum() or len(trim) < 3:
        return _Tag(0, bool(flags & 1))
    packed = int.from_bytes(trim, "big")
    return _Tag((packed >> 12) + (packed & 0xFFF), bool(flags & 1))
