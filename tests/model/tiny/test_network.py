"""The networks on ONNX Runtime against those that training has in torch."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training import torch_tiny

from earful.model.tiny import (
    MAX_TEXT_TOKENS,
    AudioHead,
    FrontEnd,
    TextTower,
    Trunk,
    read_release,
    read_trunk,
    text_shapes,
    trunk_shapes,
)
from earful.model.tiny.frames import window_starts

Samples = NDArray[np.float32]
N_TOKENS, DIM = 30, 8


@pytest.fixture(scope="module")
def shipped() -> Trunk:
    return Trunk(read_trunk(read_release()))


@pytest.fixture(scope="module")
def copying() -> Trunk:
    """Return a network whose first channel is its input, pooled, and the others nothing."""
    tensors = {name: np.zeros(shape, np.float32) for name, shape in trunk_shapes().items()}
    for name, tensor in tensors.items():
        if name.endswith("weight"):
            tensor[0, 0, 1, 1] = 1.0
    return Trunk(tensors)


# --- the convolutional network ----------------------------------------------------------


@pytest.mark.parametrize("n_samples", [30_000, 99 * 1024, 149 * 1024])
def test_outputs_equal_the_published_package(
    shipped: Trunk,
    wave: Callable[[int], Samples],
    published: Mapping[str, Samples],
    n_samples: int,
) -> None:
    frames = FrontEnd().frames(wave(n_samples))
    # The package fills a short window with silence, of which a frame is zeros.
    filled = np.pad(frames, ((0, max(0, 100 - len(frames))), (0, 0)))
    starts = window_starts(len(filled))
    outputs = shipped(np.stack([filled[start : start + 100] for start in starts]))
    wanted = published[f"{n_samples}.outputs"]
    assert outputs.shape == wanted.shape
    # Weights rounded to fp16 change the outputs by less than this.
    np.testing.assert_allclose(outputs, wanted, atol=2e-3 * np.abs(wanted).max())


def test_outputs_are_those_of_the_network_that_training_has(shipped: Trunk) -> None:
    plain = torch_tiny.Network().eval().requires_grad_(False)
    tensors = read_trunk(read_release())
    plain.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    frames = torch.rand(3, 100, 96, generator=torch.Generator().manual_seed(0))
    wanted = plain(frames).numpy()
    np.testing.assert_allclose(shipped(frames.numpy()), wanted, atol=1e-5 * np.abs(wanted).max())


def test_the_mean_over_bands_at_the_best_time_worked_by_hand(copying: Trunk) -> None:
    frames = np.zeros((2, 16, 96), np.float32)
    frames[0, 3, :48] = 1.0  # the lower half of one frame,
    frames[0, 12, 95] = 2.0  # and one band of another
    frames[1, 12, 90:96] = 6.0
    outputs = copying(frames)
    assert outputs.shape == (2, 512)
    # Pooled three times the map is 2x12: half a frame covers 6 of 12 places, a band one.
    np.testing.assert_allclose(outputs[:, 0], [1 / 2, 6 / 12], rtol=1e-6)
    assert not outputs[:, 1:].any()


def test_windows_are_encoded_each_by_itself(shipped: Trunk) -> None:
    frames = np.random.default_rng(0).random((3, 100, 96), np.float32)
    kept = frames.copy()
    together = shipped(frames)
    for row, window in zip(together, frames, strict=True):
        np.testing.assert_allclose(row, shipped(window[None])[0], atol=1e-5, rtol=1e-5)
    assert np.array_equal(frames, kept)


# --- the head ---------------------------------------------------------------------------


def test_a_head_worked_by_hand() -> None:
    project, shift = np.zeros((2, 512), np.float32), np.zeros(512, np.float32)
    project[0, 0], project[1, 511], shift[511] = 3.0, 2.0, 1.0
    head = AudioHead({"project.weight": project, "shift": shift})
    outputs = np.zeros((2, 512), np.float32)
    outputs[0, [0, 511]] = 1.0, 3.0  # 3 * 1 and 2 * (3 - 1)
    np.testing.assert_allclose(head(outputs), [[0.6, 0.8], [0.0, -1.0]])


# --- the text tower ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_tower() -> torch_tiny.TextTower:
    torch.manual_seed(0)
    made = torch_tiny.TextTower(vocab_size=N_TOKENS, dim=DIM)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tower(plain_tower: torch_tiny.TextTower) -> TextTower:
    tensors = {name: tensor.numpy() for name, tensor in plain_tower.state_dict().items()}
    assert {name: x.shape for name, x in tensors.items()} == text_shapes(N_TOKENS, DIM)
    return TextTower(tensors)


@settings(max_examples=20)
@given(
    st.lists(
        st.lists(st.integers(0, N_TOKENS - 1), min_size=1, max_size=MAX_TEXT_TOKENS),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, N_TOKENS - 1),
)
def test_it_is_the_tower_that_training_has_and_padding_changes_nothing(
    tower: TextTower, plain_tower: torch_tiny.TextTower, rows: list[list[int]], padding: int
) -> None:
    longest = max(map(len, rows))
    ids = np.array([[*row, *[padding] * (longest - len(row))] for row in rows])
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], np.float32)
    together = tower(ids, mask)
    wanted = plain_tower(torch.from_numpy(ids), torch.from_numpy(mask))
    np.testing.assert_allclose(together, wanted.numpy(), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0)
    for vector, row in zip(together, rows, strict=True):
        (alone,) = tower(np.array([row]), np.ones((1, len(row)), np.float32))
        np.testing.assert_allclose(vector, alone, atol=1e-5, rtol=1e-5)


def test_the_order_of_tokens_matters(tower: TextTower) -> None:
    forth, back = tower(np.array([[3, 4, 5], [5, 4, 3]]), np.ones((2, 3), np.float32))
    assert np.abs(forth - back).max() > 1e-3
