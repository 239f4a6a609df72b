"""Count what is really in an MPEG or OGG stream, from its frame headers alone.

libsndfile believes what the first frame of an MP3 announces, and stops after the first of
several chained OGG streams, both without an error. These walks find such files out; they
look at headers only and decode nothing. Layouts: ISO/IEC 11172-3 and 13818-3 (MPEG audio
headers), RFC 3533 (OGG pages).
"""

from __future__ import annotations

import mmap

Bytes = bytes | mmap.mmap

_MPEG1_L3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_L23 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): _MPEG1_L3,
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): _MPEG2_L23,
    (2, 3): _MPEG2_L23,
}
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def mpeg_samples(data: Bytes) -> int | None:
    """Count the samples per channel of an MPEG audio stream.

    Args:
        data: The whole file.

    Returns:
        Samples in all frames found, an info frame included; ``None`` when no two frames
        in a row could be found, or the bit rate is free.
    """
    position = _after_id3(data)
    samples = 0
    n_frames = 0
    size = len(data)
    while position + 4 <= size:
        frame = _mpeg_frame(data, position)
        if frame is None:
            position = data.find(b"\xff", position + 1)
            if position < 0:
                break
            continue
        length, n = frame
        # A sync pattern can turn up inside other data; the next frame must follow on.
        follows = position + length
        if follows + 4 <= size and _mpeg_frame(data, follows) is None and not n_frames:
            position += 1
            continue
        samples += n
        n_frames += 1
        position = follows
    return samples if n_frames >= 2 else None


def _after_id3(data: Bytes) -> int:
    if len(data) < 10 or data[:3] != b"ID3":
        return 0
    a, b, c, d = data[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _mpeg_frame(data: Bytes, position: int) -> tuple[int, int] | None:
    """Return ``(length in bytes, samples)`` of the frame at a position, if one is there."""
    head = data[position : position + 3]
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version = head[1] >> 3 & 3
    layer = 4 - (head[1] >> 1 & 3)
    bitrate = head[2] >> 4
    rate = head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in {0, 15} or rate == 3:
        return None
    generation = 1 if version == 3 else 2
    bits_per_s = _BITRATES_KBPS[generation, layer][bitrate - 1] * 1000
    rate_hz = _RATES_HZ[version][rate]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits_per_s // rate_hz + padding) * 4, 384
    samples = 576 if layer == 3 and generation == 2 else 1152
    return samples // 8 * bits_per_s // rate_hz + padding, samples


def chained_ogg(data: Bytes) -> bool:
    """Say whether a further OGG stream begins after another one's data.

    Args:
        data: The whole file.
    """
    position = 0
    seen_data = False
    while (position := data.find(b"OggS", position)) >= 0:
        page = data[position : position + 27]
        if len(page) < 27 or page[4] != 0:
            position += 4
            continue
        begins = bool(page[5] & 2)
        if begins and seen_data:
            return True
        seen_data = seen_data or not begins
        table = data[position + 27 : position + 27 + page[26]]
        position += 27 + len(table) + sum(table)
    return False
