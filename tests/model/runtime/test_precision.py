"""When rough vectors will do: by hand, by scale and rotation, and against a plain reading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.runtime import agreement, precision


def vectors(seed: int, n: int = 8, dim: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim))


@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3))
def test_neither_scale_nor_rotation_matters(seed: int, scale: float) -> None:
    exact = vectors(seed)
    turned, _ = np.linalg.qr(vectors(seed + 1, 16))
    assert agreement(exact @ turned, scale * exact @ turned).suffices
    found = agreement(exact, exact)
    assert found.cosine == pytest.approx(1.0)
    assert found.lost == pytest.approx(0.0, abs=1e-12)


@given(seed=st.integers(0, 999), size=st.sampled_from([0.001, 0.05, 0.3, 1.0]))
def test_both_numbers_are_those_of_a_plain_reading(seed: int, size: float) -> None:
    exact = vectors(seed)
    rough = exact + size * vectors(seed + 1)

    def centred(rows: np.ndarray) -> list[np.ndarray]:
        unit = [row / np.sqrt(row @ row) for row in rows]
        mean = sum(unit) / len(unit)
        return [(row - mean) / np.sqrt((row - mean) @ (row - mean)) for row in unit]

    one, other = centred(exact), centred(rough)
    lost = 0.0
    for row in range(8):
        rest = [at for at in range(8) if at != row]
        true = sorted((one[row] @ one[at] for at in rest), reverse=True)[:3]
        nearest = sorted(rest, key=lambda at: -(other[row] @ other[at]))[:3]
        reached = sorted((one[row] @ one[at] for at in nearest), reverse=True)
        lost = max([lost, *(a - b for a, b in zip(true, reached, strict=True))])
    found = agreement(exact, rough)
    assert found.cosine == pytest.approx(min(a @ b for a, b in zip(one, other, strict=True)))
    assert found.lost == pytest.approx(lost, abs=1e-9)


def test_a_common_direction_does_not_hide_that_neighbours_are_lost() -> None:
    apart = 0.01 * vectors(0)
    common = np.zeros(16)
    common[0] = 1.0
    exact, rough = common + apart, common + apart[::-1]
    cosines = (exact * rough).sum(axis=1)
    cosines /= np.linalg.norm(exact, axis=1) * np.linalg.norm(rough, axis=1)
    assert cosines.min() > 0.99  # which would have passed
    assert not agreement(exact, rough).suffices


@pytest.mark.parametrize("worst", [np.nan, np.inf, 0.0])
def test_vectors_that_are_none_do_not_suffice(worst: float) -> None:
    rough = vectors(0)
    rough[3] = worst
    assert not agreement(vectors(0), rough).suffices


def test_the_sounds_differ_and_are_always_the_same() -> None:
    sounds = precision.test_sounds(48_000, 48_000)
    assert sounds.shape == (16, 48_000)
    assert sounds.dtype == np.float32
    assert np.abs(sounds).max() == pytest.approx(0.5)
    assert np.array_equal(sounds, precision.test_sounds(48_000, 48_000))
    unit = sounds / np.linalg.norm(sounds, axis=1, keepdims=True)
    assert (np.abs(unit @ unit.T) - np.eye(16)).max() < 0.95
