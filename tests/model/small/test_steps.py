"""Shared steps: any piece of a recording has those of the whole, and windows are their maxima."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model import StepEmbedder, step_embedder
from earful.model.small import MARGIN_STEPS, STEP_SAMPLES, SmallEmbedder, load_small, steps, unit
from earful.model.tiny import WINDOW_FRAMES, FrontEnd, band_centres
from earful.model.tiny.frames import mel_filters

EQUAL = 2e-6


@cache
def load() -> SmallEmbedder:
    return load_small(device="cpu")


@cache
def recording() -> NDArray[np.float32]:
    """Noise with a tone that comes and goes, 60.3 steps of it."""
    n = 60 * STEP_SAMPLES + 2500
    time_s = np.arange(n) / 44_100
    tone = np.sin(2 * np.pi * 2000 * time_s) * (np.sin(2 * np.pi * 0.7 * time_s) > 0.5)
    noise = np.random.default_rng(0).normal(scale=0.05, size=n)
    return np.asarray(0.3 * tone + noise, dtype=np.float32)


@cache
def whole() -> NDArray[np.float32]:
    return load().embed_steps(recording())


def test_it_is_a_step_embedder_whose_vectors_are_no_index_s() -> None:
    embedder = load()
    assert isinstance(embedder, StepEmbedder)
    assert step_embedder(embedder) is embedder
    own, told = embedder.steps_fingerprint, embedder.fingerprint
    assert (own.name, own.revision, own.weights_sha256) == (
        told.name,
        told.revision,
        told.weights_sha256,
    )
    assert own.windowing.startswith("shared steps of 8 frames")
    assert own != told
    assert embedder.pool_steps(whole(), 3).shape == (59, own.dim)
    assert whole().shape == (61, embedder.step_dim)


@pytest.mark.parametrize("most", [7, 20, 500])
def test_pieces_of_any_size_give_equal_steps(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PIECE_STEPS", most)
    np.testing.assert_allclose(load().embed_steps(recording()), whole(), atol=EQUAL)


@settings(max_examples=8, deadline=None)
@given(first=st.integers(0, 50), n=st.integers(1, 20))
def test_a_part_with_its_margins_has_the_steps_of_the_whole(first: int, n: int) -> None:
    padded = np.pad(recording(), MARGIN_STEPS * STEP_SAMPLES)
    part = padded[first * STEP_SAMPLES :][: (n + 2 * MARGIN_STEPS) * STEP_SAMPLES]
    found = load().embed_steps(part)[MARGIN_STEPS:][:n]
    wanted = whole()[first : first + n]
    np.testing.assert_allclose(found[: len(wanted)], wanted, atol=EQUAL)


def test_one_step_of_context_less_is_not_enough() -> None:
    part = recording()[10 * STEP_SAMPLES : 30 * STEP_SAMPLES]
    found = load().embed_steps(part)[MARGIN_STEPS - 1 : -MARGIN_STEPS]
    assert np.abs(found - whole()[9 + MARGIN_STEPS : 30 - MARGIN_STEPS]).max() > EQUAL


def test_a_window_in_silence_is_the_network_s_maximum_over_its_steps() -> None:
    """The oracle: the network that makes an index's vectors, of silence, sound and silence."""
    embedder = load()
    sound = np.zeros(WINDOW_FRAMES * 1024, dtype=np.float32)
    sound[40 * 1024 : 60 * 1024] = recording()[: 20 * 1024]
    frames = FrontEnd().frames(sound)[: WINDOW_FRAMES - 4]
    output = embedder.ears.network(frames[None])
    inside = embedder.embed_steps(sound)[1:11]
    middle = embedder.ears.network.over_time()(frames[None])[0, 4:8]
    # Away from the window's ends, where the one has zeros and the other silence in every layer.
    np.testing.assert_allclose(inside[3:7], middle, atol=1e-5)
    found = embedder.heads.narrow.rows(output)
    pooled = embedder.pool_steps(embedder.ears.network.over_time()(frames[None])[0], 12)
    np.testing.assert_allclose(pooled, unit(found - embedder.heads.narrow_mean), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 30), length=st.integers(1, 12), seed=st.integers(0, 99))
def test_windows_are_pooled_one_by_one_alike(n: int, length: int, seed: int) -> None:
    embedder = load()
    rows = np.random.default_rng(seed).exponential(size=(n, 512)).astype(np.float16)
    found = embedder.pool_steps(rows, length)
    length = min(n, length)
    maxima = [rows[i : i + length].astype(np.float64).max(axis=0) for i in range(n - length + 1)]
    wanted = unit(embedder.heads.narrow.rows(np.array(maxima)) - embedder.heads.narrow_mean)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)


def test_the_bounds_of_pooling_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = load().pool_steps(whole(), 5)
    monkeypatch.setattr(steps, "_POOLED_AT_ONCE", 7)
    np.testing.assert_allclose(load().pool_steps(whole(), 5), wanted, atol=1e-6)


def test_a_band_hears_nothing_of_what_lies_outside() -> None:
    embedder = load()
    n = 6 * STEP_SAMPLES
    quiet = np.random.default_rng(1).normal(scale=0.02, size=n).astype(np.float32)
    # It swells, for its sudden beginning would be heard everywhere.
    tone = np.hanning(n) * np.sin(2 * np.pi * 12_000 * np.arange(n) / 44_100)
    loud = quiet + tone.astype(np.float32)
    heard, wanted = (embedder.embed_steps(each, band_hz=(0.0, 6000.0)) for each in (loud, quiet))
    np.testing.assert_allclose(heard, wanted, atol=0.02)
    assert np.abs(embedder.embed_steps(loud) - embedder.embed_steps(quiet)).max() > 0.5
    everything = embedder.embed_steps(loud, band_hz=(0.0, np.inf))
    np.testing.assert_array_equal(everything, embedder.embed_steps(loud))


def test_the_centre_of_a_band_is_where_its_filter_is_highest() -> None:
    peaks_hz = mel_filters().argmax(axis=0) * 44_100 / 2048
    # Filters are sampled at bins of 21.5 Hz.
    assert np.abs(peaks_hz - band_centres()).max() < 22
    assert all(low < high for low, high in pairwise(band_centres()))


@pytest.mark.parametrize(
    ("band_hz", "says"),
    [((500.0, 400.0), "lowest < highest"), ((-1.0, 9.0), "0 <="), ((30e3, 40e3), "holds none of")],
)
def test_a_band_that_is_none_is_refused(band_hz: tuple[float, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load().embed_steps(recording(), band_hz=band_hz)


def test_nothing_little_and_too_much() -> None:
    embedder = load()
    assert embedder.embed_steps(np.zeros(0, np.float32)).shape == (0, 512)
    assert embedder.embed_steps(np.ones(1, np.float32)).shape == (1, 512)
    assert embedder.pool_steps(np.zeros((0, 512), np.float16), 3).shape == (0, 128)
    assert embedder.pool_steps(whole()[:2], 3).shape == (1, 128)
    with pytest.raises(ValueError, match="length=0"):
        embedder.pool_steps(whole(), 0)
    with pytest.raises(ValueError, match=r"\(61, 100\): expected \(n, 512\)"):
        embedder.pool_steps(whole()[:, :100], 3)
    with pytest.raises(ModelError, match="not finite"):
        embedder.embed_steps(np.full(9000, np.nan, np.float32))
