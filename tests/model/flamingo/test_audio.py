import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import load_file

from earful.errors import AudioError
from earful.model import ClipRef
from earful.model.audio import AudioLimits, Clip, load_audio
from earful.model.flamingo import MAX_SAMPLES, MAX_SECONDS, SAMPLE_RATE, read_samples
from earful.model.flamingo.audio import (
    HOP_SAMPLES,
    MAX_WINDOWS,
    WINDOW_SAMPLES,
    cut_windows,
    scale_to_peak,
    window_count,
)


def write_case(path: Path, case: dict[str, Any], rate: int) -> None:
    """Write the waveform that a golden's recipe describes."""
    i = np.arange(case["samples"], dtype=np.int64)
    channels = [
        (((31 * i * i + 17 * i + 1009 * (case["seed"] + channel)) % 20011) - 10005)
        for channel in range(case["channels"])
    ]
    soundfile.write(path, np.stack(channels, axis=1).astype(np.int16), rate, subtype="PCM_16")


def sha256(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def test_windows_equal_those_of_the_release(goldens: Path, tmp_path: Path) -> None:
    told = json.loads((goldens / "front_end.json").read_text())
    arrays = load_file(goldens / "front_end.safetensors")
    assert told["sample_rate"] == SAMPLE_RATE
    assert told["clap_config"]["max_num_window"] == MAX_WINDOWS
    for case in told["cases"]:
        path = tmp_path / f"{case['name']}.wav"
        write_case(path, case, told["sample_rate"])
        ref = ClipRef(audio=path, start_s=case["audio_start_seconds"])
        samples = read_samples(ref, mode="compat")
        scaled = scale_to_peak(samples)[: case["samples_after_load"]]
        assert scaled[:8].tolist() == case["normalised_first8"], case["name"]
        assert sha256(scaled) == case["normalised_float64_sha256"], case["name"]
        windows = cut_windows(samples)
        assert len(windows) == case["num_windows"] == window_count(samples.size)
        assert sum(case["window_mask"]) == len(windows)
        clips = np.zeros(case["clips_shape"], dtype=case["clips_dtype"])
        clips[: len(windows)] = windows
        assert [sha256(window) for window in clips] == case["per_window_sha256"], case["name"]
        assert sha256(clips) == case["clips_sha256"], case["name"]
        np.testing.assert_array_equal(clips[:, :64], arrays[f"{case['name']}.head"])
        np.testing.assert_array_equal(clips[:, -64:], arrays[f"{case['name']}.tail"])


def test_a_window_worked_by_hand() -> None:
    samples = np.array([0.25, -0.5, 0.1], dtype=np.float32)
    (window,) = cut_windows(samples)
    # 0.25 / 0.5 * 32767 = 16383.5 -> 16383; -0.5 / 0.5 * 32767 = -32767; 0.2 * 32767 -> 6553
    assert (window[:4] * 32767).round().tolist() == [16383, -32767, 6553, 0]
    assert window.size == WINDOW_SAMPLES


@given(st.integers(1, 3 * MAX_SAMPLES))
def test_windows_cover_the_recording_up_to_the_limit(n_samples: int) -> None:
    n_windows = window_count(n_samples)
    assert 1 <= n_windows <= MAX_WINDOWS
    covered = WINDOW_SAMPLES + (n_windows - 1) * HOP_SAMPLES
    assert covered >= min(n_samples, MAX_SAMPLES)
    if n_windows > 1:
        assert covered - HOP_SAMPLES < n_samples


@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 50),
        elements=st.floats(-8, 8, width=32, allow_subnormal=False),
    )
)
def test_scaling_reaches_full_peak_and_no_further(samples: NDArray[np.float32]) -> None:
    scaled = scale_to_peak(samples)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 1.0
    if samples.any() and samples.min() < 0:
        assert np.abs(scaled).max() == 1.0


def test_silence_stays_zero() -> None:
    assert not cut_windows(np.zeros(1000, np.float32)).any()


def test_compat_keeps_the_first_channel_and_full_averages(tmp_path: Path) -> None:
    left = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32) / 2
    stereo = np.stack([left, -left / 2], axis=1)
    ref = ClipRef(audio=tmp_path / "two.flac")
    soundfile.write(tmp_path / "two.flac", stereo, SAMPLE_RATE, subtype="PCM_24")
    np.testing.assert_allclose(read_samples(ref, mode="compat"), left, atol=1e-6)
    np.testing.assert_allclose(read_samples(ref, mode="full"), left / 4, atol=1e-6)


def test_mp3_is_averaged_in_both_modes(tmp_path: Path) -> None:
    left = np.sin(np.arange(SAMPLE_RATE) / 20).astype(np.float32) / 2
    stereo = np.stack([left, -left], axis=1)
    soundfile.write(tmp_path / "two.mp3", stereo, SAMPLE_RATE)
    for mode in ("full", "compat"):
        samples = read_samples(ClipRef(audio=tmp_path / "two.mp3"), mode=mode)
        assert np.abs(samples).max() < 0.05, mode


def test_no_more_is_decoded_than_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 50 * 8000).astype(np.float32)
    soundfile.write(path, noise, 8000)
    ref = ClipRef(audio=path)
    assert ref.length_s() == pytest.approx(50.0)
    assert read_samples(ref, mode="full").size == pytest.approx(MAX_SAMPLES, abs=2)
    tail = ClipRef(audio=path, start_s=40.0)
    assert tail.length_s() == pytest.approx(10.0)
    assert read_samples(tail, mode="full").size == 10 * SAMPLE_RATE
    stretch = ClipRef(audio=path, start_s=2.0, end_s=5.5)
    assert read_samples(stretch, mode="full").size == round(3.5 * SAMPLE_RATE)


@pytest.mark.parametrize("mode", ["full", "compat"])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, None), (0.5, 1.5), (1.0, 38.0)])
def test_an_exemplar_whose_audio_has_changed_is_not_heard(
    tmp_path: Path, mode: Literal["full", "compat"], start_s: float, end_s: float | None
) -> None:
    path = tmp_path / "long.wav"
    rate = 8000
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, size=(40 * rate, 2))
    soundfile.write(path, samples, rate)
    digest = load_audio(path, start_s=start_s, end_s=end_s).content_sha256
    ref = ClipRef(audio=path, start_s=start_s, end_s=end_s, content_sha256=digest, is_exemplar=True)
    assert read_samples(ref, mode=mode).size
    # What lies outside the stretch may change; a click at its very end, beyond what is heard
    # of a long one, may not.
    if start_s:
        samples[0] = 0.9
        soundfile.write(path, samples, rate)
        assert read_samples(ref, mode=mode).size
    samples[round((end_s or 40) * rate) - 1] = 0.9
    soundfile.write(path, samples, rate)
    with pytest.raises(AudioError, match=r"long\.wav.* has changed since it was embedded.*build"):
        read_samples(ref, mode=mode)
    assert read_samples(replace(ref, content_sha256=""), mode=mode).size
    assert read_samples(replace(ref, is_exemplar=False), mode=mode).size


@pytest.mark.parametrize("mode", ["full", "compat"])
def test_an_exemplar_may_be_as_long_as_its_index_allowed(
    tmp_path: Path, mode: Literal["full", "compat"]
) -> None:
    path, rate = tmp_path / "hour.wav", 1000
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1801 * rate)
    soundfile.write(path, noise, rate)
    built_with = AudioLimits(max_duration_s=3600.0)
    digest = load_audio(path, limits=built_with).content_sha256
    ref = ClipRef(audio=path, content_sha256=digest, is_exemplar=True)
    assert read_samples(ref, mode=mode).size == pytest.approx(MAX_SAMPLES, abs=50)


def test_a_clip_at_hand_is_resampled() -> None:
    clip = Clip(samples=np.zeros(8000, np.float32), sample_rate=8000)
    assert read_samples(ClipRef(audio=clip), mode="full").size == SAMPLE_RATE
    assert ClipRef(audio=clip).length_s() == 1.0
    assert pytest.approx(33.25) == MAX_SECONDS
