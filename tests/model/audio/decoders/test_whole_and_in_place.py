"""Recordings come whole and begin where they began, whatever is put around or into their files."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import AudioLimits, load_audio
from earful.model.audio.clip import probe_audio
from earful.model.audio.decoders.file_view import FileView
from tests.support.audio_formats import CannotWriteError, by_ffmpeg, by_libsndfile, every_format
from tests.support.shorten import sphere

REFUSED = ("sds", "mat4", "mat5", "xi")  # see `test_wav_header.py`
FORMATS = {name: make for name, make in every_format(0.5).items() if not name.startswith(REFUSED)}


def id3(n_bytes: int, *, footer: bool = False) -> bytes:
    """An ID3v2.4 tag of so many bytes, its footer apart."""
    size = bytes((n_bytes - 10) >> shift & 127 for shift in (21, 14, 7, 0))
    head = b"ID3\4\0" + bytes([16 if footer else 0]) + size
    return head + bytes(n_bytes - 10) + (b"3DI" + bytes(7) if footer else b"")


def hiss(n: int, rate: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Noise from 150 Hz up that codecs keep: its place can be found to the sample."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / rate)
    spectrum[(hz < 150) | (hz > min(3000, 0.35 * rate))] = 0
    samples = np.fft.irfft(spectrum, n)
    samples *= 0.5 / np.abs(samples).max()
    return np.repeat(samples[:, None], channels, axis=1).astype(np.float32)


def lateness(original: NDArray[np.float32], found: NDArray[np.float32]) -> int:
    """How many samples later a recording comes than it was, by cross-correlation."""
    n = 2 * max(original.size, found.size)
    product = np.fft.rfft(found, n) * np.conj(np.fft.rfft(original, n))
    peak = int(np.abs(np.fft.irfft(product, n)).argmax())
    return peak if peak < n // 2 else peak - n


# ---- tags before containers ------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_tag_in_front_changes_nothing(name: str) -> None:
    try:
        data = FORMATS[name]()
    except CannotWriteError as error:
        pytest.skip(str(error))
    whole, info = load_audio(data), probe_audio(data)
    for tag in (id3(16), id3(127), id3(60_000), id3(1 << 18), id3(1000, footer=True) + id3(50)):
        assert load_audio(tag + data).content_sha256 == whole.content_sha256
        assert probe_audio(tag + data) == info


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "MP3"])
def test_a_tag_that_left_room_behind_it(kind: str) -> None:
    data = by_libsndfile(hiss(8000, 16_000), 16_000, kind, soundfile.default_subtype(kind))
    padded = id3(500) + bytes(1500) + data
    assert load_audio(padded).content_sha256 == load_audio(data).content_sha256


def test_a_view_of_a_file() -> None:
    view = FileView(io.BytesIO(b"tag0123456789"), start=3, stop=11, patch_at=2, patch=b"abc")
    assert view.read() == b"01abc567"
    assert (view.read(1), view.seek(-3, 2), view.read(99)) == (b"", 5, b"567")
    assert (view.seek(3), view.read(1), view.tell()) == (3, b"b", 4)
    buffer = bytearray(3)
    view.seek(1)
    assert (view.readinto(buffer), bytes(buffer)) == (3, b"1ab")
    with pytest.raises(ValueError, match="expected 0 or more"):
        view.seek(-1)


# ---- sizes that were never filled in ------------------------------------------------------


def unfinished(kind: str, data: bytes) -> bytes:
    """The file as a recorder leaves it that loses power: no size is filled in."""
    found = bytearray(data)

    def clear(at: int, n: int = 4) -> None:
        found[at : at + n] = bytes(n)

    if kind in ("WAV", "WAVEX", "AIFF"):
        clear(4)
        clear(data.find(b"SSND" if kind == "AIFF" else b"data") + 4)
    if kind == "AIFF":
        clear(data.find(b"COMM") + 10)
    if kind == "RF64":
        clear(20, 24)
    if kind == "W64":
        clear(16, 8)
        size_at = data.find(b"data\xf3\xac") + 16
        found[size_at : size_at + 8] = struct.pack("<Q", 24)
    if kind == "AU":
        clear(8)
    if kind == "CAF":
        clear(data.find(b"data") + 4, 8)
    return bytes(found)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "RF64", "W64", "AU", "CAF"])
@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_size_of_0_before_audio(kind: str, coding: str) -> None:
    data = by_libsndfile(hiss(8017, 16_000, 2), 16_000, kind, coding)
    whole = load_audio(data)
    assert whole.notes == ()
    found = load_audio(unfinished(kind, data))
    assert found.content_sha256 == whole.content_sha256
    assert any("says that it holds no samples" in note for note in found.notes)
    assert probe_audio(unfinished(kind, data)).duration_s == whole.duration_s
    part = load_audio(unfinished(kind, data), start_s=0.1, end_s=0.2)
    np.testing.assert_array_equal(part.samples, whole.samples[1600:3200])


def test_an_empty_file_with_other_chunks_is_still_empty() -> None:
    empty: bytes = by_libsndfile(np.zeros((0, 1), np.float32), 16_000, "WAV", "PCM_16")
    with pytest.raises(AudioError, match="holds no samples"):
        load_audio(empty + b"LIST\x10\0\0\0INFOICMT\x04\0\0\0abc\0")


def test_audio_behind_a_size_that_is_too_small_is_named() -> None:
    data = by_libsndfile(hiss(8000, 16_000), 16_000, "WAV", "PCM_16")
    at = data.find(b"data") + 4
    stale = data[:at] + struct.pack("<I", 4000) + data[at + 4 :]
    found = load_audio(stale)
    assert found.samples.size == 2000
    assert "12000 more follow" in found.notes[0]


# ---- what codings add --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "coding", "rate", "most_excess"),
    [
        ("ac3", "ac3", 48_000, 1536), ("eac3", "eac3", 48_000, 1536),
        ("mpegts", "ac3", 48_000, 1536), ("avi", "ac3", 44_100, 1536),
        ("wav", "ac3", 48_000, 1536), ("matroska", "ac3", 48_000, 1536),
        ("mp4", "eac3", 48_000, 1536), ("amr", "libopencore_amrnb", 8000, 160),
    ],
)  # fmt: skip
def test_a_delay_is_taken_off(kind: str, coding: str, rate: int, most_excess: int) -> None:
    original = hiss(2 * rate + 4017, rate)
    try:
        data = by_ffmpeg(original, rate, kind, coding)
    except CannotWriteError as error:
        pytest.skip(str(error))
    found = load_audio(data)
    assert lateness(original[:, 0], found.samples) == 0
    # Neither file says where its last frame is filled up.
    assert 0 <= found.samples.size - len(original) < most_excess
    part = load_audio(data, start_s=1, end_s=1.5)
    np.testing.assert_allclose(
        part.samples, found.samples[rate : rate + part.samples.size], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("n", [400, 8017])
@pytest.mark.parametrize(
    ("kind", "coding", "channels"),
    [
        ("WAV", "MS_ADPCM", 1), ("WAV", "MS_ADPCM", 2), ("WAV", "GSM610", 1),
        ("WAV", "G721_32", 1), ("WAV", "NMS_ADPCM_16", 1), ("W64", "GSM610", 1),
    ],
)  # fmt: skip
def test_the_last_block_ends_where_fact_says(kind: str, coding: str, channels: int, n: int) -> None:
    data = by_libsndfile(hiss(n, 8000, channels), 8000, kind, coding)
    assert soundfile.info(io.BytesIO(data)).frames > n
    assert load_audio(data).samples.size == n
    assert round(probe_audio(data).duration_s * 8000) == n
    tail = load_audio(data, start_s=(n - 100) / 8000)
    np.testing.assert_array_equal(tail.samples, load_audio(data).samples[-100:])


@pytest.mark.parametrize("stated", [0, 1, 4068, 8136, 10**9])
def test_a_fact_that_cannot_be_is_not_believed(stated: int) -> None:
    data = bytearray(by_libsndfile(hiss(8017, 16_000, 2), 16_000, "WAV", "IMA_ADPCM"))
    at = data.find(b"fact") + 8
    # libsndfile 1.2.2 itself states half the samples of two channels.
    assert struct.unpack("<I", data[at : at + 4]) == (8136 // 2,)
    data[at : at + 4] = struct.pack("<I", stated)
    assert load_audio(bytes(data)).samples.size == 8136


def test_musepack_as_its_own_decoder_gives_it() -> None:
    # 13,000 samples of a rising tone at 32 kHz, by mpcenc 1.30.1 --thumb.
    pytest.importorskip("av")
    path = Path(__file__).with_name("chirp.mpc")
    t = np.arange(13_000) / 32_000
    found = load_audio(path)
    assert (found.samples.size, found.sample_rate) == (13_000, 32_000)
    assert probe_audio(path).duration_s == 13_000 / 32_000
    np.testing.assert_allclose(
        found.samples[500:-500], (0.5 * np.sin(2 * np.pi * (300 + 2000 * t) * t))[500:-500],
        rtol=0, atol=0.05,
    )  # fmt: skip


# ---- codings inside SPHERE ------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n", [100, 256, 8017])
def test_sphere_with_shorten_is_exact(n: int, channels: int) -> None:
    pytest.importorskip("av")
    samples = np.round(hiss(n, 16_000, channels) * 32_767).astype(np.int16)
    data = sphere(samples, 16_000)
    expected = by_libsndfile(
        samples.astype(np.float32) / np.float32(32_768), 16_000, "WAV", "PCM_16"
    )
    assert load_audio(data).content_sha256 == load_audio(expected).content_sha256
    assert probe_audio(data).duration_s == n / 16_000
    if n > 256:
        part = load_audio(data, start_s=0.2, end_s=0.4)
        np.testing.assert_array_equal(part.samples, load_audio(data).samples[3200:6400])
        with pytest.raises(AudioError, match="its header says 8017 samples"):
            load_audio(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (sphere(np.ones((9, 1), np.int16), 8000, coding="ulaw,embedded-shorten-v2.00"),
         r"libsndfile cannot read it .*, nor can FFmpeg \(Decoder not found\)"),
        (b"MP+\x07" + bytes(1000), "is Musepack of stream version 7, .* mpc2sv8"),
        (b"ajkg\x02" + bytes(1000), "is Shorten without a length"),
        (b"\x01PNG\r\n\x1a\n" + bytes(1000), "nor can FFmpeg .*; fetch it again, or convert"),
    ],
)  # fmt: skip
def test_who_refuses_is_named(data: bytes, says: str) -> None:
    pytest.importorskip("av")
    with pytest.raises(AudioError, match=says):
        load_audio(data)


# ---- chains of OGG streams --------------------------------------------------------------------


def ogg(n: int, channels: int, coding: str = "VORBIS", rate: int = 48_000) -> bytes:
    data: bytes = by_libsndfile(hiss(n, rate, channels), rate, "OGG", coding)
    return data


@pytest.mark.parametrize(
    "links",
    [
        [ogg(24_000, 1), ogg(36_000, 2)],
        [ogg(24_000, 2), ogg(12_000, 1), ogg(24_000, 2)],
        [ogg(24_000, 1), ogg(24_000, 2, "OPUS")],
        [ogg(24_000, 1), ogg(24_000, 1, "OPUS")],
    ],
)
def test_a_chain_of_several_layouts(links: list[bytes]) -> None:
    alone = [load_audio(link).samples for link in links]
    chain = b"".join(links)
    whole = load_audio(chain)
    np.testing.assert_array_equal(whole.samples, np.concatenate(alone))
    assert probe_audio(chain).duration_s == whole.duration_s
    for start_s, end_s in ((0.1, 0.2), (0.4, 0.7), (0.5, 0.6), (0.6, 1.0)):
        part = load_audio(chain, start_s=start_s, end_s=end_s)
        expected = whole.samples[round(start_s * 48_000) : round(end_s * 48_000)]
        np.testing.assert_allclose(part.samples, expected, rtol=0, atol=1e-6)
    with pytest.raises(AudioError, match=r"last OGG page is incomplete|is damaged after"):
        load_audio(chain[:-100])
    with pytest.raises(AudioError, match=r"max_duration_s=0\.5"):
        load_audio(chain, limits=AudioLimits(max_duration_s=0.5))


def test_a_chain_of_several_rates_says_so() -> None:
    with pytest.raises(AudioError, match="first at 48000 Hz and number 2 at 44100 Hz") as caught:
        load_audio(ogg(24_000, 1) + ogg(24_000, 2, rate=44_100))
    assert "damaged" not in str(caught.value)


def test_no_librarys_asides(tmp_path: Path) -> None:
    from earful.model.audio.decoders.pyav_decoder import _reason

    av = pytest.importorskip("av")
    error = av.error.PatchWelcomeError(0, "Not yet implemented in FFmpeg, patches welcome")
    assert "patches" not in _reason(error)
