"""YAMNet's network for a CPU: the same numbers in fewer passes over memory.

The plain network copies maps to add zeros where a stride is 2, has a pass of its own for each
ReLU, and writes its first maps, the largest, to memory that is far away. oneDNN's convolutions
and products include zeros and ReLU, and the first maps are made of so few patches at a time
that a core's caches hold them. The operators are those that ``torch.compile`` emits for CPUs;
where they are missing, ``pack_for_cpu`` returns the network unchanged.

TensorFlow's "same" adds zeros at the end only where a stride is 2, oneDNN as many at the
beginning. So everything is mirrored here: what is the end of a patch is the beginning of its
mirror image.

``benchmarks/trunks.py`` measures it; ``tests/model/yamnet/test_network_cpu.py`` compares it
with ``Network``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earful.model.runtime import can_pack
from earful.model.yamnet.front_end import N_MELS, PATCH_FRAMES
from earful.model.yamnet.network import PAIRS, Network

PATCHES_AT_ONCE = 32
"""What weights are packed for; with fewer, it takes longer to read them than to multiply."""
# The first maps of so many fit into one core's caches, and calls are still few.
_FIRST_AT_ONCE = 16
# The fourth depthwise convolution is the last of the first ones: its maps are a sixteenth.
_N_FIRST = 8


def pack_for_cpu(network: Network) -> Network | PackedNetwork:
    """Pack a network that stays on this CPU.

    Returns:
        A ``PackedNetwork``, or the network itself where this build of torch lacks the operators.
    """
    return PackedNetwork(network) if can_pack(torch.float32) else network


class PackedNetwork:
    """Patches, ``(n, 96, 64)``, to what ``Network`` makes of them; for inference only.

    Args:
        network: With its weights; those of the convolutions are copied.
    """

    def __init__(self, network: Network) -> None:
        size = (PATCH_FRAMES, N_MELS)
        self._layers: list[_Mirrored | _Product] = [_Mirrored(network.first, size, stride=2)]
        size = (size[0] // 2, size[1] // 2)
        # A module's parts are untyped.
        pairs: Any = zip(network.depthwise, network.pointwise, PAIRS, strict=True)
        for depthwise, pointwise, (_, stride) in pairs:
            self._layers.append(_Mirrored(depthwise, size, stride=stride))
            size = (size[0] // stride, size[1] // stride)
            self._layers.append(_Product(pointwise, size))

    def __call__(self, patches: Tensor) -> Tensor:
        """Embed patches, each by itself; see ``Network.forward``."""
        mirrored = patches.flip(1, 2).unsqueeze(3)
        firsts = []
        for maps in torch.split(mirrored, _FIRST_AT_ONCE):
            for layer in self._layers[:_N_FIRST]:
                maps = layer(maps)
            firsts.append(maps)
        maps = torch.cat(firsts)
        for layer in self._layers[_N_FIRST:]:
            maps = layer(maps)
        return maps.mean(dim=(1, 2))


class PackedConvolution:
    """A convolution with zeros around its maps, packed for oneDNN; on a CPU only.

    Args:
        weight: Shape ``(after, before, 3, 3)`` or ``(after, before, 1, 1)``.
        bias: Shape ``(after,)``, or ``None``.
        shape: Of the maps that it is packed for: number, channels, height and width.
        stride: In both directions.
        groups: Number of groups of channels, each by itself.
        relu: Whether numbers below 0 become 0.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        shape: Sequence[int],
        *,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        self._how = ([weight.shape[2] // 2] * 2, [stride] * 2, [1, 1], groups)
        self._weight: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            weight, *self._how, shape
        )
        self._bias = bias
        self._then = "relu" if relu else "none"

    def __call__(self, maps: Tensor) -> Tensor:
        """Convolve maps, ``(n, before, height, width)``, channels last in memory."""
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, self._weight, self._bias, *self._how, self._then, [], ""
        )
        return found


class _Mirrored(PackedConvolution):
    """A convolution of ``Network``, mirrored, on maps ``(n, height, width, channels)``."""

    def __init__(self, convolution: Any, size: tuple[int, int], *, stride: int) -> None:
        super().__init__(
            convolution.weight.detach().flip(2, 3),
            convolution.bias.detach(),
            [PATCHES_AT_ONCE, convolution.in_channels, *size],
            stride=stride,
            groups=convolution.groups,
        )

    def __call__(self, maps: Tensor) -> Tensor:
        return super().__call__(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class _Product:
    """A pointwise convolution and ReLU: a product packed for oneDNN."""

    def __init__(self, linear: Any, size: tuple[int, int]) -> None:
        n_rows = PATCHES_AT_ONCE * size[0] * size[1]
        weight = linear.weight.detach()
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, n_rows)
        self._bias: Tensor = linear.bias.detach()

    def __call__(self, maps: Tensor) -> Tensor:
        mixed: Tensor = torch.ops.mkldnn._linear_pointwise(
            maps, self._weight, self._bias, "relu", [], ""
        )
        return mixed
