"""Stream lengths, counted from a file's own packets, where its header may be wrong.

libsndfile believes headers: an MP3 of varying bit rate without a frame count ends early
without an error, an OGG file of several chained streams ends after the first, a WAV or AIFF
file cut off by a broken download is shorter than recorded. Each walk here goes from one packet
header to the next and decodes nothing. Layouts: ISO/IEC 11172-3 and 13818-3 (MPEG audio),
RFC 3533 (OGG pages), Microsoft's RIFF, EBU Tech 3306 (RF64), Sony's Wave64, Apple's AIFF and
CAF, Sun's AU.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BufferedIOBase
from typing import Literal

_RESYNC_BYTES = 65_536
# Limits on a walk. This many MPEG frames last 30 hours at 44.1 kHz; honest files have junk
# between frames once or twice.
_MOST_PACKETS = 1 << 22
_MOST_RESYNCS = 256
_MOST_TAGS = 16
# Wave64 names chunks by GUID.
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")

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
        chained: Whether one stream begins after another: several recordings in one file.
        cut: Whether the last page is shorter than its own header says.
        n_samples_before_last_page: Position at which the last page of the first stream
            begins, in the stream's own units; 0 where that page is the only one.
    """

    chained: bool
    cut: bool
    n_samples_before_last_page: int


class TooManyPacketsError(Exception):
    """Raised for a file with more packets, pages or chunks than a walk is worth."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"holds more than {_MOST_PACKETS} {kind}")


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
    file.seek(_after_id3(file))
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
            raise TooManyPacketsError("MPEG frames")
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
    chained = cut = in_data = False
    position = before = n_pages = 0
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        n_pages += 1
        if n_pages > _MOST_PACKETS:
            raise TooManyPacketsError("OGG pages")
        begins = bool(head[5] & 2)
        granule = int.from_bytes(head[6:14], "little", signed=True)
        lacing = file.read(head[26])
        end = file.tell() + sum(lacing)
        cut = len(lacing) < head[26] or end > size_bytes
        chained = chained or (begins and in_data)
        in_data = in_data or not begins
        if granule > 0 and not chained:  # -1 marks a page on which no packet ends
            before, position = position, granule
        file.seek(end)
    return OggPages(
        chained=chained,
        cut=cut or 0 < len(head) < 27,
        n_samples_before_last_page=before,
    )


def measure_data(file: BufferedIOBase, size_bytes: int) -> tuple[int, int] | None:
    """Compare the sample bytes that a header claims with those that are there.

    Knows WAV, RF64, W64, AIFF, CAF and AU, and AVI as a whole.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.

    Returns:
        ``(claimed, present)`` in bytes, or ``None`` without a claim: in another kind of
        file, or one written by a program that could not go back and fill in the length.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    file.seek(0)
    head = file.read(40)
    if head[:4] == b".snd":
        start, n_bytes = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
        return _claim(n_bytes, 4, size_bytes - start)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _claim(int.from_bytes(head[4:8], "little"), 4, size_bytes - 8)
    layout = _chunk_layout(head)
    if layout is None:
        return None
    position = layout.first
    for _ in range(_MOST_PACKETS):
        chunk = _read_at(file, position, layout.head_bytes)
        if len(chunk) < layout.head_bytes:
            return None
        n_bytes = int.from_bytes(chunk[layout.name_bytes :], layout.order)
        if layout.counts_head:
            n_bytes -= layout.head_bytes
        position += layout.head_bytes
        if chunk.startswith(layout.data):
            if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
                return _claim(int.from_bytes(head[28:36], "little"), 8, size_bytes - position)
            width = layout.head_bytes - layout.name_bytes
            return _claim(n_bytes, width, size_bytes - position)
        position += -(-n_bytes // layout.align) * layout.align
        if n_bytes < 0 or position > size_bytes:  # before a seek beyond what 64 bits hold
            return None
    raise TooManyPacketsError("chunks")


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChunkLayout:
    """Layout of names and sizes in a format made of chunks."""

    data: bytes  # the name of the chunk that holds the samples
    first: int = 12
    name_bytes: int = 4
    head_bytes: int = 8  # name and size
    order: Literal["little", "big"] = "little"
    counts_head: bool = False
    align: int = 2


def _chunk_layout(head: bytes) -> _ChunkLayout | None:
    kind, form = head[:4], head[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return _ChunkLayout(data=b"data", order="big" if kind == b"RIFX" else "little")
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _ChunkLayout(data=b"SSND", order="big")
    if kind == b"caff":
        return _ChunkLayout(data=b"data", first=8, head_bytes=12, order="big", align=1)
    if head[:16] == _W64_RIFF:
        return _ChunkLayout(
            data=_W64_DATA, first=40, name_bytes=16, head_bytes=24, counts_head=True, align=8
        )
    return None


def _claim(n_bytes: int, width: int, present: int) -> tuple[int, int] | None:
    """Return a claim, or ``None`` where the writing program could not go back to fill it in.

    Such programs leave anything from 0x7FFFFFFF less a header up to 0xFFFFFFFF, in 64 bits
    as well.
    """
    top = 0x7FFF_0000 << 8 * (width - 4)
    return None if n_bytes >= top else (n_bytes, present)


def _after_id3(file: BufferedIOBase) -> int:
    position = 0
    for _ in range(_MOST_TAGS):
        head = _read_at(file, position, 10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        n_bytes = 0
        for byte in head[6:]:
            n_bytes = n_bytes << 7 | byte & 0x7F
        position += 10 + n_bytes + (10 if head[5] & 0x10 else 0)
    return position


def _read_at(file: BufferedIOBase, position: int, n_bytes: int) -> bytes:
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
            following = _parse_frame(_read_at(file, start + at + frame.n_bytes, 4))
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
