from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earful.model.audio.decoders import chunks as chunk_sizes
from earful.model.audio.decoders import stream_length
from earful.model.audio.decoders.chunks import measure_data
from earful.model.audio.decoders.stream_length import (
    TooManyPacketsError,
    measure_mpeg,
    walk_ogg,
)

# MPEG-1 layer III, 128 kbit/s, 44100 Hz, no padding: 144 * 128000 // 44100 = 417 bytes.
FRAME = bytes.fromhex("fffb9000") + bytes(413)


def measured(data: bytes) -> int | None:
    length = measure_mpeg(io.BytesIO(data))
    return None if length is None else length.n_samples


def test_frames_by_hand() -> None:
    assert measured(FRAME * 10) == 11_520
    # MPEG-2 layer III, 64 kbit/s, 22050 Hz: 576 samples in 72 * 64000 // 22050 = 208 bytes.
    assert measured((bytes.fromhex("fff38000") + bytes(204)) * 7) == 7 * 576
    # MPEG-1 layer I, 128 kbit/s, 48000 Hz: 384 samples in 12 * 128000 // 48000 * 4 bytes.
    assert measured((bytes.fromhex("ffff4400") + bytes(124)) * 5) == 5 * 384


@given(st.binary(max_size=200), st.integers(2, 9))
def test_what_stands_around_the_frames_does_not_count(tag: bytes, n: int) -> None:
    size = bytes([0, 0, len(tag) >> 7, len(tag) & 0x7F])
    id3v2 = b"ID3\x04\x00\x00" + size + tag
    id3v1 = b"TAG" + bytes(125)
    assert measured(id3v2 + FRAME * n + id3v1) == n * 1152
    assert measured(bytes(50) + FRAME * n) == n * 1152
    assert measured(FRAME * n + bytes(300) + FRAME * 2) == (n + 2) * 1152


def test_a_tag_trims_and_is_no_audio_itself() -> None:
    # Stereo: the tag stands 36 bytes in. Flag 1 is the frame count; delay 576, padding 100.
    tag = b"Info" + struct.pack(">II", 1, 10) + b"LAME3.100" + bytes(12) + bytes.fromhex("240064")
    first = bytearray(FRAME)
    first[36 : 36 + len(tag)] = tag
    length = measure_mpeg(io.BytesIO(bytes(first) + FRAME * 10))
    assert length is not None
    assert (length.n_samples, length.counted) == (10 * 1152 - 676, True)


@given(st.binary(max_size=600))
def test_other_bytes_are_survived(data: bytes) -> None:
    measured(data)
    walk_ogg(io.BytesIO(data), len(data))
    walk_ogg(io.BytesIO(b"OggS" + data), 4 + len(data))
    measure_data(io.BytesIO(b"RIFF0000WAVE" + data), 12 + len(data))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_libsndfile_agrees_where_it_can_count(rate: int, channels: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((rate * 3, channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
    assert measured(buffer.getvalue()) == soundfile.info(io.BytesIO(buffer.getvalue())).frames


def page(flags: int, granule: int, body: bytes) -> bytes:
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qIII", granule, 1, 0, 0)
    return head + bytes([1, len(body)]) + body


def test_pages_by_hand() -> None:
    stream = page(2, 0, b"head") + page(0, 500, b"data") + page(4, 900, b"more")

    def walked(data: bytes) -> tuple[bool, bool, int]:
        pages = walk_ogg(io.BytesIO(data), len(data))
        return pages.chained, pages.cut, pages.n_samples_before_last_page

    assert walked(stream) == (False, False, 500)
    assert walked(stream + stream) == (True, False, 500)
    assert walked(page(2, 0, b"a") + page(2, 0, b"b") + page(0, 9, b"c")) == (False, False, 0)
    assert walked(stream[:-1]) == (False, True, 500)
    assert walked(stream[:-10]) == (False, True, 0)


def test_a_walk_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_length, "_MOST_PACKETS", 50)
    monkeypatch.setattr(chunk_sizes, "_MOST_CHUNKS", 50)
    assert measured(FRAME * 50) == 50 * 1152
    with pytest.raises(TooManyPacketsError, match="more than 50 MPEG frames"):
        measured(FRAME * 51)
    with pytest.raises(TooManyPacketsError, match="more than 50 OGG pages"):
        walk_ogg(io.BytesIO(page(0, 1, b"") * 51), 10_000)
    chunks = b"RIFF\0\0\0\0WAVE" + b"odd \0\0\0\0" * 51
    with pytest.raises(TooManyPacketsError, match="more than 50 chunks"):
        measure_data(io.BytesIO(chunks), len(chunks))


def test_junk_between_frames_is_searched_a_few_hundred_times() -> None:
    junk = FRAME * 2 + b"\0"
    assert measured(junk * 200) == 400 * 1152
    assert measured(junk * 1000) == 2 * 257 * 1152
    # Empty tags, ten bytes each: a walk over all of them would be slow, and they are no audio.
    assert measured(b"ID3\4\0\0\0\0\0\0" * 16 + FRAME * 3) == 3 * 1152
    assert measured(b"ID3\4\0\0\0\0\0\0" * 100_000 + FRAME * 3) is None


def test_wav_claims_by_hand() -> None:
    head = b"RIFF\0\0\0\0WAVEodd \x03\0\0\0abc\0data"
    assert measure_data(io.BytesIO(head + b"\x08\0\0\0" + bytes(5)), len(head) + 9) == (8, 5)
    assert measure_data(io.BytesIO(head + b"\xff\xff\xff\xff" + bytes(5)), len(head) + 9) is None
    assert measure_data(io.BytesIO(b"RIFX" + head[4:]), len(head)) is None


W64_TAIL = "f3acd3118cd100c04f8edb8a"


@pytest.mark.parametrize(
    ("head", "claimed"),
    [
        (b"RIFX\0\0\0\0WAVEdata\0\0\1\0", 256),
        (b"RF64\xff\xff\xff\xffWAVEds64\x18\0\0\0" + struct.pack("<QQQ", 0, 1 << 33, 0)
         + b"data\xff\xff\xff\xff", 1 << 33),
        (b"FORM\0\0\0\0AIFFodd \0\0\0\3abc\0SSND\0\0\1\0", 256),
        (b"FORM\0\0\0\0AIFCSSND\0\0\1\0", 256),
        (b"caff\0\1\0\0odd " + struct.pack(">q", 3) + b"abcdata" + struct.pack(">q", 1 << 33),
         1 << 33),
        # Wave64: its sizes count the 24 bytes that name and size take; chunks begin at eights.
        (bytes.fromhex("726966662e91cf11a5d628db04c10000") + bytes(24)
         + bytes.fromhex("66616374" + W64_TAIL) + struct.pack("<Q", 25) + bytes(8)
         + bytes.fromhex("64617461" + W64_TAIL) + struct.pack("<Q", 24 + 256), 256),
        (b".snd" + struct.pack(">IIIII", 24, 256, 3, 8000, 1), 256),
        (b"RIFF" + struct.pack("<I", 4 + 256) + b"AVI ", 4 + 256),
    ],
)  # fmt: skip
def test_claims_of_other_kinds_by_hand(head: bytes, claimed: int) -> None:
    n_head = 8 if head[8:12] == b"AVI " else len(head)
    for missing in (0, 1):
        size_bytes = n_head + claimed - missing
        assert measure_data(io.BytesIO(head), size_bytes) == (claimed, claimed - missing)


def test_lengths_that_a_writer_left_open_are_no_claims() -> None:
    for head in (
        b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 8000, 1),
        b"FORM\0\0\0\0AIFFSSND\xff\xff\xff\xff",
        b"caff\0\1\0\0data" + struct.pack(">q", -1),
        b"caff\0\1\0\0odd " + struct.pack(">q", -1),
        b"caff\0\1\0\0odd " + struct.pack(">q", 1 << 62) + b"data" + struct.pack(">q", 9),
    ):
        assert measure_data(io.BytesIO(head), 5000) is None
