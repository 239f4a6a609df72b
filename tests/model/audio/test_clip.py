"""Decoding, mixing and resampling to a ``Clip``, against what others compute."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio import Clip, load_audio, resample
from earful.model.audio.clip import probe_audio
from tests.support.audio_formats import by_libsndfile, noise

Samples = NDArray[np.float32]

PCM_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


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
def test_the_whole_and_its_segments_agree_with_soundfile(
    kind: str, coding: str, rate: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sound"
    # 2.6 s at 48 kHz is more than one block of nearly every coding's seek unit.
    path.write_bytes(
        by_libsndfile(noise(2.6, rate, 1 if coding == "GSM610" else 2), rate, kind, coding)
    )
    with soundfile.SoundFile(path) as handle:
        expected = handle.read(1 << 20, dtype="float32", always_2d=True).mean(axis=1)
    if coding == "GSM610":  # soundfile also gives what fills the last blocks up
        expected = expected[: round(2.6 * rate)]
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


@pytest.mark.slow
def test_a_long_mp3_is_right_past_the_first_block() -> None:
    # soundfile's own chunked reading is not: it seeks after each read.
    data = by_libsndfile(noise(50, 22050, 1), 22050, "MP3", "MPEG_LAYER_III")
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(load_audio(data).samples, expected, rtol=0, atol=1e-6)


# ---- properties ------------------------------------------------------------------------

STEREO = noise(0.5, 16000, 2)
STEREO_FLAC = by_libsndfile(STEREO, 16000, "FLAC", "PCM_24")
WHOLE = load_audio(STEREO_FLAC)


@given(st.integers(0, 7998), st.integers(1, 7999))
def test_a_segment_is_a_slice_of_the_whole(first: int, n: int) -> None:
    last = min(first + n, 8000)
    clip = load_audio(STEREO_FLAC, start_s=first / 16000, end_s=last / 16000)
    np.testing.assert_array_equal(clip.samples, WHOLE.samples[first:last])


@settings(max_examples=40)
@given(st.integers(1, 64), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_channels_are_averaged(channels: int, n: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, (n, channels)).astype(np.float32)
    clip = load_audio(by_libsndfile(samples, 8000, "WAV", "FLOAT"))
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
    again = load_audio(
        by_libsndfile(clip.samples[:, None], 48000, "WAV", "FLOAT"), sample_rate=16000
    )
    np.testing.assert_array_equal(again.samples, lower.samples)


def test_a_clip_too_loud_to_resample() -> None:
    loud = Clip(samples=np.array([3e38, -3e38, 3e38], np.float32), sample_rate=8000)
    with pytest.raises(AudioError, match=r"clip: is too loud to resample \(up to 3e\+38\)"):
        resample(loud, 48_000)


def test_equal_audio_in_other_containers_has_an_equal_digest() -> None:
    # On the 16-bit grid, because writers round differently.
    samples = np.round(noise(0.3, 16000, 2) * 32768) / np.float32(32768)
    lossless = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("CAF", "ALAC_16")]
    digests = {load_audio(by_libsndfile(samples, 16000, *kind)).content_sha256 for kind in lossless}
    assert len(digests) == 1
    other = load_audio(by_libsndfile(samples, 16000, "WAV", "PCM_16"), start_s=0.1)
    assert other.content_sha256 not in digests
    faster = load_audio(by_libsndfile(samples, 32000, "WAV", "PCM_16"))
    assert faster.content_sha256 not in digests


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
    with pytest.raises(ValueError, match="expected"):
        make()


def test_loading_twice_gives_the_same_bytes() -> None:
    data = by_libsndfile(noise(1, 44100, 2), 44100, "MP3", "MPEG_LAYER_III")
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
