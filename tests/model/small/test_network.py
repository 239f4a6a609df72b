import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from earful.model.runtime import without_weights
from earful.model.small import RANKS, Factors, NarrowNetwork, new_factors
from earful.model.small import network as room
from earful.model.small.frames import window_groups, window_starts
from earful.model.tiny import FrontEnd, Network

CPU = torch.device("cpu")


@pytest.fixture
def original() -> Network:
    torch.manual_seed(0)
    return Network().eval().requires_grad_(False)


@pytest.fixture
def factors() -> torch.nn.ModuleDict:
    generator = torch.Generator().manual_seed(0)
    made = new_factors().requires_grad_(False)
    for part in made.parameters():
        part.copy_(torch.randn(part.shape, generator=generator) / max(part.shape) ** 0.5)
    return made


def frames(n: int) -> Tensor:
    return torch.rand(n, 100, 96, generator=torch.Generator().manual_seed(n))


def test_a_narrowed_convolution_is_its_product_by_hand() -> None:
    """Two filters, the place itself and the one above it, and one number between."""
    own = Factors(2, 1).requires_grad_(False)
    own.narrow.copy_(torch.tensor([[1.0, 10.0]]))
    own.widen.copy_(torch.tensor([[2.0], [-1.0]]))
    own.bias.copy_(torch.tensor([0.5, 0.0]))
    filters = torch.zeros(2, 1, 3, 3)
    filters[0, 0, 1, 1] = filters[1, 0, 0, 1] = 1.0
    maps = torch.tensor([[[[3.0], [4.0]]]])
    # Responses are 3 and 4 in place, 0 and 3 above: 3 + 10 * 0 = 3, and 4 + 10 * 3 = 34.
    inner = functional.conv2d(maps, own.filters(filters), padding=1)
    assert inner.flatten().tolist() == [3.0, 34.0]
    found = functional.conv2d(inner, own.widen[:, :, None, None], own.bias)
    assert found.flatten().tolist() == [6.5, 68.5, -3.0, -34.0]


@pytest.mark.parametrize("packed", [True, False])
def test_it_computes_what_the_original_would_with_the_products(
    original: Network, factors: torch.nn.ModuleDict, packed: bool
) -> None:
    given = frames(3)
    with torch.inference_mode():
        found = NarrowNetwork(original, factors, CPU, packed=packed)(given)
        for number in RANKS:
            convolution, own = original.convolutions[number], factors[str(number)]
            assert isinstance(convolution, torch.nn.Conv2d)
            assert isinstance(own, Factors)
            mixed = torch.einsum("dr,rcij->dcij", own.widen, own.filters(convolution.weight))
            convolution.weight.copy_(mixed)
            convolution.bias.copy_(own.bias)  # type: ignore[union-attr]
        wanted = original(given)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert found.shape == (3, 512)


def test_where_torch_lacks_the_operators_it_does_without(
    original: Network, factors: torch.nn.ModuleDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.inference_mode():
        packed = NarrowNetwork(original, factors, CPU)(frames(1))
        monkeypatch.setattr(room, "can_pack", lambda dtype: False)
        plain = NarrowNetwork(original, factors, CPU)(frames(1))
    torch.testing.assert_close(packed, plain, atol=1e-6, rtol=1e-5)


def test_factors_are_a_fraction_of_the_network() -> None:
    with without_weights():
        size = sum(part.numel() for part in new_factors().parameters())
        whole = sum(part.numel() for part in Network().parameters())
    assert size < 0.12 * whole


def test_windows_lie_side_by_side_and_the_last_at_the_end() -> None:
    assert window_starts(100) == [0]
    assert window_starts(101) == [0, 1]
    assert window_starts(300) == [0, 100, 200]
    assert window_starts(450) == [0, 100, 200, 300, 350]
    front_end = FrontEnd(CPU)
    samples = np.random.default_rng(0).normal(scale=0.1, size=449 * 1024).astype(np.float32)
    groups = list(window_groups(front_end, samples))
    assert [len(group) for group in groups] == [2, 2, 1]
    torch.testing.assert_close(groups[2][0], front_end.frames(samples)[350:])
