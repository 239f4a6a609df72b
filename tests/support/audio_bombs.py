"""Small files that hold hours, and honest ones as large as the limits allow.

Each takes seconds to write or to judge; ``tests/reliability/test_audio_bounds.py`` does both.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile

from tests.support.audio_formats import by_ffmpeg
from tests.support.audio_verdicts import Accepted, Case, Refused, case
from tests.support.nasty_audio import flac_fields, mp3_frames, riff

_OPUS_RATE = 48_000
_PACKET_SAMPLES = 5760  # 120 ms, the most a packet may hold
_PACKETS_PER_PAGE = 255


@cache
def silent_flac(seconds: int, rate: int, channels: int) -> bytes:
    """Silence, some kilobytes a minute whatever the rate."""
    buffer = io.BytesIO()
    silence = np.zeros((rate, channels), np.int16)
    with soundfile.SoundFile(buffer, "w", rate, channels, "PCM_16", format="FLAC") as file:
        for _ in range(seconds):
            file.write(silence)
    return buffer.getvalue()


def claiming(seconds: int, *flac: int) -> bytes:
    """``silent_flac`` whose header says another length; 0 is "unknown"."""
    data: bytes = flac_fields(silent_flac(*flac), n_samples=seconds * flac[1])
    return data


def sparse_wav(channels: int, rate: int, n_bytes: int) -> Callable[[Path], Path]:
    """A WAV file that takes no room on the disk."""

    def place(folder: Path) -> Path:
        path = folder / "a.wav"
        head = riff(1, channels, rate, 16, b"", data_size=n_bytes)
        path.write_bytes(head[:4] + struct.pack("<I", len(head) - 8 + n_bytes) + head[8:])
        os.truncate(path, len(head) + n_bytes)
        return path

    return place


def opus(hours: float, serial: int = 1) -> bytes:
    """Silence in OGG Opus, some 60 kB an hour."""
    # Two bytes: code 3, six empty frames of 20 ms.
    packet = bytes([0xFB, 6])
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, _OPUS_RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [_page([head], 0, serial, 0, first=True), _page([tags], 0, serial, 1)]
    n_pages = round(hours * 3600 * _OPUS_RATE / _PACKET_SAMPLES / _PACKETS_PER_PAGE)
    for page in range(n_pages):
        position = (page + 1) * _PACKETS_PER_PAGE * _PACKET_SAMPLES
        last = page == n_pages - 1
        pages.append(_page([packet] * _PACKETS_PER_PAGE, position, serial, page + 2, last=last))
    return b"".join(pages)


def _page(
    packets: list[bytes], position: int, serial: int, number: int, *, first: bool = False,
    last: bool = False,
) -> bytes:  # fmt: skip
    flags = 2 * first + 4 * last
    head = b"OggS\0" + struct.pack("<BqIII", flags, position, serial, number, 0)
    page = head + bytes([len(packets), *map(len, packets)]) + b"".join(packets)
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 ^ _TABLE[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value)
    return table


_TABLE = _table()


def adts(seconds: int) -> bytes:
    """Silent AAC at 48 kHz, one frame again and again, without a length."""
    data: bytes = by_ffmpeg(np.zeros((48_000, 1), np.float32), 48_000, "adts", "aac")
    frames = data.split(data[:3])[1:]  # each begins with the same three bytes
    frame = data[:3] + frames[len(frames) // 2]
    return frame * (seconds * 48_000 // 1024)


def bombs() -> list[Case]:
    """Every one of them."""
    long = Refused("1800.00 s that max_duration_s=1800")
    many = Refused("does not end within the 699.05 s")
    wide = (700, 192_000, 8)
    return [
        case(
            "flac-3-h",
            partial(claiming, 10_800, 9, 48_000, 2),
            Refused(long.reason, Accepted(10_800 * 48_000, 48_000, 2)),
        ),
        case(
            "flac-3-h-uncounted",
            partial(claiming, 0, 10_800, 8000, 1),
            Refused(long.reason, Accepted(10_800 * 8000, 8000)),
        ),
        case("flac-8-channels-192-kHz-uncounted", partial(claiming, 0, *wide), many),
        case(
            "flac-8-channels-192-kHz-largest",
            partial(claiming, 699, *wide),
            Accepted(699 * 192_000, 192_000, 8),
        ),
        case(
            "flac-longest", partial(silent_flac, 1800, 48_000, 2), Accepted(86_400_000, 48_000, 2)
        ),
        Case(
            "wav-64-channels-768-kHz-43-s",
            sparse_wav(64, 768_000, 43 * 768_000 * 128),
            Refused("over the 21.85 s that max_values=", Accepted(43 * 768_000, 768_000, 64)),
        ),
        Case(
            "wav-64-channels-768-kHz-21-s",
            sparse_wav(64, 768_000, 21 * 768_000 * 128),
            Accepted(21 * 768_000, 768_000, 64),
        ),
        case(
            "opus-48-h",
            partial(opus, 48),
            Refused(long.reason, Accepted(48 * 3600 * _OPUS_RATE, _OPUS_RATE, 1, 2_000_000)),
        ),
        # Probing counts what has no length, until as much is decoded as is allowed.
        case(
            "opus-chained-2-x-20-h",
            lambda: opus(20) + opus(20, 2),
            Refused(long.reason, "does not end within the 22369.62 s"),
        ),
        case(
            "adts-1-h",
            partial(adts, 3600),
            Refused(long.reason, Accepted(3600 * 48_000, 48_000, 1, 1024)),
        ),
        case(
            "mp3-3-h",
            partial(mp3_frames, 413_438),
            Refused(long.reason, Accepted(413_438 * 1152, 44_100, 2)),
        ),
        case(
            "mp3-junk-between-frames",
            lambda: (mp3_frames(2) + b"\xff" * 20_000) * 1000,
            Refused("is damaged", Accepted(592_128, 44_100, 2)),
        ),
        case(
            "ogg-empty-pages",
            lambda: opus(0.05) + (b"OggS" + bytes(23)) * 1_000_000,
            Accepted(8_812_800, _OPUS_RATE),
        ),
        case(
            "wav-empty-chunks",
            lambda: riff(1, 1, 8000, 16, b"")[:36] + b"odd \0\0\0\0" * 5_000_000,
            Refused("holds more than 4194304 chunks"),
        ),
    ]
