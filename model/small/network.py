"""The narrowed network of ``earful-small``: that of ``earful-tiny`` at half its arithmetic.

The responses of a 3x3 convolution lie close to a space of fewer dimensions than it has filters.
So each but the first becomes a 3x3 convolution with ``RANKS`` filters, which are mixtures of the
original's, and a 1x1 convolution back (X. Zhang, J. Zou, K. He and J. Sun, "Accelerating Very
Deep Convolutional Networks for Classification and Detection", TPAMI 2016). What is stored are the
two mixtures of each (``Factors``); the original's filters are those that ``earful-tiny`` ships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.runtime import OnnxNetwork
from earful.model.tiny import CHANNELS

RANKS: Final = {1: 32, 2: 48, 3: 48, 4: 96, 5: 96, 6: 192, 7: 192}
"""Filters of a narrowed convolution, by its number in the original."""
WINDOWS_AT_ONCE: Final = 2
"""The first maps of so many lie in one core's caches; more at once take longer."""

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """Two mixtures of responses that stand for one convolution.

    Attributes:
        narrow: float32, shape ``(rank, width)``; mixes the original's filters.
        widen: float32, shape ``(width, rank)``; mixes what they give.
        bias: float32, shape ``(width,)``.
    """

    narrow: Numbers
    widen: Numbers
    bias: Numbers

    def filters(self, original: Numbers) -> Numbers:
        """Mix the original's filters, ``(width, n, 3, 3)``, to ``(rank, n, 3, 3)``."""
        width, *shape = original.shape
        return (self.narrow @ original.reshape(width, -1)).reshape(-1, *shape)


def factor_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the factors, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, rank in RANKS.items():
        width = CHANNELS[number + 1]
        shapes[f"{number}.narrow"] = (rank, width)
        shapes[f"{number}.widen"] = (width, rank)
        shapes[f"{number}.bias"] = (width,)
    return shapes


class NarrowNetwork:
    """Frames ``(n, 100, 96)`` to ``(n, 512)``, as the original does.

    Args:
        trunk: Tensors of the network that ships with ``earful-tiny``.
        factors: By the number of the convolution that they narrow.
    """

    def __init__(self, trunk: Mapping[str, Numbers], factors: Mapping[int, Factors]) -> None:
        weights: dict[str, Numbers] = {}
        for number in range(len(CHANNELS) - 1):
            weight, bias = (trunk[f"convolutions.{number}.{part}"] for part in ("weight", "bias"))
            if number in RANKS:
                own = factors[number]
                weight, bias = own.filters(weight), own.bias
                weights[f"{number}.widen"] = own.widen[:, :, None, None]
            weights[f"{number}.weight"], weights[f"{number}.bias"] = weight, bias
        self._weights = weights
        self._network = OnnxNetwork("earful.model.small", "weights/narrow.onnx", weights)

    def __call__(self, frames: Numbers) -> Numbers:
        """Encode windows independently of each other."""
        return self._network(frames)

    def over_time(self) -> OnnxNetwork:
        """Make the same network without its maximum over time.

        Returns:
            Frames ``(n, n_frames, 96)`` to ``(n, n_frames // 8, 512)``.
        """
        return OnnxNetwork("earful.model.small", "weights/steps.onnx", self._weights)
