"""Segments under limits: what is counted, what is cut short, what is not there."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earful.errors import AudioError
from earful.model.audio import AudioLimits, load_audio, resample
from earful.model.audio.clip import probe_audio
from tests.support.audio_formats import by_libsndfile, noise
from tests.support.nasty_audio import riff


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
    flac = by_libsndfile(np.zeros((160_000, 1), np.float32), 8000, "FLAC", "PCM_16")
    brief = AudioLimits(max_duration_s=19.5)
    assert "its header says 20.00 s, over the 19.50 s" in refusal(flac, limits=brief)
    silent = without_length(flac)
    assert load_audio(silent).duration_s == 20
    assert probe_audio(silent).duration_s == 20
    assert "longer than the 19.50 s that max_duration_s=19.5" in refusal(silent, limits=brief)
    small = AudioLimits(max_bytes=40_000)
    assert "the 1.25 s that max_bytes=40000" in refusal(silent, limits=small)
    assert load_audio(flac, start_s=3, end_s=4, limits=small).duration_s == 1
    assert "5.00 s are requested" in refusal(flac, start_s=3, end_s=8, limits=small)


def test_what_all_channels_take_counts() -> None:
    data = by_libsndfile(noise(2, 8000, 8), 8000, "WAV", "PCM_16")
    assert load_audio(data, limits=AudioLimits(max_values=128_000)).duration_s == 2
    limits = AudioLimits(max_values=127_999)
    message = "its header says 2.00 s, over the 2.00 s that max_values=127999 (over all channels)"
    assert message in refusal(data, limits=limits)
    assert load_audio(data, end_s=1.9, limits=limits).duration_s == 1.9
    silent = without_length(by_libsndfile(noise(2, 8000, 8), 8000, "FLAC", "PCM_16"))
    with pytest.raises(AudioError, match=r"does not end within the 1\.00 s"):
        probe_audio(silent, limits=AudioLimits(max_values=64_000))
    # An MP3 file of a low rate is not sought in: what comes before counts as well.
    slow = by_libsndfile(noise(4, 8000), 8000, "MP3", "MPEG_LAYER_III")
    limits = AudioLimits(max_values=16_000)
    assert load_audio(slow, start_s=1.5, end_s=2, limits=limits).duration_s == 0.5
    assert "does not end within the 2.00 s" in refusal(slow, start_s=3, end_s=3.1, limits=limits)


def test_a_header_that_promises_terabytes_costs_nothing() -> None:
    flac = by_libsndfile(noise(0.1, 8000), 8000, "FLAC", "PCM_16")
    fields = int.from_bytes(flac[18:26], "big") | ((1 << 36) - 1)
    bomb = flac[:18] + fields.to_bytes(8, "big") + flac[26:]
    assert "its header says" in refusal(bomb)
    limits = AudioLimits(max_duration_s=1e9, max_bytes=1 << 50, max_values=1 << 50)
    assert "breaks off" in refusal(bomb, limits=limits) or "damaged" in refusal(bomb, limits=limits)


@pytest.mark.parametrize(
    ("channels", "rate", "expected"),
    [(65, 8000, "65 channels, expected 1 to 64; mix it down, or change the limit in a program"),
     (1, 999, "999 Hz, expected 1000 to 768000 Hz; resample it, or change the limit in a program"),
     (1, 768_001, "768001 Hz, expected 1000")],
)  # fmt: skip
def test_channels_and_rates_out_of_range(channels: int, rate: int, expected: str) -> None:
    data = riff(1, channels, rate, 16, b"\1\0" * channels * 50)
    assert expected in refusal(data)
    with pytest.raises(AudioError, match="expected"):
        probe_audio(data)


def test_a_segment_outside_the_file() -> None:
    data = by_libsndfile(noise(2, 8000), 8000, "WAV", "PCM_16")
    assert "lasts 2.000 s, expected a segment from 2.000 s to the end" in refusal(data, start_s=2.0)
    assert "lasts 2.000 s, expected a segment from 0.000 s to 2.051 s" in refusal(data, end_s=2.051)
    assert load_audio(data, end_s=2.049).duration_s == 2
    assert "start_s=-1" in refusal(data, start_s=-1)
    assert "start_s=nan" in refusal(data, start_s=float("nan"))
    assert "start_s=1e+308, expected 0 to 1e+09 seconds" in refusal(data, start_s=1e308)
    assert "end_s=1e+308" in refusal(data, end_s=1e308)
    assert "end_s=1.0, expected more than start_s=1.0" in refusal(data, start_s=1.0, end_s=1.0)
    assert "shorter than one sample" in refusal(data, start_s=1.0, end_s=1.00001)
    with pytest.raises(ValueError, match="sample_rate=0"):
        load_audio(data, sample_rate=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(value: float) -> None:
    samples = noise(1, 8000, 2)
    samples[6000, 1] = value
    data = by_libsndfile(samples, 8000, "WAV", "FLOAT")
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
    data = by_libsndfile(noise(4, 48000), 48000, kind, coding)
    path = tmp_path / "cut.snd"
    path.write_bytes(data[: int(len(data) * cut)])
    message = refusal(path)
    assert str(path) in message
    assert "breaks off after" in message or "is damaged after" in message
    if cut > 0.1:
        assert load_audio(path, start_s=0.5, end_s=1.0).duration_s == 0.5


def test_a_wav_whose_writer_could_not_go_back_is_whole() -> None:
    data = bytearray(by_libsndfile(noise(1, 8000), 8000, "WAV", "PCM_16"))
    at = data.index(b"data") + 4
    for placeholder in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000):
        data[at : at + 4] = struct.pack("<I", placeholder)
        assert load_audio(bytes(data)).duration_s == 1


def test_what_is_not_audio() -> None:
    assert "is text, expected audio" in refusal(b"Dear diary, " * 99)
    assert "libsndfile cannot read it (Format not recognised)" in refusal(b"\1\2\3\4" * 99)
    head = by_libsndfile(noise(1, 44100), 44100, "MP3", "MPEG_LAYER_III")[:100]
    assert "libsndfile cannot read it (no sound was found in it)" in refusal(head)
    assert "git lfs pull" in refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
