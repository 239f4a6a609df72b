from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from earful.model.runtime import fill, read_part
from earful.model.tiny import AudioHead, FrontEnd, Network, TextTower, read_release
from earful.model.tiny.frames import window_starts
from earful.model.tiny.network import MAX_TEXT_TOKENS

Samples = NDArray[np.float32]
N_TOKENS = 30


@pytest.fixture(scope="module")
def shipped() -> Network:
    return fill(Network(), read_part(read_release(), "trunk"), "trunk")


@pytest.fixture(scope="module")
def copying() -> Network:
    """Return a network whose first channel is its input, pooled, and the others nothing."""
    network = Network()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    for convolution in network.convolutions:
        assert isinstance(convolution, torch.nn.Conv2d)
        with torch.no_grad():
            convolution.weight[0, 0, 1, 1] = 1.0
    return network.requires_grad_(False)


# --- the convolutional network ----------------------------------------------------------


@pytest.mark.parametrize("n_samples", [30_000, 99 * 1024, 149 * 1024])
def test_outputs_equal_the_published_package(
    shipped: Network,
    wave: Callable[[int], Samples],
    published: Mapping[str, Samples],
    n_samples: int,
) -> None:
    frames = FrontEnd(torch.device("cpu")).frames(wave(n_samples))
    # The package fills a short window with silence, of which a frame is zeros.
    filled = functional.pad(frames, (0, 0, 0, max(0, 100 - len(frames))))
    starts = window_starts(len(filled))
    outputs = shipped(torch.stack([filled[start : start + 100] for start in starts]))
    wanted = published[f"{n_samples}.outputs"]
    assert outputs.shape == wanted.shape
    # Weights rounded to fp16 change the outputs by less than this.
    np.testing.assert_allclose(outputs, wanted, atol=2e-3 * np.abs(wanted).max())


def test_the_mean_over_bands_at_the_best_time_worked_by_hand(copying: Network) -> None:
    frames = torch.zeros(2, 16, 96)
    frames[0, 3, :48] = 1.0  # the lower half of one frame,
    frames[0, 12, 95] = 2.0  # and one band of another
    frames[1, 12, 90:96] = 6.0
    outputs = copying(frames)
    assert outputs.shape == (2, 512)
    # Pooled three times the map is 2x12: half a frame covers 6 of 12 places, a band one.
    torch.testing.assert_close(outputs[:, 0], torch.tensor([1 / 2, 6 / 12]))
    assert not outputs[:, 1:].any()


def test_windows_are_encoded_each_by_itself(shipped: Network) -> None:
    frames = torch.rand(3, 100, 96, generator=torch.Generator().manual_seed(0))
    kept = frames.clone()
    with torch.inference_mode():
        together = shipped(frames)
        for row, window in zip(together, frames, strict=True):
            torch.testing.assert_close(row, shipped(window[None])[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(frames, kept)


# --- the head ---------------------------------------------------------------------------


def test_a_head_worked_by_hand() -> None:
    head = AudioHead(dim=2).requires_grad_(False)
    head.project.weight.zero_()
    head.project.weight[0, 0] = 3.0
    head.project.weight[1, 511] = 2.0
    head.shift[511] = 1.0
    outputs = torch.zeros(2, 512)
    outputs[0, [0, 511]] = torch.tensor([1.0, 3.0])  # 3 * 1 and 2 * (3 - 1)
    torch.testing.assert_close(head(outputs), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


# --- the text tower ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def tower() -> TextTower:
    torch.manual_seed(0)
    made = TextTower(vocab_size=N_TOKENS, dim=8, width=12, n_layers=2, n_heads=3)
    return made.eval().requires_grad_(False)


@settings(max_examples=20)
@given(
    st.lists(
        st.lists(st.integers(0, N_TOKENS - 1), min_size=1, max_size=MAX_TEXT_TOKENS),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, N_TOKENS - 1),
)
def test_padding_changes_nothing(tower: TextTower, rows: list[list[int]], padding: int) -> None:
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in rows])
    together = tower(ids, mask)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(rows)))
    for vector, row in zip(together, rows, strict=True):
        alone = tower(torch.tensor([row]), torch.ones(1, len(row)))[0]
        torch.testing.assert_close(vector, alone, atol=1e-5, rtol=1e-5)


def test_the_order_of_tokens_matters(tower: TextTower) -> None:
    forth, back = tower(torch.tensor([[3, 4, 5], [5, 4, 3]]), torch.ones(2, 3))
    assert (forth - back).abs().max() > 1e-3
