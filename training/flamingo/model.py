"""A Flamingo to be trained from scratch: its sizes, and weights that learn quickly.

Gates are open, since there is no pretrained decoder to protect. The decoder begins with
what attention would have to find first, in the manner of mimetic initialisation (Trockman
and Kolter, arXiv 2305.09828): in the first layer one head looks at the token before; all
other heads look at positions with like audio, whose queries and keys agree on the subspace
that audio is written into; and values are passed on as they are, which copies tokens.
Without it, names are copied after 500 steps and more; with it, after 100.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from earful.model.flamingo import Flamingo, GatedCrossLayer
from earful.model.flamingo_config import FlamingoConfig

_EMBEDDING_STD = 0.07
_LINEAR_STD = 0.02
_AUDIO_GAIN = 0.08
_MATCH_GAIN = 0.5
_BEFORE_GAIN = 0.8
_PASSED_ON = 0.5
_HIGHEST_FREQUENCY = math.pi
_LOWEST_FREQUENCY = 0.05


def sizes(
    vocab_size: int, *, audio_dim: int, hidden_dim: int = 128, n_layers: int = 3
) -> FlamingoConfig:
    """Return the sizes of the small Flamingo."""
    return FlamingoConfig(
        audio_dim=audio_dim,
        # The audio transformer is its norm and its places: with a layer, names were found later.
        audio_layers=0,
        audio_heads=4,
        audio_ffn_dim=audio_dim,
        windows_per_audio=4,
        hidden_dim=hidden_dim,
        n_layers=n_layers,
        # Few and wide: a head compares sounds by one product of its whole width.
        n_heads=2,
        ffn_dim=2 * hidden_dim,
        max_positions=1024,
        vocab_size=vocab_size,
        latest_audio_layers=n_layers - 1,
        cross_heads=2,
        # Audio is written into two thirds of the space; words and places need some, too.
        cross_head_dim=hidden_dim // 3,
        audio_id=vocab_size - 3,
        end_of_chunk_id=vocab_size - 2,
        separator_id=vocab_size - 1,
    )


def initialise(model: Flamingo, generator: torch.Generator) -> None:
    """Set all weights; see the module."""
    config = model.config
    dim, inner = config.hidden_dim, config.cross_heads * config.cross_head_dim

    def orthogonal(width: int) -> Tensor:
        found: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
        return found

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.weight.normal_(std=_EMBEDDING_STD, generator=generator)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(std=_LINEAR_STD, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
        basis = orthogonal(dim)
        for_audio, for_places = basis[:, :inner], basis[:, inner:]
        read = orthogonal(max(config.audio_dim, inner))[:inner, : config.audio_dim]
        for block in model.decoder.cross_layers.values():
            block = cast(GatedCrossLayer, block)
            block.attn_gate.fill_(1.0)
            block.ff_gate.fill_(1.0)
            block.attention.kv.weight[inner:].copy_(read)
            block.attention.out.weight.copy_(_AUDIO_GAIN * for_audio)
        for layer in model.decoder.layers:
            match = _MATCH_GAIN * orthogonal(dim) @ for_audio @ for_audio.T
            values = orthogonal(dim)
            _project(layer, "q").add_(match)
            _project(layer, "k").add_(match)
            _project(layer, "v").copy_(values)
            _project(layer, "out").copy_(_PASSED_ON * values.T)
        _look_before(model, for_places, orthogonal(dim))


def _look_before(model: Flamingo, for_places: Tensor, elsewhere: Tensor) -> None:
    """Let the first head of the first layer look at the token before.

    Places are random Fourier features, so one step back is a rotation of them. What stood
    before is written in other directions than what stands here.
    """
    config = model.config
    head_dim = config.hidden_dim // config.n_heads
    n = min(for_places.shape[1], head_dim) // 2
    frequencies = torch.linspace(_LOWEST_FREQUENCY, _HIGHEST_FREQUENCY, n)
    n_places = model.decoder.embed_positions.num_embeddings
    angles = torch.arange(n_places)[:, None] * frequencies
    waves = torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(n)
    model.decoder.embed_positions.weight.copy_(waves @ for_places[:, : 2 * n].T)
    back = torch.zeros(2 * n, 2 * n)
    rows = torch.arange(n)
    back[rows, rows] = back[rows + n, rows + n] = frequencies.cos()
    back[rows, rows + n] = frequencies.sin()
    back[rows + n, rows] = -frequencies.sin()
    first = model.decoder.layers[0]
    for name, turn in (("q", back), ("k", torch.eye(2 * n))):
        weight = _project(first, name)
        weight[:head_dim].zero_()
        weight[: 2 * n].copy_(_BEFORE_GAIN * turn @ for_places[:, : 2 * n].T)
    _project(first, "out")[:, :head_dim].copy_(_PASSED_ON * elsewhere[:, :head_dim])


def _project(layer: nn.Module, name: str) -> Tensor:
    return cast(nn.Linear, layer.get_submodule(f"self_attention.{name}")).weight
