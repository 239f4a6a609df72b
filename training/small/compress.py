"""Narrow the trunk's convolutions, layer by layer, by reduced-rank regression.

A narrowed network reads what its own layers before made of a window, which is not what the
original made of it. So each layer is fitted to give the original's responses, before ReLU, from
the responses that the original's filters would have to the narrowed network's maps: what the
layers before lost is made good as far as it can be (X. Zhang et al., TPAMI 2016, section 3.3,
with the linear solution of its section 3.1). Of all maps of rank r, the best is the full
regression, projected on the r axes in which what it predicts varies most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from training.torch_tiny import Network

from earful.model.small import RANKS, Factors
from earful.model.tiny import POOLED

N_WINDOWS = 450
N_POSITIONS = 27_000
"""Places in maps that a layer is fitted on, spread over the windows."""
_MOST_OF_A_WINDOW = 600
_AT_ONCE = 4
_RIDGE = 1e-6
"""Of the mean variance: where the responses say nothing, they stay as they are."""


def narrow(
    trunk: Network,
    windows: Tensor,
    *,
    seed: int = 0,
    on_layer: Callable[[int, float], None] | None = None,
) -> dict[int, Factors]:
    """Fit the factors of every convolution but the first.

    Args:
        trunk: The original.
        windows: Frames of training clips, shape ``(n, 100, 96)``.
        seed: Of the places that are looked at.
        on_layer: Told the number of each layer and its squared error after ReLU, against the
            original's square.

    Returns:
        Factors by the number of their layer, rounded to float16 as they are stored.
    """
    factors: dict[int, Factors] = {}
    generator = torch.Generator().manual_seed(seed)
    n_places = min(_MOST_OF_A_WINDOW, max(1, N_POSITIONS // len(windows)))
    for number, rank in RANKS.items():
        wanted, given = [], []
        for original, narrowed in _maps_before(trunk, factors, windows, number):
            theirs = _convolve(trunk, number, original)
            ours = _convolve(trunk, number, narrowed, bias=False)
            size = (len(theirs), n_places)
            places = torch.randint(theirs[0, 0].numel(), size, generator=generator)
            wanted.append(_at(theirs, places))
            given.append(_at(ours, places))
        targets, responses = torch.cat(wanted), torch.cat(given)
        widen, narrowing, bias = (x.half().float() for x in reduced_rank(targets, responses, rank))
        factors[number] = Factors(narrow=narrowing.numpy(), widen=widen.numpy(), bias=bias.numpy())
        if on_layer:
            found = responses @ narrowing.double().T @ widen.double().T + bias.double()
            lost = (found.relu() - targets.relu()).square().sum()
            on_layer(number, float(lost / targets.relu().square().sum()))
    return factors


def reduced_rank(targets: Tensor, responses: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the map of some rank that predicts targets from responses.

    Args:
        targets: float64, shape ``(n, width)``.
        responses: float64, shape ``(n, width)``; the map that changes nothing is the one that is
            taken where they are too few to say.
        rank: Axes between.

    Returns:
        ``widen``, ``(width, rank)``, ``narrow``, ``(rank, width)``, and ``bias``, ``(width,)``:
        ``responses @ narrow.T @ widen.T + bias`` is near to the targets.
    """
    about, before = targets.mean(dim=0), responses.mean(dim=0)
    inputs = responses - before
    change = targets - about - inputs
    covariance = inputs.T @ inputs / len(inputs)
    ridge = _RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    regression = torch.linalg.solve(covariance + ridge, inputs.T @ change / len(inputs)).T
    regression += torch.eye(len(covariance), dtype=torch.float64)
    axes = torch.linalg.eigh(regression @ covariance @ regression.T)[1][:, -rank:]
    narrowing = axes.T @ regression
    return axes, narrowing, about - axes @ narrowing @ before


def _maps_before(
    trunk: Network, factors: Mapping[int, Factors], windows: Tensor, stop: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the original's maps and the narrowed network's before a layer, some windows at a time.

    They are computed anew for each layer: kept, they would take gigabytes.
    """
    # A module's parts are untyped.
    layers: Any = trunk.convolutions
    parts = {
        number: (
            torch.from_numpy(own.filters(layers[number].weight.numpy())),
            torch.from_numpy(own.widen)[:, :, None, None],
            torch.from_numpy(own.bias),
        )
        for number, own in factors.items()
        if number < stop
    }
    for some in torch.split(windows, _AT_ONCE):
        original = some.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        narrowed = original
        for number in range(stop):
            original = _convolve(trunk, number, original).relu_()
            if number in parts:
                filters, widen, bias = parts[number]
                inner = functional.conv2d(narrowed, filters, padding=1)
                narrowed = functional.conv2d(inner, widen, bias).relu_()
            else:
                narrowed = _convolve(trunk, number, narrowed).relu_()
            if number in POOLED:
                original = functional.max_pool2d(original, 2)
                narrowed = functional.max_pool2d(narrowed, 2)
        yield original, narrowed


def _convolve(trunk: Network, number: int, maps: Tensor, *, bias: bool = True) -> Tensor:
    layers: Any = trunk.convolutions
    own = layers[number]
    return functional.conv2d(maps, own.weight, own.bias if bias else None, padding=1)


def _at(maps: Tensor, places: Tensor) -> Tensor:
    """Return the responses at some places of each map, float64, shape ``(n, width)``."""
    n, width = maps.shape[:2]
    index = places[:, None].expand(n, width, places.shape[1])
    found = maps.flatten(2).gather(2, index)
    return found.permute(0, 2, 1).reshape(-1, width).double()
