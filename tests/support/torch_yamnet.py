"""YAMNet in torch, written out: what the graph that ships is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.model.yamnet import EMBEDDING_DIM, FIRST_CHANNELS, N_CLASSES, PAIRS


class TorchYamnet(nn.Module):
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


def random_yamnet() -> TorchYamnet:
    """Return a network whose weights let differences through all layers."""
    torch.manual_seed(0)
    network = TorchYamnet().eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        n_inputs = tensor[0].numel() if name.endswith(".weight") else 200
        tensor.normal_(std=(2 / n_inputs) ** 0.5)
    return network
