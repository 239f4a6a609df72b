"""Evidence as features of a slot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earful.model.small import (
    N_CHANNELS,
    N_DESCRIPTORS,
    AcousticScale,
    channels,
    features_of_clip,
    features_of_label,
    likeness,
)


def scale(seed: int = 0) -> AcousticScale:
    rng = np.random.default_rng(seed)
    n = N_DESCRIPTORS
    return AcousticScale(
        rng.normal(size=n), rng.uniform(0.5, 2, n), rng.normal(size=n) / 9, rng.normal(size=(n, n))
    )


def test_channels_of_a_label_a_recording_and_the_query() -> None:
    label = channels(similarity=0.8, heard=2.0, acoustics=-0.25, is_label=True)
    assert label.tolist() == pytest.approx([1.0, 0.5, -0.25, 1, 1, 1, 0, 1])
    assert channels(similarity=0.3, acoustics=0.5).tolist() == [0, 0, 0.5, 0, 1, 0, 0, 1]
    assert channels(is_query=True).tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert channels(similarity=0.3, heard=1e9, is_label=True)[1] == 2.0
    assert label.shape == (N_CHANNELS,)


def test_a_recording_and_a_label_have_vectors_of_one_length() -> None:
    own = channels(similarity=0.8)
    windows = np.eye(5)[:2]
    clip, label = features_of_clip(windows, own), features_of_label(5, own)
    assert clip.shape == (2, 5 + N_CHANNELS)
    assert label.shape == (1, 5 + N_CHANNELS)
    assert np.linalg.norm(clip[:, :5], axis=1).tolist() == [4.0, 4.0]
    assert np.linalg.norm(label[:, :5]) == 4.0
    np.testing.assert_array_equal(clip[:, 5:], [own, own])


def test_likeness_of_one_exemplar_is_its_cosine() -> None:
    query = np.eye(3)[0]
    assert likeness(np.array([[0.6, 0.8, 0.0]]), query) == pytest.approx(0.6)


@given(arrays(np.float64, (4, 3), elements=st.floats(-1, 1)))
def test_likeness_lies_between_the_mean_and_the_highest(rows: np.ndarray) -> None:
    query = np.eye(3)[0]
    found = likeness(rows, query)
    assert rows[:, 0].mean() - 1e-9 <= found <= rows[:, 0].max() + 1e-9
    # How many exemplars there are counts for nothing.
    assert likeness(np.concatenate([rows, rows]), query) == pytest.approx(found)


def test_a_scale_is_stored_as_it_is() -> None:
    one = scale()
    again = AcousticScale.from_tensors(one.tensors())
    descriptors = np.random.default_rng(1).normal(size=(4, N_DESCRIPTORS))
    rows = one.rows(descriptors)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    np.testing.assert_allclose(again.rows(descriptors), rows, atol=1e-5)
    # What is far out counts for no more than three deviations.
    far = one.mean + 1e6 * one.scale
    np.testing.assert_allclose(one.standardise(far), 3.0)


def test_a_scale_of_another_shape_is_refused() -> None:
    tensors = scale().tensors()
    with pytest.raises(ValueError, match=r"shift has the shape \(2,\), expected"):
        AcousticScale.from_tensors({**tensors, "shift": np.zeros(2, dtype=np.float32)})
    with pytest.raises(KeyError):
        AcousticScale.from_tensors({"mean": tensors["mean"]})
