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
        self._layers: list[_Convolution | _Product] = [_Convolution(network.first, size, stride=2)]
        size = (size[0] // 2, size[1] // 2)
        # A module's parts are untyped.
        pairs: Any = zip(network.depthwise, network.pointwise, PAIRS, strict=True)
        for depthwise, pointwise, (_, stride) in pairs:
            self._layers.append(_Convolution(depthwise, size, stride=stride))
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


class _Convolution:
    """A mirrored convolution of 3 x 3, on maps with a margin of zeros, and ReLU.

    Args:
        convolution: The one of ``Network``: of a single channel, or each channel by itself.
        size: Height and width of the maps that it reads.
        stride: In both directions.

    Maps have the shape ``(n, height, width, channels)`` here.
    """

    def __init__(self, convolution: Any, size: tuple[int, int], *, stride: int) -> None:
        self._how = ([1, 1], [stride, stride], [1, 1], int(convolution.groups))
        mirrored = convolution.weight.detach().flip(2, 3).to_mkldnn()
        shape = [PATCHES_AT_ONCE, int(convolution.in_channels), *size]
        self._weight: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(
            mirrored, *self._how, shape
        )
        self._bias: Tensor = convolution.bias.detach()

    def __call__(self, maps: Tensor) -> Tensor:
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps.permute(0, 3, 1, 2), self._weight, self._bias, *self._how, "relu", [], ""
        )
        return convolved.permute(0, 2, 3, 1)


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
