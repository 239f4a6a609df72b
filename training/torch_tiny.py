"""The networks of ``earful-tiny`` in torch, as they are trained and narrowed.

``model/tiny`` computes the same with ONNX Runtime, without torch; tests hold the two together.
The audio tower is the published ``aisfx`` network (``Network``) and a linear head, which weights
its outputs by how well they tell labels apart across recordings. The text tower is a small
transformer. ``training/clap`` trained head and text tower.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.model.tiny import CHANNELS, MAX_TEXT_TOKENS, OUTPUT_DIM, POOLED


class Network(nn.Module):
    """Convolutional encoder: frames ``(n, n_frames, 96)`` to ``(n, 512)``.

    Eight 3x3 convolutions, each followed by ReLU, with 2x2 max-pooling after the second,
    fourth and sixth; then the mean over mel bands and the maximum over time. The original's
    batch normalisation is folded into the convolutions' weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, padding=1)
            for before, after in pairwise(CHANNELS)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Encode windows independently of each other."""
        maps = frames.unsqueeze(1)
        for number, convolution in enumerate(self.convolutions):
            maps = torch.relu_(convolution(maps))
            if number in POOLED:
                maps = functional.max_pool2d(maps, 2)
        return maps.mean(dim=3).amax(dim=2)


class AudioHead(nn.Module):
    """Linear head: outputs of ``Network`` to the shared space.

    Args:
        dim: Dimensions of the shared space.

    Shape:
        ``(n, 512) -> (n, dim)``, unit rows.
    """

    shift: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(OUTPUT_DIM))
        self.project = nn.Linear(OUTPUT_DIM, dim, bias=False)

    def forward(self, outputs: Tensor) -> Tensor:
        """Project; see the class for the shapes."""
        return functional.normalize(self.project(outputs - self.shift), dim=-1)


class _TextLayer(nn.Module):
    def __init__(self, dim: int, n_heads: int, ffn_dim: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, ffn_dim), nn.GELU(), nn.Linear(ffn_dim, dim)
        )

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        batch, length, dim = x.shape
        heads = self.qkv(self.attention_norm(x)).view(batch, length, 3, self.n_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, dim))
        fed: Tensor = x + self.feed_forward(x)
        return fed


class TextTower(nn.Module):
    """Text tower: token ids to the shared space.

    Args:
        vocab_size: Number of tokens.
        dim: Dimensions of the shared space.
        width: Width of the transformer.
        n_layers: Layers of the transformer.
        n_heads: Attention heads of a layer.

    Shape:
        ids and mask ``(n, T)``, T up to ``MAX_TEXT_TOKENS`` -> ``(n, dim)``, unit rows.
    """

    def __init__(
        self, *, vocab_size: int, dim: int, width: int = 192, n_layers: int = 2, n_heads: int = 3
    ) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, width)
        self.embed_positions = nn.Embedding(MAX_TEXT_TOKENS, width)
        self.layers = nn.ModuleList(_TextLayer(width, n_heads, 2 * width) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, dim, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode texts; ``mask`` is 0 where padded. See the class for the shapes."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.embed_tokens(ids) + self.embed_positions(positions)
        visible = mask.bool()[:, None, None]
        for layer in self.layers:
            x = layer(x, visible)
        weights = mask[:, :, None].to(x)
        mean = (self.norm(x) * weights).sum(dim=1) / weights.sum(dim=1)
        return functional.normalize(self.project(mean), dim=-1)
