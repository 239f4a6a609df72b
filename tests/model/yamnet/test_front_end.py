"""The front end against arithmetic by hand, and against Kaldi's mel filters."""

import math

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.model.yamnet import FrontEnd
from earful.model.yamnet.front_end import (
    PATCH_HOP_SAMPLES,
    PATCH_SAMPLES,
    cut,
    mel_filters,
    n_patches,
)

Samples = NDArray[np.float32]
SILENCE = math.log(0.001)


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd()


def noise(n_samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(scale=0.1, size=n_samples).astype(np.float32)


def frames_of(samples: Samples) -> Samples:
    return np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]


# --- log-mel levels ---------------------------------------------------------------------


def test_a_click_in_the_middle_of_a_frame_has_the_levels_worked_out_by_hand(
    front_end: FrontEnd,
) -> None:
    """A click's spectrum is flat: 1 in each bin where the window is 1, at sample 200 of 400.

    125 Hz are 1127 ln(1 + 125 / 700) = 185.17 mel, 7500 Hz are 2773.34, so the 66 edges lie
    39.818 mel apart and the first band goes from 185.17 over 224.99 to 264.80. Bins lie
    31.25 Hz apart; the only one inside is the fifth, 156.25 Hz or 227.07 mel. It stands at
    (264.80 - 227.07) / 39.818 = 0.9476 of the band's falling side, which is the band's sum.
    """
    frame = np.zeros((1, 400), np.float32)
    frame[0, 200] = 1.0
    levels = front_end.levels(frame)
    assert levels.shape == (1, 64)
    assert levels[0, 0].item() == pytest.approx(math.log(0.9476 + 0.001), abs=2e-4)
    # A quarter into the window, whose height is a half there, all bands are half as loud.
    quarter = np.zeros((1, 400), np.float32)
    quarter[0, 100] = 1.0
    halved = np.exp(front_end.levels(quarter)) - 0.001
    np.testing.assert_allclose(halved, (np.exp(levels) - 0.001) / 2, rtol=1e-4)
    # The window is periodic: its first sample is 0, and its last is not.
    ends = np.zeros((2, 400), np.float32)
    ends[0, 0] = ends[1, 399] = 1.0
    np.testing.assert_allclose(front_end.levels(ends)[0], SILENCE, rtol=1e-6)
    assert (front_end.levels(ends)[1] > SILENCE).all()


def test_silence_is_the_floor_and_a_constant_is_hardly_heard(front_end: FrontEnd) -> None:
    np.testing.assert_allclose(front_end.levels(np.zeros((3, 400), np.float32)), SILENCE, rtol=1e-6)
    # A constant of 1 is 200 in the bin of 0 Hz; what leaks to 125 Hz and above is below 1%.
    assert (front_end.levels(np.ones((1, 400), np.float32)) < math.log(2.0)).all()


def test_filters_are_kaldis_whose_triangles_are_straight_on_the_mel_scale_too() -> None:
    filters = mel_filters()
    kaldi, _ = torchaudio.compliance.kaldi.get_mel_banks(
        64, 512, 16_000.0, 125.0, 7500.0, 100.0, -500.0, 1.0
    )
    assert filters.shape == (257, 64)
    np.testing.assert_allclose(filters[:256], kaldi.numpy().T, atol=2e-4)
    assert not filters[0].any()
    assert not filters[256].any()


def test_levels_are_those_of_another_transform_and_kaldis_filters(front_end: FrontEnd) -> None:
    samples = noise(8000)
    levels = front_end.levels(frames_of(samples))
    # torchaudio's windows stand in the middle of 512 samples.
    around = torch.from_numpy(np.pad(samples, 56))
    magnitudes = torchaudio.functional.spectrogram(
        around, 0, torch.hann_window(400), 512, 160, 400, 1.0, False, center=False
    )
    kaldi, _ = torchaudio.compliance.kaldi.get_mel_banks(
        64, 512, 16_000.0, 125.0, 7500.0, 100.0, -500.0, 1.0
    )
    expected = torch.log(magnitudes[:256].T @ kaldi.T + 0.001)
    assert levels.shape == expected.shape == (48, 64)
    np.testing.assert_allclose(levels, expected, atol=2e-3)


def test_a_tone_is_loudest_in_the_band_around_it(front_end: FrontEnd) -> None:
    wave = np.sin(2 * np.pi * 1000 * np.arange(400) / 16_000).astype(np.float32)
    band = int(front_end.levels(wave[None])[0].argmax())
    mel = 1127 * math.log1p(1000 / 700)
    lowest, highest = (1127 * math.log1p(hz / 700) for hz in (125, 7500))
    middle = lowest + (band + 1) * (highest - lowest) / 65
    assert abs(middle - mel) <= (highest - lowest) / 65


# --- patches ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_samples", "n"),
    [(1, 1), (15_599, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3), (960_000, 124)],
)
def test_a_patch_more_begins_with_each_hop_beyond_the_first_patch(n_samples: int, n: int) -> None:
    assert n_patches(n_samples) == n


@given(st.integers(1, 10_000_000))
def test_patches_cover_a_recording_and_none_begins_behind_what_is_heard(n_samples: int) -> None:
    n = n_patches(n_samples)
    assert PATCH_SAMPLES + (n - 1) * PATCH_HOP_SAMPLES >= n_samples
    assert n == 1 or PATCH_SAMPLES + (n - 2) * PATCH_HOP_SAMPLES < n_samples


def test_zeros_follow_the_end_and_nothing_is_cut_off() -> None:
    samples = noise(20_000)
    whole = cut(samples, 0, 2)
    assert whole.size == 15_600 + 7680
    assert np.array_equal(whole[:20_000], samples)
    assert not whole[20_000:].any()
    assert np.array_equal(cut(samples, 1, 2), whole[7680:])
    assert np.array_equal(cut(samples, 0, 1), whole[:15_600])


def test_samples_far_beyond_full_scale_are_cut_and_the_recording_is_left_alone(
    front_end: FrontEnd,
) -> None:
    samples = np.full(15_600, -3e38, np.float32)
    samples.flags.writeable = False
    stretch = cut(samples, 0, 1)
    assert (stretch == -1e6).all()
    assert np.isfinite(front_end.patches(stretch)).all()


def test_patches_overlap_by_half_and_are_those_of_the_frames(front_end: FrontEnd) -> None:
    samples = noise(15_600 + 2 * 7680)
    patches = front_end.patches(samples)
    levels = front_end.levels(frames_of(samples))
    assert patches.shape == (3, 96, 64)
    for number, patch in enumerate(patches):
        np.testing.assert_allclose(patch, levels[48 * number :][:96], atol=1e-6)


def test_a_part_of_a_recording_has_the_patches_that_it_has_in_the_whole(
    front_end: FrontEnd,
) -> None:
    samples = noise(15_600 + 9 * 7680)
    whole = front_end.patches(cut(samples, 0, 10))
    parts = [front_end.patches(cut(samples, *ends)) for ends in ((0, 3), (3, 4), (4, 10))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
