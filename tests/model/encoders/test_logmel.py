import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.encoders import BandLevels, logmel

EMBEDDER = logmel.load_logmel()


def clip(samples: NDArray[np.floating]) -> Clip:
    return Clip(samples=samples.astype(np.float32), sample_rate=44100)


def noise(n_samples: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(n_samples)).astype(np.float32)


def test_white_noise_is_as_loud_in_every_band_as_its_variance_says() -> None:
    # A bin of N samples of noise with variance v, under a window w, has the power v sum(w^2);
    # w is a Hann window over half its sum, so sum(w^2) = (3/8 N) / (N/4)^2 = 6 / N.
    levels = EMBEDDER.levels_db(noise(10 * 44100))
    wanted = 10 * np.log10(0.1**2 * 6 / 2048)
    power = 10 * np.log10((10 ** (levels / 10)).mean(axis=0))
    np.testing.assert_allclose(power, wanted, atol=0.5)


@pytest.mark.parametrize("hz", [100.0, 1000.0, 9000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hz: float) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(44100) / 44100).astype(np.float32)
    band = int(EMBEDDER.levels_db(tone).mean(axis=0).argmax())
    # Band b has its middle at point b + 1 of 66 on the mel scale from 20 to 22050 Hz.
    mel = 2595 * np.log10(1 + np.array([20.0, hz, 22050.0]) / 700)
    assert band == pytest.approx((mel[1] - mel[0]) / (mel[2] - mel[0]) * 65 - 1, abs=0.6)


def test_halving_the_amplitude_lowers_every_level_by_six_decibels() -> None:
    samples = noise(20_000)
    softer = EMBEDDER.levels_db(np.float32(0.5) * samples) + 20 * np.log10(2)
    np.testing.assert_allclose(EMBEDDER.levels_db(samples), softer, atol=1e-3)


@pytest.mark.parametrize("n_samples", [1, 511, 512, 30_000, 2048 * 512 + 7])
def test_levels_equal_those_of_another_short_time_transform(n_samples: int) -> None:
    samples = noise(n_samples)
    window = torch.hann_window(2048, dtype=torch.float64)
    spectra = torch.stft(
        torch.from_numpy(samples).double(),
        2048,
        hop_length=512,
        window=window / (window.sum() / 2),
        pad_mode="constant",
        return_complex=True,
    )
    filters = BandLevels(44100, 2048, 512, 64, 20.0).filters
    power = spectra.abs().square().numpy().T @ filters
    wanted = 10 * np.log10(np.maximum(power, 1e-13))
    np.testing.assert_allclose(EMBEDDER.levels_db(samples), wanted, atol=1e-6)


@given(st.integers(512, 6000), st.integers(0, 2**32 - 1))
def test_a_clip_resembles_itself_more_than_its_quiet_or_dull_copy(
    n_samples: int, seed: int
) -> None:
    samples = noise(n_samples, seed)
    dull = np.convolve(samples, np.ones(32) / 32)[:n_samples]
    same, quiet, dulled = EMBEDDER.embed([clip(samples), clip(samples / 100), clip(dull)])
    (again,) = EMBEDDER.embed([clip(samples)])
    assert np.array_equal(again, same)
    assert same @ again > max(same @ quiet, same @ dulled)


def test_silence_is_farther_from_noise_than_noise_from_noise() -> None:
    silence, one, other = EMBEDDER.embed(
        [clip(np.zeros(44100)), clip(noise(44100, 1)), clip(noise(44100, 2))]
    )
    assert one @ other > 0.99
    assert one @ silence < 0.5


@pytest.mark.parametrize("wish", [{"revision": "0"}, {"device": "cuda"}, {"dtype": "bfloat16"}])
def test_what_it_does_not_have_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(wish.values()))):
        logmel.load_logmel(**wish)


def test_it_needs_no_torch() -> None:
    script = (
        "import sys; from earful.model.registry import load_embedder; load_embedder('logmel');"
        "sys.exit(' '.join({'torch', 'transformers', 'lancedb'} & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
