"""The narrowed network against torch's convolutions with the products of its factors."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional
from training import torch_tiny

from earful.model.small import RANKS, Factors, NarrowNetwork, factor_shapes
from earful.model.small.frames import window_groups, window_starts
from earful.model.tiny import FrontEnd, trunk_shapes


@pytest.fixture
def original() -> torch_tiny.Network:
    torch.manual_seed(0)
    return torch_tiny.Network().eval().requires_grad_(False)


@pytest.fixture
def factors() -> dict[int, Factors]:
    rng = np.random.default_rng(0)

    def drawn(number: int, part: str) -> NDArray[np.float32]:
        shape = factor_shapes()[f"{number}.{part}"]
        return np.asarray(rng.standard_normal(shape) / max(shape) ** 0.5, np.float32)

    return {
        number: Factors(
            narrow=drawn(number, "narrow"),
            widen=drawn(number, "widen"),
            bias=drawn(number, "bias"),
        )
        for number in RANKS
    }


def test_a_narrowed_convolution_is_its_product_by_hand() -> None:
    """Two filters, the place itself and the one above it, and one number between."""
    own = Factors(
        narrow=np.array([[1.0, 10.0]], np.float32),
        widen=np.array([[2.0], [-1.0]], np.float32),
        bias=np.array([0.5, 0.0], np.float32),
    )
    filters = np.zeros((2, 1, 3, 3), np.float32)
    filters[0, 0, 1, 1] = filters[1, 0, 0, 1] = 1.0
    maps = torch.tensor([[[[3.0], [4.0]]]])
    # Responses are 3 and 4 in place, 0 and 3 above: 3 + 10 * 0 = 3, and 4 + 10 * 3 = 34.
    inner = functional.conv2d(maps, torch.from_numpy(own.filters(filters)), padding=1)
    assert inner.flatten().tolist() == [3.0, 34.0]
    widen, bias = torch.from_numpy(own.widen), torch.from_numpy(own.bias)
    found = functional.conv2d(inner, widen[:, :, None, None], bias)
    assert found.flatten().tolist() == [6.5, 68.5, -3.0, -34.0]


def test_it_computes_what_the_original_would_with_the_products(
    original: torch_tiny.Network, factors: dict[int, Factors]
) -> None:
    frames = torch.rand(3, 100, 96, generator=torch.Generator().manual_seed(3))
    trunk = {name: tensor.numpy().copy() for name, tensor in original.state_dict().items()}
    found = NarrowNetwork(trunk, factors)(frames.numpy())
    for number, own in factors.items():
        convolution = original.convolutions[number]
        assert isinstance(convolution, torch.nn.Conv2d)
        filters = torch.from_numpy(own.filters(trunk[f"convolutions.{number}.weight"]))
        mixed = torch.einsum("dr,rcij->dcij", torch.from_numpy(own.widen), filters)
        convolution.weight.copy_(mixed)
        convolution.bias.copy_(torch.from_numpy(own.bias))  # type: ignore[union-attr]
    wanted = original(frames).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-4)
    assert found.shape == (3, 512)


def test_factors_are_a_fraction_of_the_network() -> None:
    size, whole = (
        sum(int(np.prod(shape)) for shape in shapes.values())
        for shapes in (factor_shapes(), trunk_shapes())
    )
    assert size < 0.12 * whole


def test_windows_lie_side_by_side_and_the_last_at_the_end() -> None:
    assert window_starts(100) == [0]
    assert window_starts(101) == [0, 1]
    assert window_starts(300) == [0, 100, 200]
    assert window_starts(450) == [0, 100, 200, 300, 350]
    front_end = FrontEnd()
    samples = np.random.default_rng(0).normal(scale=0.1, size=449 * 1024).astype(np.float32)
    groups = list(window_groups(front_end, samples))
    assert [len(group) for group in groups] == [2, 2, 1]
    np.testing.assert_array_equal(groups[2][0], front_end.frames(samples)[350:])
