from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model.tiny import FrontEnd, frames
from earful.model.tiny.frames import fill_window, mel_filters, window_starts

Samples = NDArray[np.float32]
Wave = Callable[[int], Samples]


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd()


def test_each_mel_filter_sums_to_one_and_peaks_between_its_neighbours() -> None:
    filters = mel_filters()
    assert filters.shape == (1025, 96)
    np.testing.assert_allclose(filters.sum(axis=0), 1.0, rtol=1e-6)
    assert np.all(np.diff(filters.argmax(axis=0)) >= 0)


@pytest.mark.parametrize("n_samples", [30_000, 99 * 1024, 149 * 1024])
def test_frames_equal_the_published_package(
    front_end: FrontEnd, wave: Wave, published: Mapping[str, Samples], n_samples: int
) -> None:
    frames = front_end.frames(wave(n_samples))[::10]
    np.testing.assert_allclose(frames, published[f"{n_samples}.frames"], atol=2e-5)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(1, 2), (1024, 2), (1025, 3), (5 * 44100, 217)]
)
def test_silence_is_zeros_in_every_frame(
    front_end: FrontEnd, n_samples: int, n_frames: int
) -> None:
    frames = front_end.frames(np.zeros(n_samples, np.float32))
    assert frames.shape == (n_frames, 96)
    assert not frames.any()


def test_frames_do_not_depend_on_the_pieces_they_are_computed_in(
    front_end: FrontEnd, wave: Wave, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = wave(44100)
    whole = front_end.frames(samples)
    monkeypatch.setattr(frames, "_FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(front_end.frames(samples), whole, atol=1e-6)


def test_samples_far_beyond_full_scale_have_finite_frames(front_end: FrontEnd, wave: Wave) -> None:
    samples = np.float32(1e30) * wave(3000)
    assert np.isfinite(front_end.frames(samples)).all()


def test_what_is_given_is_left_as_it_was(front_end: FrontEnd) -> None:
    samples = np.full(3000, 1e9, np.float32)
    list(front_end.windows(samples))
    assert (samples == np.float32(1e9)).all()


def test_a_short_recording_is_repeated_until_it_fills_a_window(
    front_end: FrontEnd, wave: Wave
) -> None:
    filled = fill_window(np.array([1, 2, 3], np.float32))
    assert filled[:7].tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert filled.size == 99 * 1024
    third = wave(33 * 1024)
    (short,) = front_end.windows(third)
    (long,) = front_end.windows(np.tile(third, 3))
    assert np.array_equal(short, long)


@pytest.mark.parametrize("n_samples", [99 * 1024, 99 * 1024 + 1, 300_000])
def test_a_recording_that_fills_a_window_is_not_repeated(wave: Wave, n_samples: int) -> None:
    samples = wave(n_samples)
    assert fill_window(samples) is samples


def test_a_window_ends_where_a_long_recording_ends(front_end: FrontEnd, wave: Wave) -> None:
    samples = wave(5 * 44100)
    frames = front_end.frames(samples)
    assert len(frames) == 1 + 216  # 220500 samples are 215.3 hops
    assert window_starts(len(frames)) == [0, 50, 100, 117]
    windows = list(front_end.windows(samples))
    assert len(windows) == 4
    for window, start in zip(windows, (0, 50, 100, 117), strict=True):
        assert np.array_equal(window, frames[start : start + 100])


@given(st.integers(100, 20_000))
def test_windows_leave_no_frame_out_and_none_is_offered_twice_over(n_frames: int) -> None:
    starts = window_starts(n_frames)
    assert starts[0] == 0
    assert starts[-1] == n_frames - 100
    assert all(0 < after - before <= 50 for before, after in pairwise(starts))
