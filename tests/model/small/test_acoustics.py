"""Acoustic descriptors, on sounds whose numbers are known, and of any sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model.small import ACOUSTICS_RATE, N_DESCRIPTORS, describe_acoustics
from earful.model.small.acoustics import NAMES

N = ACOUSTICS_RATE


def told(samples: NDArray[np.floating]) -> dict[str, float]:
    found = describe_acoustics(samples.astype(np.float32))
    assert found.shape == (N_DESCRIPTORS,)
    assert np.isfinite(found).all()
    return dict(zip(NAMES, found.tolist(), strict=True))


def tone(hertz: float, n: int = N) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * hertz * np.arange(n) / N))


def noise(n: int = N) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=n)


@pytest.mark.parametrize("hertz", [220.0, 440.0, 1000.0])
def test_a_steady_tone_is_pitched_narrow_and_everywhere(hertz: float) -> None:
    found = told(tone(hertz))
    assert np.exp(found["pitch"]) == pytest.approx(hertz, rel=0.02)
    assert np.exp(found["centroid"]) - 30 == pytest.approx(hertz, rel=0.02)
    assert found["harmonicity"] > 0.98
    assert found["share above -10 dB"] == 1.0
    assert found["onset rate"] == 0.0
    assert found["temporal centroid"] == pytest.approx(0.5, abs=0.01)


def test_noise_is_flat_and_not_pitched() -> None:
    found, pure = told(noise()), told(tone(440.0))
    # The logarithm of a white spectrum's flatness is that of an exponential: -0.577.
    assert found["flatness"] == pytest.approx(-0.577, abs=0.05)
    assert pure["flatness"] < -5
    assert found["harmonicity"] < 0.5 < pure["harmonicity"]
    # Half of the energy of white noise is below half of the band.
    assert np.exp(found["50% roll-off"]) - 30 == pytest.approx(N / 4, rel=0.05)


def test_clicks_have_onsets_and_a_beat() -> None:
    clicks = np.zeros(2 * N)
    for start in range(0, 2 * N, N // 5):  # five a second
        clicks[start : start + 800] = noise(800)
    found = told(clicks)
    assert 3.0 < np.expm1(found["onset rate"]) < 7.0
    moves = {name: value for name, value in found.items() if name.startswith("level moves")}
    assert moves["level moves at 4 to 8 Hz"] > moves["level moves at 0 to 4 Hz"]
    assert found["share above -30 dB"] < 0.5


def test_what_fades_is_early_and_what_grows_is_late() -> None:
    fading = noise() * np.exp(-8 * np.arange(N) / N)
    assert told(fading)["temporal centroid"] < 0.2 < 0.8 < told(fading[::-1])["temporal centroid"]
    assert told(fading)["place of the peak"] < 0.1


@given(st.floats(1e-3, 1e3))
def test_level_changes_nothing(gain: float) -> None:
    sound = noise(4000)
    np.testing.assert_allclose(
        describe_acoustics((gain * sound).astype(np.float32)),
        describe_acoustics(sound.astype(np.float32)),
        atol=1e-3,
    )


@given(st.integers(1, 5000), st.sampled_from(["noise", "silence", "click", "constant"]))
def test_any_recording_has_numbers(n: int, kind: str) -> None:
    sounds = {"noise": noise(n), "silence": np.zeros(n), "constant": np.ones(n)}
    sounds["click"] = np.eye(1, n)[0]
    told(sounds[kind])
