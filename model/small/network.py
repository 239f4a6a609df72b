"""The narrowed network of ``earful-small``: that of ``earful-tiny`` at half its arithmetic.

The responses of a 3x3 convolution lie close to a space of fewer dimensions than it has filters.
So each but the first becomes a 3x3 convolution with ``RANKS`` filters, which are mixtures of the
original's, and a 1x1 convolution back (X. Zhang, J. Zou, K. He and J. Sun, "Accelerating Very
Deep Convolutional Networks for Classification and Detection", TPAMI 2016). What is stored are the
two mixtures of each (``Factors``); the original's filters are those that ``earful-tiny`` ships.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.model.runtime import can_pack
from earful.model.tiny import CHANNELS, N_MELS, POOLED, WINDOW_FRAMES, Network
from earful.model.yamnet import PackedConvolution

RANKS: Final = {1: 32, 2: 48, 3: 48, 4: 96, 5: 96, 6: 192, 7: 192}
"""Filters of a narrowed convolution, by its number in ``Network``."""
WINDOWS_AT_ONCE: Final = 2
"""The first maps of so many lie in one core's caches; more at once take longer."""


class Factors(nn.Module):
    """Two mixtures of responses: ``narrow``, then ``widen`` with ``bias``.

    Args:
        width: Filters of the original convolution.
        rank: Numbers between the two.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.narrow = nn.Parameter(torch.empty(rank, width))
        self.widen = nn.Parameter(torch.empty(width, rank))
        self.bias = nn.Parameter(torch.empty(width))

    def filters(self, original: Tensor) -> Tensor:
        """Mix the original's filters, ``(width, n, 3, 3)``, to ``(rank, n, 3, 3)``."""
        mixed = torch.einsum("rc,cikl->rikl", self.narrow.double(), original.double())
        return mixed.float()


def new_factors() -> nn.ModuleDict:
    """Return factors without values, by the number of the convolution that they narrow."""
    return nn.ModuleDict(
        {str(number): Factors(CHANNELS[number + 1], rank) for number, rank in RANKS.items()}
    )


class NarrowNetwork:
    """Frames ``(n, 100, 96)`` to ``(n, 512)``, as ``Network`` does; for inference only.

    Args:
        original: The network that ships with ``earful-tiny``.
        factors: As ``new_factors`` returns them, filled.
        device: Where to compute.
        packed: Whether oneDNN's convolutions are used where they are there; they include the
            ReLU and find their weights in the order in which they read them.
    """

    def __init__(
        self,
        original: Network,
        factors: nn.ModuleDict,
        device: torch.device,
        *,
        packed: bool = True,
    ) -> None:
        packs = packed and device.type == "cpu" and can_pack(torch.float32)
        self._layers: list[list[_Convolution | PackedConvolution]] = []

        def make(weight: Tensor, bias: Tensor | None, *, relu: bool) -> Any:
            if not packs:
                return _Convolution(weight, bias, relu=relu)
            shape = (WINDOWS_AT_ONCE, weight.shape[1], *size)
            return PackedConvolution(weight, bias, shape, relu=relu)

        size = (WINDOW_FRAMES, N_MELS)
        # A module's parts are untyped.
        convolutions: Any = original.convolutions
        for number, convolution in enumerate(convolutions):
            weight, bias = convolution.weight.detach(), convolution.bias.detach()
            if number in RANKS:
                own: Any = factors[str(number)]
                narrow = own.filters(weight).to(device)
                widen = own.widen.detach()[:, :, None, None].to(device)
                steps = [
                    make(narrow, None, relu=False),
                    make(widen, own.bias.detach().to(device), relu=True),
                ]
            else:
                steps = [make(weight.to(device), bias.to(device), relu=True)]
            self._layers.append(steps)
            if number in POOLED:
                size = (size[0] // 2, size[1] // 2)

    def __call__(self, frames: Tensor) -> Tensor:
        """Encode windows independently of each other."""
        maps = frames.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        for number, steps in enumerate(self._layers):
            for step in steps:
                maps = step(maps)
            if number in POOLED:
                maps = functional.max_pool2d(maps, 2)
        return maps.mean(dim=3).amax(dim=2)


class _Convolution:
    """A convolution that keeps the size of its maps; see ``PackedConvolution``."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, relu: bool) -> None:
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = bias
        self._relu = relu

    def __call__(self, maps: Tensor) -> Tensor:
        padding = self._weight.shape[2] // 2
        found = functional.conv2d(maps, self._weight, self._bias, padding=padding)
        return found.relu_() if self._relu else found
