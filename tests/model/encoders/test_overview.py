"""Overviews: what bytes say of levels, and the band of an event."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model.encoders import (
    OVERVIEW_BANDS,
    BandLevels,
    event_band_hz,
    overview,
    overview_db,
    overview_edges_hz,
)

RATE, STEP = 44_100, 8192


def tone(hz: float, n_samples: int, level: float = 0.5) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hz * np.arange(n_samples) / RATE)).astype(np.float32)


def band_of(hz: float) -> int:
    return int(np.searchsorted(overview_edges_hz(RATE), hz)) - 1


@pytest.mark.parametrize("hz", [300.0, 1000.0, 5000.0, 15_000.0])
def test_a_tone_stands_in_its_band_at_its_level(hz: float) -> None:
    levels = overview_db(overview(tone(hz, 10 * STEP), RATE, STEP))[1:]
    assert abs(int(levels.mean(axis=0).argmax()) - band_of(hz)) <= 1
    # Each band is a mean over its bins, so a tone is softer there than in its own bin.
    assert -26 < levels.max() < -6


def test_twice_the_amplitude_is_six_decibels_more() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, 5 * STEP).astype(np.float32)
    soft, loud = (overview_db(overview(noise * gain, RATE, STEP)) for gain in (1, 2))
    np.testing.assert_allclose(loud - soft, 6, atol=0.51)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5 * STEP))
def test_every_step_begun_has_a_column(n_samples: int) -> None:
    levels = overview(np.ones(n_samples, np.float32), RATE, STEP)
    assert levels.shape == (-(-n_samples // STEP), OVERVIEW_BANDS)
    assert levels.dtype == np.uint8


def test_the_band_of_an_event_is_where_it_is_above_the_background() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 40 * STEP).astype(np.float32)
    background = np.median(overview(noise, RATE, STEP), axis=0).astype(np.uint8)
    event = overview(noise[: 5 * STEP] + tone(3000, 5 * STEP), RATE, STEP)
    band = event_band_hz(event, background, RATE)
    assert band is not None
    low, high = band
    assert 2500 < low < 3000 < high < 3600


def test_silence_has_no_band() -> None:
    silent = overview(np.zeros(3 * STEP, np.float32), RATE, STEP)
    assert event_band_hz(silent, silent[0], RATE) is None
    assert event_band_hz(silent[:0], silent[0], RATE) is None


def test_no_band_is_empty_at_low_rates() -> None:
    # 96 bands of 8 kHz are narrower than the bins of a short spectrum.
    filters = BandLevels(8000, 256, 256, 96, 20.0).filters
    np.testing.assert_allclose(filters.sum(axis=0), 1)
