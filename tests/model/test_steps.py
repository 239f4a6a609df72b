"""Steps of embedders that have none: windows around them, one by one."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model import Fingerprint, StepEmbedder, WindowSteps, step_embedder
from earful.model.audio import Clip
from earful.model.steps import sliding_maxima, sliding_sums

RATE = 1000


class Sums:
    """Embedder whose vectors are the directions of (sum of samples, 1)."""

    fingerprint = Fingerprint(
        name="sums", revision="1", weights_sha256="", dim=2, sample_rate=RATE, windowing="whole"
    )

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        assert all(clip.sample_rate == RATE for clip in clips)
        rows = np.array([[clip.samples.sum(), 1.0] for clip in clips])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_steps_are_windows_around_them_by_hand() -> None:
    """Windows of 20 samples every 10: the first begins 5 samples before the recording."""
    steps = step_embedder(Sums(), window_s=0.02)
    assert isinstance(steps, WindowSteps)
    assert isinstance(steps, StepEmbedder)
    assert (steps.step_samples, steps.margin_steps, steps.step_dim) == (10, 1, 2)
    samples = np.ones(25, dtype=np.float32)
    # From -5 to 15, from 5 to 25, from 15 to 35.
    wanted = [[15, 1], [20, 1], [10, 1]]
    found = steps.embed_steps(samples)
    np.testing.assert_allclose(found / found[:, 1:], wanted, rtol=1e-5)
    mean = steps.pool_steps(found, 2)
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(mean[0], sum(found[:2]) / np.linalg.norm(sum(found[:2])), rtol=1e-5)


def test_they_are_not_the_vectors_of_an_index() -> None:
    steps = step_embedder(Sums())
    assert steps.steps_fingerprint.windowing.startswith("shared steps of 500 samples")
    assert steps.steps_fingerprint.differences(Sums.fingerprint) == ["windowing"]
    assert step_embedder(Sums(), window_s=2.0).steps_fingerprint != steps.steps_fingerprint
    assert step_embedder(steps) is steps  # type: ignore[arg-type]


@given(n=st.integers(1, 300), first=st.integers(0, 20), n_steps=st.integers(1, 8))
def test_a_part_with_its_margins_has_the_steps_of_the_whole(
    n: int, first: int, n_steps: int
) -> None:
    steps = step_embedder(Sums(), window_s=0.02)
    samples = np.random.default_rng(n).normal(size=n).astype(np.float32)
    whole = steps.embed_steps(samples)
    assert len(whole) == -(-n // 10)
    padded = np.pad(samples, 10)
    part = padded[first * 10 :][: (n_steps + 2) * 10]
    found = steps.embed_steps(part)[1 : 1 + n_steps]
    wanted = whole[first : first + n_steps]
    np.testing.assert_array_equal(found[: len(wanted)], wanted)


def test_a_band_needs_an_embedder_with_bands() -> None:
    with pytest.raises(ModelError, match=r"sums: .* leave out --fmin-hz and --fmax-hz"):
        step_embedder(Sums()).embed_steps(np.ones(100, np.float32), band_hz=(100.0, 200.0))
    with pytest.raises(ValueError, match="window_s=0"):
        step_embedder(Sums(), window_s=0.0)


@given(n=st.integers(1, 40), length=st.integers(1, 40), seed=st.integers(0, 9))
def test_sliding_maxima_and_sums_are_those_of_each_window(n: int, length: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    length = min(n, length)
    windows = [rows[i : i + length] for i in range(n - length + 1)]
    np.testing.assert_allclose(
        sliding_maxima(rows, length), [each.max(axis=0) for each in windows], rtol=1e-6
    )
    np.testing.assert_allclose(
        sliding_sums(rows, length), [each.sum(axis=0) for each in windows], atol=1e-12
    )
