"""Broken, dishonest and rare audio, each file with its verdict.

Every case is written into a folder when asked for, and says what has to become of it: heard
exactly as it is, or refused in one line. ``tests/model/audio/test_nasty_audio.py`` holds the loader
to these and to those of ``nasty_files.py``, ``tests/reliability/test_audio_bounds.py`` holds
all of them, and those of ``audio_bombs.py``, to bounds on time and memory.
"""

from __future__ import annotations

import struct
from functools import partial

import numpy as np

from tests.support.audio_formats import by_ffmpeg, by_libsndfile, noise
from tests.support.audio_verdicts import Accepted, Case, Refused, case

PCM_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def riff(form: int, channels: int, rate: int, bits: int, data: bytes, **lies: int) -> bytes:
    """Write a WAV file; ``lies`` are other values for ``align``, ``data_size``, ``fmt_size``."""
    align = lies.get("align", channels * bits // 8)
    byte_rate = rate * align % 2**32
    head = struct.pack("<HHIIHH", form, channels, rate, byte_rate, align % 2**16, bits)
    if form == 0xFFFE:
        head += struct.pack("<HHIH", 22, bits, 0, 1) + PCM_GUID_TAIL
    chunks = b"fmt " + struct.pack("<I", lies.get("fmt_size", len(head))) + head
    chunks += b"data" + struct.pack("<I", lies.get("data_size", len(data))) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tone(kind: str, coding: str, rate: int = 16_000, channels: int = 1) -> bytes:
    """Half a second."""
    data: bytes = by_libsndfile(noise(0.5, rate, channels), rate, kind, coding)
    return data


def pcm(n: int) -> bytes:
    """Sixteen-bit samples that are not silent."""
    return np.arange(1, n + 1, dtype="<i2").tobytes()


# ---- WAV -------------------------------------------------------------------------------


def wav_cases() -> list[Case]:
    """Headers that lie, codings that are rare, and files cut at every boundary."""
    whole = riff(1, 1, 8000, 16, pcm(800))
    unreadable = Refused("libsndfile cannot read it")
    damaged = Refused("is a WAV file with a damaged header")
    cases = [
        case("zero-bytes", lambda: b"", Refused("is empty (0 bytes)")),
        *(
            case(f"wav-first-{n}-bytes", partial(bytes, whole[:n]), verdict)
            for verdict, sizes in ((unreadable, (1, 4, 8)), (damaged, (12, 20, 35)))
            for n in sizes
        ),
        case("wav-header-only", lambda: riff(1, 1, 8000, 16, b""), Refused("holds no samples")),
        case("wav-cut", lambda: whole[:844], Refused("800 of 1600 bytes", Accepted(400, 8000))),
        case("wav-one-byte-short", lambda: whole[:-1], Refused("1 of 1600", Accepted(799, 8000))),
        case("wav-no-data", lambda: whole[:36], damaged),
        case(
            "wav-size-zero", lambda: riff(1, 1, 8000, 16, pcm(800), data_size=0),
            Accepted(800, 8000),
        ),
        case(
            "wav-size-open", lambda: riff(1, 1, 8000, 16, pcm(800), data_size=0xFFFFFFFF),
            Accepted(800, 8000),
        ),
        case(
            "wav-size-over-2-GiB", lambda: riff(1, 1, 8000, 16, pcm(800), data_size=0x80000001),
            Accepted(800, 8000),
        ),
        case("wav-odd", lambda: riff(1, 1, 8000, 16, pcm(800) + b"\1"), Accepted(800, 8000)),
        case("wav-odd-24-bit", lambda: riff(1, 1, 8000, 24, b"\1\2\3"), Accepted(1, 8000)),
        case("wav-one-sample", lambda: riff(1, 1, 8000, 16, pcm(1)), Accepted(1, 8000)),
        case("wav-zeros", lambda: riff(1, 1, 8000, 16, bytes(1600)), Accepted(800, 8000)),
        case("wav-extensible", lambda: riff(0xFFFE, 2, 8000, 16, pcm(800)), Accepted(400, 8000, 2)),
        case("wav-junk-after", lambda: whole + b"junk" * 250, Accepted(800, 8000)),
        case("wav-junk-before", lambda: b"\0" * 7 + whole, unreadable),
        case("wav-wrong-magic", lambda: b"XIFF" + whole[4:], unreadable),
        case("wav-big-endian-name", lambda: b"RIFX" + whole[4:], damaged),
        case("wav-no-channels", lambda: riff(1, 0, 8000, 16, pcm(8)), damaged),
        case("wav-no-bits", lambda: riff(1, 1, 8000, 0, pcm(8)), unreadable),
        case("wav-17-bits", lambda: riff(1, 1, 8000, 17, pcm(8)), Accepted(5, 8000)),
        case("wav-align-3", lambda: riff(1, 1, 8000, 16, pcm(9), align=3), Accepted(9, 8000)),
        case("wav-align-0", lambda: riff(1, 1, 8000, 16, pcm(9), align=0), Accepted(9, 8000)),
        case("wav-fmt-huge", lambda: riff(1, 1, 8000, 16, pcm(9), fmt_size=2**31), damaged),
        case("wav-fmt-empty", lambda: riff(1, 1, 8000, 16, pcm(9), fmt_size=0), damaged),
        case("wav-unknown-coding", lambda: riff(0x1234, 1, 8000, 16, pcm(9)), unreadable),
        case("wav-mp3-inside", lambda: riff(0x55, 1, 8000, 16, pcm(9)), unreadable),
        case("wav-adpcm-empty-block", partial(riff, 0x11, 1, 8000, 4, pcm(9)), Accepted(25, 8000)),
    ]  # fmt: skip
    for rate in (0, 1, 999, 1000, 192_000, 768_000, 768_001, 2**31 - 1, 2**32 - 1):
        verdict: Accepted | Refused = Accepted(9, rate)
        if not 1000 <= rate <= 768_000:
            verdict = Refused(f"{rate} Hz") if rate < 2**31 else unreadable
        cases.append(case(f"wav-{rate}-Hz", partial(riff, 1, 1, rate, 16, pcm(9)), verdict))
    for channels in (32, 64, 65, 1000, 65535):
        verdict = Accepted(9, 8000, channels)
        if channels > 64:
            verdict = Refused(f"{channels} channels") if channels < 65535 else unreadable
        data = pcm(channels) * 9
        cases.append(
            case(f"wav-{channels}-channels", partial(riff, 1, channels, 8000, 16, data), verdict)
        )
    return cases


def floats(*values: float) -> bytes:
    """A WAV file of these 32-bit floats."""
    return riff(3, 1, 8000, 32, np.array(values, dtype="<f4").tobytes())


def number_cases() -> list[Case]:
    """Samples that are no numbers, and numbers that are hardly there."""
    probed = Accepted(3, 8000)
    return [
        case("nan", lambda: floats(0, float("nan"), 0), Refused("holds nan at 0.000 s", probed)),
        case("infinity", lambda: floats(0, 0, float("inf")), Refused("holds inf at", probed)),
        case("minus-infinity", lambda: floats(float("-inf"), 0, 0), Refused("holds -inf", probed)),
        case("denormals", lambda: floats(1e-45, -1e-45, 1e-40), Accepted(3, 8000)),
        case("largest-floats", lambda: floats(3e38, -3e38, 3e38), Accepted(3, 8000)),
        case(
            "a-mean-that-overflows",
            lambda: riff(3, 2, 8000, 32, np.full(2, 3e38, "<f4").tobytes()),
            Refused("holds inf", Accepted(1, 8000, 2)),
        ),
        case(
            "doubles-beyond-float32",
            lambda: riff(3, 1, 8000, 64, np.full(2, 1e300, "<f8").tobytes()),
            Refused("holds inf", Accepted(2, 8000)),
        ),
    ]


# ---- other formats ---------------------------------------------------------------------


def flac_fields(flac: bytes, *, n_samples: int | None = None, md5: bytes | None = None) -> bytes:
    """Change what a FLAC header says."""
    fields = int.from_bytes(flac[18:26], "big")
    if n_samples is not None:
        fields = fields & ~((1 << 36) - 1) | n_samples
    return flac[:18] + fields.to_bytes(8, "big") + (md5 or flac[26:42]) + flac[42:]


def silent_middle(data: bytes) -> bytes:
    """Wipe a tenth of a file."""
    first, last = len(data) * 5 // 10, len(data) * 6 // 10
    return data[:first] + bytes(last - first) + data[last:]


def mp3_frames(n: int) -> bytes:
    """Silent MPEG-1 layer III frames, 128 kbit/s at 44.1 kHz, of 417 bytes and no tag."""
    return (bytes.fromhex("fffb9000") + bytes(413)) * n


def coded_cases() -> list[Case]:
    """FLAC, OGG, MP3 and the rest: headers that lie, ends that are missing."""
    half = Accepted(8000, 16_000)

    cut_page = Refused("its last OGG page is incomplete", Accepted(80_000, 48_000, 1, 9600))
    frames = Accepted(11_520, 44_100, 2)

    def flac() -> bytes:
        return tone("FLAC", "PCM_16")

    def ogg(coding: str) -> bytes:
        data: bytes = by_libsndfile(noise(2, 48_000), 48_000, "OGG", coding)
        return data

    return [
        case("flac-named-wav", flac, half),
        case("wav-named-mp3", lambda: tone("WAV", "PCM_16"), half, "a.mp3"),
        case("flac-length-unknown", lambda: flac_fields(flac(), n_samples=0), half),
        case("flac-wrong-md5", lambda: flac_fields(flac(), md5=b"\1" * 16), half),
        case("flac-damaged", lambda: silent_middle(flac()), Refused("is damaged", half)),
        case("flac-cut", lambda: flac()[:9000], Refused("is damaged", half)),
        case(
            "flac-promises-less", lambda: flac_fields(flac(), n_samples=4000),
            Accepted(4000, 16_000),  # libsndfile believes it, and what follows is not heard
        ),
        case(
            "flac-promises-more", lambda: flac_fields(flac(), n_samples=9000),
            Refused("breaks off after 0.50 s (its header says 9000", Accepted(9000, 16_000)),
        ),
        case(
            "flac-58-bytes-of-terabytes", lambda: flac_fields(flac(), n_samples=2**36 - 1)[:58],
            Refused("is damaged"),
        ),
        case("vorbis-chained", lambda: ogg("VORBIS") * 2, Accepted(192_000, 48_000, 1, 512)),
        case("opus-chained", lambda: ogg("OPUS") * 2, Accepted(192_000, 48_000)),
        case("vorbis-cut", lambda: ogg("VORBIS")[:-500], cut_page),
        case("opus-cut", lambda: ogg("OPUS")[:-500], cut_page),
        case("vorbis-head-only", lambda: ogg("VORBIS")[:200], Refused("cannot read it")),
        case("mp3-no-tag", lambda: mp3_frames(10), frames),
        case(
            "mp3-after-1-MB-of-id3",
            lambda: b"ID3\4\0\0\0\x40\0\0" + bytes(1 << 20) + mp3_frames(10), frames,
        ),
        case(
            "mp3-id3-too-long", lambda: b"ID3\4\0\0" + b"\x7f" * 4 + mp3_frames(10),
            Refused("cannot read it"),
        ),
        case(
            "mp3-cut", lambda: tone("MP3", "MPEG_LAYER_III", 44_100)[:3000],
            Refused("its header says 22050 samples", Accepted(22_050, 44_100)),
        ),
        case(
            "mp3-tag-counts-too-many", lambda: xing(mp3_frames(10), 1000),
            Refused("breaks off after 0.2", Accepted(1_151_471, 44_100, 2)),
        ),
        case(
            "mp3-tag-counts-too-few",
            lambda: xing(mp3_frames(100), 10), Accepted(115_200, 44_100, 2),
        ),
        case("mp3-free-format", lambda: (bytes.fromhex("fffb0000") + bytes(600)) * 10, frames),
        case("mp3-one-frame", lambda: mp3_frames(1), Refused("cannot read it")),
        *(
            case(f"{kind.lower()}-{coding.lower()}", partial(tone, kind, coding), half)
            for kind, coding in (
                ("RF64", "PCM_16"), ("W64", "PCM_24"), ("AIFF", "PCM_16"), ("AIFF", "DOUBLE"),
                ("AU", "ALAW"), ("CAF", "ALAC_24"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"),
                ("NIST", "PCM_16"), ("VOC", "PCM_16"),
            )
        ),
        *(
            case(f"{kind.lower()}-cut", partial(cut, kind), missing(n))
            for kind, n in (
                ("RF64", 4448), ("W64", 4448), ("AIFF", 4473), ("AU", 4488), ("CAF", 2452),
            )
        ),
        case(
            "aiff-without-samples", lambda: tone("AIFF", "PCM_16").replace(b"SSND", b"odd "),
            Refused("holds no samples"),  # libsndfile seeks to -1; no traceback may come of it
        ),
        case("wav-ima-adpcm", lambda: tone("WAV", "IMA_ADPCM"), Accepted(8136, 16_000)),
        case("wav-ms-adpcm", lambda: tone("WAV", "MS_ADPCM"), half),
        case("wav-ulaw", lambda: tone("WAV", "ULAW"), half),
        # Cut or not, libsndfile gives half a second, and prints to standard output.
        case("sds", lambda: tone("SDS", "PCM_16"), Refused("is a MIDI sample dump")),
        case("au-length-open", lambda: au(b"\xff" * 4), half),
        case("au-data-beyond-the-end", lambda: au(b"\xff" * 4, start=10**6), Refused("no samples")),
    ]  # fmt: skip


def cut(kind: str) -> bytes:
    """The first 9,000 bytes of half a second."""
    return tone(kind, "PCM_16")[:9000]


def missing(n: int) -> Refused:
    """The verdict on a file at 16 kHz of which ``n`` samples are there."""
    return Refused("bytes are missing", Accepted(n, 16_000))


def au(size: bytes, start: int = 24) -> bytes:
    """Half a second of AU with other words for its size and where it begins."""
    data = tone("AU", "PCM_16")
    return data[:4] + struct.pack(">I", start) + size + data[12:]


def xing(frames: bytes, n_frames: int) -> bytes:
    """Put a frame with a count of frames in front."""
    first = bytearray(frames[:417])
    first[36:48] = b"Xing" + struct.pack(">II", 1, n_frames)
    return bytes(first) + frames


def ffmpeg_cases() -> list[Case]:
    """What only FFmpeg reads, whole and broken."""

    def track(kind: str, coding: str, **options: dict[str, str]) -> bytes:
        data: bytes = by_ffmpeg(noise(0.5, 48_000), 48_000, kind, coding, **options)
        return data

    def uncounted() -> bytes:
        sound = noise(6, 44_100)
        sound[44_100:] *= 0.002
        data: bytes = by_ffmpeg(
            sound, 44_100, "mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"},
            codec_options={"flags": "+qscale", "global_quality": str(2 * 118)},
        )  # fmt: skip
        return data

    opus = Accepted(24_000, 48_000, 1, 480)
    return [
        case("m4a", lambda: track("mp4", "aac"), Accepted(24_000, 48_000, 1, 1024), "a.m4a"),
        case("m4a-named-wav", lambda: track("mp4", "alac"), Accepted(24_000, 48_000)),
        case("m4a-cut", lambda: track("mp4", "aac")[:3000], Refused("nor can FFmpeg"), "a.m4a"),
        case(
            "m4a-in-fragments-cut",
            lambda: track("mp4", "aac", options={"movflags": "frag_keyframe+empty_moov"})[:3000],
            Refused("is damaged after 0.1", Accepted(25_024, 48_000, 1, 1024)),
        ),
        case("webm", lambda: track("webm", "libopus"), opus),
        case("webm-cut", lambda: track("webm", "libopus")[:3000], Refused("breaks off", opus)),
        case(
            "webm-damaged",
            lambda: silent_middle(track("webm", "libopus")),
            Refused("breaks off", opus),
        ),
        case(
            "adts-damaged",
            lambda: silent_middle(track("adts", "aac")),
            Refused("is damaged after 0.2"),
        ),
        case("mp3-varying-without-a-count", uncounted, Accepted(264_600, 44_100, 1, 2304)),
    ]
