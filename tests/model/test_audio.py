from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import AudioLimits, Clip, file_sha256, load_audio, resample
from earful.model.audio.clip import probe_audio

Samples = NDArray[np.float32]

PCM_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> Samples:
    generator = np.random.default_rng(seed)
    n = round(seconds * rate)
    tone = np.sin(2 * np.pi * 300 * np.arange(n) / rate)[:, None]
    return (0.2 * tone + 0.1 * generator.standard_normal((n, channels))).astype(np.float32)


def encoded(samples: Samples, rate: int, kind: str, coding: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=coding)
    return buffer.getvalue()


def riff(form: int, channels: int, rate: int, bits: int, data: bytes, extra: bytes = b"") -> bytes:
    align = channels * bits // 8
    head = struct.pack("<HHIIHH", form, channels, rate, rate * align, align, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


# ---- hand-worked -----------------------------------------------------------------------


def test_a_stereo_file_written_byte_by_byte() -> None:
    # Left 16384, -16384, 100, 0; right 0, -16384, 300, 2: means 8192, -16384, 200, 1.
    data = struct.pack("<8h", 16384, 0, -16384, -16384, 100, 300, 0, 2)
    clip = load_audio(riff(1, 2, 8000, 16, data))
    assert clip.samples.dtype == np.float32
    assert clip.samples.tolist() == [0.25, -0.5, 200 / 32768, 1 / 32768]
    assert (clip.sample_rate, clip.duration_s, clip.source) == (8000, 4 / 8000, "")
    expected = hashlib.sha256(b"8000:" + struct.pack("<4h", 8192, -16384, 200, 1)).hexdigest()
    assert clip.content_sha256 == expected
    assert repr(clip) == "Clip(0.00 s at 8000 Hz)"


@pytest.mark.parametrize(
    ("form", "bits", "data", "expected"),
    [
        (1, 8, bytes([0x80, 0xC0, 0x00]), [0.0, 0.5, -1.0]),
        (1, 24, bytes.fromhex("000000 000040 0000c0"), [0.0, 0.5, -0.5]),
        (1, 32, struct.pack("<3i", 0, 1 << 30, -(1 << 31)), [0.0, 0.5, -1.0]),
        (3, 32, struct.pack("<3f", 0.0, 0.25, -1.5), [0.0, 0.25, -1.5]),
        (3, 64, struct.pack("<3d", 0.0, 0.25, -1.5), [0.0, 0.25, -1.5]),
        # G.711: A-law D5 is +8, AA is +32256; mu-law FF is 0, 80 is +32124.
        (6, 8, bytes([0xD5, 0xAA, 0x2A]), [8 / 32768, 32256 / 32768, -32256 / 32768]),
        (7, 8, bytes([0xFF, 0x80, 0x00]), [0.0, 32124 / 32768, -32124 / 32768]),
    ],
)
def test_every_width_of_wav(form: int, bits: int, data: bytes, expected: list[float]) -> None:
    assert load_audio(riff(form, 1, 8000, bits, data)).samples.tolist() == expected
    # The same again as WAVE_FORMAT_EXTENSIBLE, which names the coding by GUID.
    guid = struct.pack("<HHI", 22, bits, 4) + struct.pack("<H", form) + PCM_GUID_TAIL
    extensible = riff(0xFFFE, 1, 8000, bits, data, guid)
    assert load_audio(extensible).samples.tolist() == expected


# ---- oracles ---------------------------------------------------------------------------

LOSSY = {"MPEG_LAYER_III", "VORBIS", "OPUS"}
KINDS = [
    ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"), ("WAV", "ALAW"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"),
    ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("AIFF", "PCM_24"), ("AIFF", "FLOAT"), ("AU", "PCM_16"), ("AU", "ULAW"), ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"), ("NIST", "PCM_16"), ("VOC", "PCM_16"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "coding"), KINDS)
@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_whole_and_its_stretches_agree_with_soundfile(
    kind: str, coding: str, rate: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sound"
    # 2.6 s at 48 kHz is more than one block of nearly every coding's seek unit.
    path.write_bytes(encoded(noise(2.6, rate, 1 if coding == "GSM610" else 2), rate, kind, coding))
    with soundfile.SoundFile(path) as handle:
        expected = handle.read(1 << 20, dtype="float32", always_2d=True).mean(axis=1)
    whole = load_audio(path)
    assert whole.source == str(path)
    np.testing.assert_allclose(whole.samples, expected, rtol=0, atol=1e-6)
    atol = 1e-6 if coding in LOSSY else 0.0
    generator = np.random.default_rng(1)
    for start_s in [0.0, *generator.uniform(0, whole.duration_s - 0.2, 6), whole.duration_s - 0.05]:
        part = load_audio(path, start_s=start_s, end_s=start_s + 0.2 if start_s < 2.3 else None)
        first = round(start_s * rate)
        expected = whole.samples[first : first + part.samples.size]
        np.testing.assert_allclose(part.samples, expected, rtol=0, atol=atol)
        assert part.start_s == start_s
    # libmpg123 writes to standard error when it is sent somewhere it does not like.
    assert capfd.readouterr() == ("", "")
    info = probe_audio(path)
    assert (info.sample_rate, info.format, info.subtype) == (rate, kind, coding)
    assert info.duration_s == pytest.approx(whole.duration_s, abs=1e-9)


def test_stdlib_wave_agrees(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    values = np.random.default_rng(0).integers(-(1 << 15), 1 << 15, 5000).astype("<i2")
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(11025)
        handle.writeframes(values.tobytes())
    np.testing.assert_array_equal(load_audio(path).samples, values.astype(np.float32) / 32768)


def test_a_long_mp3_is_right_past_the_first_block() -> None:
    # soundfile's own chunked reading is not: it seeks after each read.
    data = encoded(noise(50, 22050, 1), 22050, "MP3", "MPEG_LAYER_III")
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(load_audio(data).samples, expected, rtol=0, atol=1e-6)


# ---- properties ------------------------------------------------------------------------

STEREO = noise(0.5, 16000, 2)
STEREO_FLAC = encoded(STEREO, 16000, "FLAC", "PCM_24")
WHOLE = load_audio(STEREO_FLAC)


@given(st.integers(0, 7998), st.integers(1, 7999))
def test_a_stretch_is_a_slice_of_the_whole(first: int, n: int) -> None:
    last = min(first + n, 8000)
    clip = load_audio(STEREO_FLAC, start_s=first / 16000, end_s=last / 16000)
    np.testing.assert_array_equal(clip.samples, WHOLE.samples[first:last])


@settings(max_examples=40)
@given(st.integers(1, 64), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_channels_are_averaged(channels: int, n: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, (n, channels)).astype(np.float32)
    clip = load_audio(encoded(samples, 8000, "WAV", "FLOAT"))
    np.testing.assert_allclose(clip.samples, samples.mean(axis=1, dtype=np.float64), atol=1e-6)


@settings(max_examples=60)
@given(
    st.integers(200, 5000),
    st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]),
    st.sampled_from([16000, 32000, 44100, 48000]),
    st.floats(-2, 2),
    st.integers(0, 2**32 - 1),
)
def test_resampling_is_linear_and_keeps_the_duration(
    n: int, rate: int, wanted: int, gain: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((2, n)).astype(np.float32)

    def at_wanted(samples: Samples) -> Samples:
        return resample(Clip(samples=samples, sample_rate=rate), wanted).samples

    mixed = at_wanted((a + np.float32(gain) * b).astype(np.float32))
    assert abs(mixed.size - n * wanted / rate) <= 1
    np.testing.assert_allclose(mixed, at_wanted(a) + gain * at_wanted(b), atol=2e-4)


def test_resampling_keeps_a_tone_its_loudness_and_the_digest() -> None:
    t = np.arange(48000) / 48000
    clip = Clip(
        samples=(0.25 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32),
        sample_rate=48000,
        source="tone",
        start_s=1.5,
    )
    lower = resample(clip, 16000)
    expected = 0.25 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(lower.samples[400:-400], expected[400:-400], atol=1e-3)
    assert (lower.content_sha256, lower.source, lower.start_s, lower.sample_rate) == (
        clip.content_sha256, "tone", 1.5, 16000,
    )  # fmt: skip
    assert resample(clip, 48000) is clip
    again = load_audio(encoded(clip.samples[:, None], 48000, "WAV", "FLOAT"), sample_rate=16000)
    np.testing.assert_array_equal(again.samples, lower.samples)


def test_a_clip_too_loud_to_resample() -> None:
    loud = Clip(samples=np.array([3e38, -3e38, 3e38], np.float32), sample_rate=8000)
    with pytest.raises(AudioError, match=r"clip: is too loud to resample \(up to 3e\+38\)"):
        resample(loud, 48_000)


def test_equal_audio_in_other_containers_has_an_equal_digest() -> None:
    # On the 16-bit grid, because writers round differently.
    samples = np.round(noise(0.3, 16000, 2) * 32768) / np.float32(32768)
    lossless = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("CAF", "ALAC_16")]
    digests = {load_audio(encoded(samples, 16000, *kind)).content_sha256 for kind in lossless}
    assert len(digests) == 1
    other = load_audio(encoded(samples, 16000, "WAV", "PCM_16"), start_s=0.1)
    assert other.content_sha256 not in digests
    faster = load_audio(encoded(samples, 32000, "WAV", "PCM_16"))
    assert faster.content_sha256 not in digests


# ---- limits ----------------------------------------------------------------------------


def refusal(source: str | os.PathLike[str] | bytes, **options: object) -> str:
    with pytest.raises(AudioError) as caught:
        load_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


def without_length(flac: bytes) -> bytes:
    """Zero a FLAC header's sample count, which means "unknown"."""
    fields = int.from_bytes(flac[18:26], "big") & ~((1 << 36) - 1)
    return flac[:18] + fields.to_bytes(8, "big") + flac[26:]


def test_length_is_counted_while_decoding() -> None:
    flac = encoded(np.zeros((160_000, 1), np.float32), 8000, "FLAC", "PCM_16")
    brief = AudioLimits(max_duration_s=19.5)
    assert "its header says 20.00 s, over the 19.50 s" in refusal(flac, limits=brief)
    silent = without_length(flac)
    assert load_audio(silent).duration_s == 20
    assert probe_audio(silent).duration_s == 20
    assert "longer than the 19.50 s that max_duration_s=19.5" in refusal(silent, limits=brief)
    small = AudioLimits(max_bytes=40_000)
    assert "the 1.25 s that max_bytes=40000" in refusal(silent, limits=small)
    assert load_audio(flac, start_s=3, end_s=4, limits=small).duration_s == 1
    assert "5.00 s are asked for" in refusal(flac, start_s=3, end_s=8, limits=small)


def test_what_all_channels_take_counts() -> None:
    data = encoded(noise(2, 8000, 8), 8000, "WAV", "PCM_16")
    assert load_audio(data, limits=AudioLimits(max_values=128_000)).duration_s == 2
    limits = AudioLimits(max_values=127_999)
    message = "its header says 2.00 s, over the 2.00 s that max_values=127999 (over all channels)"
    assert message in refusal(data, limits=limits)
    assert load_audio(data, end_s=1.9, limits=limits).duration_s == 1.9
    silent = without_length(encoded(noise(2, 8000, 8), 8000, "FLAC", "PCM_16"))
    with pytest.raises(AudioError, match=r"goes on after 1\.00 s decoded"):
        probe_audio(silent, limits=AudioLimits(max_values=64_000))
    # An MP3 file of a low rate is not sought in: what comes before counts as well.
    slow = encoded(noise(4, 8000), 8000, "MP3", "MPEG_LAYER_III")
    limits = AudioLimits(max_values=16_000)
    assert load_audio(slow, start_s=1.5, end_s=2, limits=limits).duration_s == 0.5
    assert "goes on after 2.00 s decoded" in refusal(slow, start_s=3, end_s=3.1, limits=limits)


def test_a_file_is_weighed_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    os.truncate(path, 5 << 30)  # a hole: it takes no room
    for read in (load_audio, probe_audio, file_sha256):
        with pytest.raises(AudioError, match=r"weighs 5368709120 bytes, over .*4294967296"):
            read(path)
    limits = AudioLimits(max_file_bytes=100)
    with pytest.raises(AudioError, match=r"<bytes>: weighs 101 bytes, over the max_file_bytes=100"):
        load_audio(bytes(101), limits=limits)
    assert "Format not recognised" in refusal(bytes(100), limits=limits)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux's /proc")
def test_a_file_that_says_nothing_of_its_size() -> None:
    assert len(file_sha256("/proc/self/cmdline")) == 64
    with pytest.raises(AudioError, match="goes on after max_file_bytes=100"):
        file_sha256("/proc/self/maps", limits=AudioLimits(max_file_bytes=100))
    with pytest.raises(AudioError, match=r"/proc/self/mem: cannot be read \(Input/output error\)"):
        file_sha256("/proc/self/mem")  # a stand-in for a disk that fails


def test_a_header_that_promises_terabytes_costs_nothing() -> None:
    flac = encoded(noise(0.1, 8000), 8000, "FLAC", "PCM_16")
    fields = int.from_bytes(flac[18:26], "big") | ((1 << 36) - 1)
    bomb = flac[:18] + fields.to_bytes(8, "big") + flac[26:]
    assert "its header says" in refusal(bomb)
    limits = AudioLimits(max_duration_s=1e9, max_bytes=1 << 50, max_values=1 << 50)
    assert "breaks off" in refusal(bomb, limits=limits) or "damaged" in refusal(bomb, limits=limits)


@pytest.mark.parametrize(
    ("channels", "rate", "expected"),
    [(65, 8000, "65 channels, wanted 1 to 64"), (1, 999, "999 Hz, wanted 1000 to 768000 Hz"),
     (1, 768_001, "768001 Hz, wanted 1000")],
)  # fmt: skip
def test_channels_and_rates_out_of_range(channels: int, rate: int, expected: str) -> None:
    data = riff(1, channels, rate, 16, b"\1\0" * channels * 50)
    assert expected in refusal(data)
    with pytest.raises(AudioError, match="wanted"):
        probe_audio(data)


def test_a_stretch_outside_the_file() -> None:
    data = encoded(noise(2, 8000), 8000, "WAV", "PCM_16")
    assert "lasts 2.000 s, wanted a stretch from 2.000 s to the end" in refusal(data, start_s=2.0)
    assert "lasts 2.000 s, wanted a stretch from 0.000 s to 2.051 s" in refusal(data, end_s=2.051)
    assert load_audio(data, end_s=2.049).duration_s == 2
    assert "start_s=-1" in refusal(data, start_s=-1)
    assert "start_s=nan" in refusal(data, start_s=float("nan"))
    assert "start_s=1e+308, wanted 0 to 1e+09 seconds" in refusal(data, start_s=1e308)
    assert "end_s=1e+308" in refusal(data, end_s=1e308)
    assert "end_s=1.0, wanted more than start_s=1.0" in refusal(data, start_s=1.0, end_s=1.0)
    assert "shorter than one sample" in refusal(data, start_s=1.0, end_s=1.00001)
    with pytest.raises(ValueError, match="sample_rate=0"):
        load_audio(data, sample_rate=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(value: float) -> None:
    samples = noise(1, 8000, 2)
    samples[6000, 1] = value
    data = encoded(samples, 8000, "WAV", "FLOAT")
    assert "at 0.750 s (1 of 8000 samples are not finite)" in refusal(data)
    assert load_audio(data, end_s=0.75).duration_s == 0.75


def test_files_without_samples() -> None:
    assert "holds no samples" in refusal(riff(1, 1, 8000, 16, b""))
    assert "empty (0 bytes)" in refusal(b"")
    with pytest.raises(AudioError, match="no samples"):
        probe_audio(riff(1, 1, 8000, 16, b""))
    one = load_audio(riff(1, 1, 8000, 16, b"\1\0"))
    assert one.samples.size == 1
    with pytest.raises(AudioError, match=r"^clip: 1 samples at 8000 Hz make none at 1000 Hz"):
        resample(one, 1000)
    with pytest.raises(AudioError, match=r"^a\\nb: 1 samples"):
        resample(replace(one, source="a\nb"), 1000)


@pytest.mark.parametrize(
    ("kind", "coding", "cut"),
    [("FLAC", "PCM_16", 0.5), ("WAV", "PCM_16", 0.5), ("OGG", "VORBIS", 0.7), ("OGG", "OPUS", 0.7),
     ("MP3", "MPEG_LAYER_III", 0.5), ("FLAC", "PCM_16", 0.01), ("WAV", "GSM610", 0.5),
     ("RF64", "PCM_16", 0.5), ("W64", "PCM_16", 0.5), ("AIFF", "PCM_16", 0.5), ("AU", "ULAW", 0.5)],
)  # fmt: skip
def test_files_that_were_cut_short(kind: str, coding: str, cut: float, tmp_path: Path) -> None:
    data = encoded(noise(4, 48000), 48000, kind, coding)
    path = tmp_path / "cut.snd"
    path.write_bytes(data[: int(len(data) * cut)])
    message = refusal(path)
    assert str(path) in message
    assert "breaks off after" in message or "is damaged after" in message
    if cut > 0.1:
        assert load_audio(path, start_s=0.5, end_s=1.0).duration_s == 0.5


def test_a_wav_whose_writer_could_not_go_back_is_whole() -> None:
    data = bytearray(encoded(noise(1, 8000), 8000, "WAV", "PCM_16"))
    at = data.index(b"data") + 4
    for placeholder in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000):
        data[at : at + 4] = struct.pack("<I", placeholder)
        assert load_audio(bytes(data)).duration_s == 1


def test_what_is_not_audio() -> None:
    assert "libsndfile cannot read it (Format not recognised)" in refusal(b"Dear diary, " * 99)
    head = encoded(noise(1, 44100), 44100, "MP3", "MPEG_LAYER_III")[:100]
    assert "libsndfile cannot read it (no sound was found in it)" in refusal(head)
    assert "git lfs pull" in refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


# ---- paths -----------------------------------------------------------------------------


def test_things_that_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("gone.wav")
    (tmp_path / "file").write_bytes(b"x")
    assert "is a directory" in refusal(tmp_path)
    assert "is a named pipe" in refusal(tmp_path / "pipe")
    assert "is a device" in refusal("/dev/zero")
    assert "leads back to itself" in refusal(tmp_path / "loop")
    assert "is a link to gone.wav, which does not exist" in refusal(tmp_path / "dangling")
    assert "no such file" in refusal(tmp_path / "nothing.wav")
    assert "no such file" in refusal(tmp_path / "file" / "below")
    assert "wanted a local file" in refusal("https://example.org/a.wav")
    assert "no file can have this name" in refusal("a\0b.wav")
    assert "no file can have this name" in refusal("\ud800.wav")
    assert "cannot be opened" in refusal("x" * 5000)
    with pytest.raises(AudioError, match="is a directory"):
        file_sha256(tmp_path)
    with pytest.raises(TypeError):
        load_audio(3)  # type: ignore[arg-type]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    assert "may not be read by this user" in refusal(path)


@pytest.mark.parametrize(
    "name", ["日本 语.wav", "e\u0301.wav", "a\nb\t.wav", "\udcff.wav", "-", ".wav"]
)
def test_names_of_every_kind(name: str, tmp_path: Path) -> None:
    data = encoded(noise(0.1, 8000), 8000, "WAV", "PCM_16")
    path = tmp_path / name
    path.write_bytes(data)
    assert load_audio(str(path)).source == str(path)
    assert file_sha256(path) == hashlib.sha256(data).hexdigest()
    assert "\n" not in refusal(path, start_s=9)
    refusal(path, start_s=9).encode()  # no lone surrogate, which no terminal takes


def test_a_path_longer_than_libsndfile_takes(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 7)
    folder.mkdir(parents=True)
    (folder / "a.flac").write_bytes(STEREO_FLAC)
    np.testing.assert_array_equal(load_audio(folder / "a.flac").samples, WHOLE.samples)
    (tmp_path / "link").symlink_to(folder / "a.flac")
    assert load_audio(tmp_path / "link").content_sha256 == WHOLE.content_sha256


# ---- Clip and module -------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Clip(samples=np.zeros(4), sample_rate=8000),  # type: ignore[arg-type]
        lambda: Clip(samples=np.zeros((4, 1), np.float32), sample_rate=8000),
        lambda: Clip(samples=np.zeros(0, np.float32), sample_rate=8000),
        lambda: Clip(samples=np.full(4, np.nan, np.float32), sample_rate=8000),
        lambda: Clip(samples=np.zeros(4, np.float32), sample_rate=0),
    ],
)
def test_a_clip_refuses_what_it_cannot_hold(make: Callable[[], Clip]) -> None:
    with pytest.raises(ValueError, match="want"):
        make()


def test_loading_twice_gives_the_same_bytes() -> None:
    data = encoded(noise(1, 44100, 2), 44100, "MP3", "MPEG_LAYER_III")
    first, second = (load_audio(data, sample_rate=32000, start_s=0.3) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert first.content_sha256 == second.content_sha256


def test_importing_the_module_costs_only_numpy() -> None:
    code = (
        "import sys, earful.model.audio.clip; "
        "print(*{'soundfile', 'soxr', 'av', 'torch', 'scipy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
