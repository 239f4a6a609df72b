"""The network of YAMNet: MobileNet v1, with batch normalisation folded into its weights.

A convolution, then thirteen pairs of one that looks at each channel by itself (depthwise) and
one that mixes the channels of each place (pointwise), and a linear classifier. A pointwise
convolution is written as what it is, a product of matrices: on a CPU that is faster than the
convolution, and gives the same bits with any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING_DIM: Final = 1024
N_CLASSES: Final = 521
FIRST_CHANNELS: Final = 32
# Channels that a pair gives, and its stride.
PAIRS: Final = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (EMBEDDING_DIM, 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """What one of the 27 convolutions is, for those who bring its weights.

    Attributes:
        name: In ``Network``.
        n_inputs: Channels that it reads.
        n_outputs: Channels that it gives.
        kernel_size: 3, or 1 where it is pointwise.
        stride: In both directions.
        is_depthwise: Whether each channel is looked at by itself.
    """

    name: str
    n_inputs: int
    n_outputs: int
    kernel_size: int
    stride: int
    is_depthwise: bool = False


def convolutions() -> Iterator[Convolution]:
    """Yield the convolutions in the order in which a patch goes through them."""
    yield Convolution(name="first", n_inputs=1, n_outputs=FIRST_CHANNELS, kernel_size=3, stride=2)
    before = FIRST_CHANNELS
    for number, (after, stride) in enumerate(PAIRS):
        yield Convolution(
            name=f"depthwise.{number}",
            n_inputs=before,
            n_outputs=before,
            kernel_size=3,
            stride=stride,
            is_depthwise=True,
        )
        yield Convolution(
            name=f"pointwise.{number}", n_inputs=before, n_outputs=after, kernel_size=1, stride=1
        )
        before = after


class Network(nn.Module):
    """Patches of log-mel frames, ``(n, 96, 64)``, to embeddings, ``(n, 1024)``, none below 0.

    ``classifier`` maps an embedding, or a mean of some, to 521 logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, FIRST_CHANNELS, kernel_size=3, stride=2)
        self.depthwise = nn.ModuleList()
        self.pointwise = nn.ModuleList()
        before = FIRST_CHANNELS
        for after, stride in PAIRS:
            # A stride of 1 takes zeros on all sides; see _pad for 2.
            padding = 1 if stride == 1 else 0
            self.depthwise.append(
                nn.Conv2d(before, before, 3, stride=stride, padding=padding, groups=before)
            )
            self.pointwise.append(nn.Linear(before, after))
            before = after
        self.classifier = nn.Linear(EMBEDDING_DIM, N_CLASSES)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches, each by itself."""
        # Channels last: what a pointwise product reads lies side by side.
        maps = patches.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        maps = torch.relu_(self.first(_pad(maps)))
        for depthwise, pointwise, (_, stride) in zip(
            self.depthwise, self.pointwise, PAIRS, strict=True
        ):
            maps = torch.relu_(depthwise(maps if stride == 1 else _pad(maps)))
            maps = torch.relu_(pointwise(maps.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return maps.mean(dim=(2, 3))


def _pad(maps: Tensor) -> Tensor:
    """Add zeros where TensorFlow's "same" adds them for a stride of 2: at the end only."""
    return functional.pad(maps, (0, 1, 0, 1))
