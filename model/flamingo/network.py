"""The network of Audio Flamingo v1: an audio transformer, gated cross-attention and OPT.

Kong et al., "Audio Flamingo" (ICML 2024, arXiv 2402.01831), as its released code computes
it; the numbers are checked against that code's outputs. Shapes use B prompts, T tokens,
S audio slots of W windows each, L = S * W windows, D audio features, H hidden units.

The decoder is OPT (Zhang et al., arXiv 2205.01068), written out here because packing many
answers behind one prompt needs access to its masks and positions (``decoding``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.model.flamingo.audio import sinusoids
from earful.model.flamingo.config import (
    AUDIO_NORM_EPS,
    NORM_EPS,
    POSITION_OFFSET,
    FlamingoConfig,
)
from earful.model.flamingo.masks import CrossMask, causal_bias, cross_mask, positions_of


def position_table(n_windows: int, dim: int) -> Tensor:
    """Return ``sinusoids`` as a tensor: float32, shape ``(n_windows, dim)``."""
    return torch.from_numpy(sinusoids(n_windows, dim))


def _split(x: Tensor, n_heads: int) -> Tensor:
    batch, length, dim = x.shape
    return x.view(batch, length, n_heads, dim // n_heads).transpose(1, 2)


def _join(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)


class _AudioAttention(nn.Module):
    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(dim, dim, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (_split(project(x), self.n_heads) for project in (self.q, self.k, self.v))
        attended: Tensor = self.out(_join(functional.scaled_dot_product_attention(q, k, v)))
        return attended


class _AudioLayer(nn.Module):
    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        dim = config.audio_dim
        self.attention = _AudioAttention(dim, config.audio_heads)
        self.attention_norm = nn.LayerNorm(dim, eps=AUDIO_NORM_EPS)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, config.audio_ffn_dim), nn.ReLU(), nn.Linear(config.audio_ffn_dim, dim)
        )
        self.feed_forward_norm = nn.LayerNorm(dim, eps=AUDIO_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x))
        normed: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return normed


class AudioTransformer(nn.Module):
    """Self-attention over the windows of all slots, without any mask.

    An audio's output depends on the audios beside it and on the number of empty slots.

    Shape:
        ``(B, L, D) -> (B, L, D)``.
    """

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.audio_dim, eps=AUDIO_NORM_EPS)
        self.layers = nn.ModuleList(_AudioLayer(config) for _ in range(config.audio_layers))

    def forward(self, features: Tensor) -> Tensor:
        """Transform window features; see the class for the shapes."""
        _, n_windows, dim = features.shape
        positions = position_table(n_windows, dim).to(features)
        x: Tensor = self.norm(features * math.sqrt(dim) + positions)
        for layer in self.layers:
            x = layer(x)
        return x


class CrossAttention(nn.Module):
    """Cross-attention of text to windows; keys and values are computed once per prompt.

    Shape:
        text ``(B, T, H)``, keys and values each ``(B, heads, L, head_dim)`` -> ``(B, T, H)``.
    """

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        inner = config.cross_heads * config.cross_head_dim
        self.n_heads = config.cross_heads
        self.norm = nn.LayerNorm(config.hidden_dim, eps=NORM_EPS)
        self.q = nn.Linear(config.hidden_dim, inner, bias=False)
        self.kv = nn.Linear(config.audio_dim, 2 * inner, bias=False)
        self.out = nn.Linear(inner, config.hidden_dim, bias=False)

    def keys_values(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Project the audio transformer's output ``(B, L, D)``."""
        keys, values = self.kv(audio).chunk(2, dim=-1)
        return _split(keys, self.n_heads), _split(values, self.n_heads)

    def forward(self, x: Tensor, media: tuple[Tensor, Tensor], mask: CrossMask) -> Tensor:
        """Attend; see the class for the shapes."""
        keys, values = media
        q = self._queries(x, mask)
        attended = functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask.bias)
        projected: Tensor = self.out(_join(attended))
        return projected

    def weights(self, x: Tensor, media: tuple[Tensor, Tensor], mask: CrossMask) -> Tensor:
        """Return the attention weight of each window at each position.

        Returns:
            Shape ``(B, heads, T, L)``; rows sum to 1.
        """
        q = self._queries(x, mask)
        scores = q @ media[0].transpose(-1, -2) / math.sqrt(q.shape[-1])
        return torch.softmax(scores + mask.bias, dim=-1)

    def _queries(self, x: Tensor, mask: CrossMask) -> Tensor:
        q = _split(self.q(self.norm(x)), self.n_heads)
        # A position that may see nothing looks at all windows equally, as in the release.
        return q if mask.sees_any is None else q * mask.sees_any


class GatedCrossLayer(nn.Module):
    """Cross-attention and feed-forward, each behind a tanh gate.

    Shape:
        As ``CrossAttention``.
    """

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.attention = CrossAttention(config)
        self.attn_gate = nn.Parameter(torch.zeros(1))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim, eps=NORM_EPS),
            nn.Linear(dim, 4 * dim, bias=False),
            nn.GELU(),
            nn.Linear(4 * dim, dim, bias=False),
        )
        self.ff_gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, media: tuple[Tensor, Tensor], mask: CrossMask) -> Tensor:
        """Add the audio's contribution; see the class for the shapes."""
        x = x + self.attention(x, media, mask) * self.attn_gate.tanh()
        fed: Tensor = x + self.feed_forward(x) * self.ff_gate.tanh()
        return fed


class KeyValueCache:
    """Cache of self-attention keys and values of the tokens read so far.

    Args:
        config: Sizes.
        batch: B.
        capacity: Most tokens.
        like: A tensor whose dtype and device the cache takes.

    Attributes:
        length: Number of tokens held; lower it to forget the last ones.
    """

    def __init__(self, config: FlamingoConfig, batch: int, capacity: int, like: Tensor) -> None:
        head_dim = config.hidden_dim // config.n_heads
        shape = (config.n_layers, batch, config.n_heads, capacity, head_dim)
        self._keys = like.new_empty(shape)
        self._values = like.new_empty(shape)
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write a layer's keys and values behind ``length`` and return all of them."""
        end = self.length + keys.shape[2]
        self._keys[layer, :, :, self.length : end] = keys
        self._values[layer, :, :, self.length : end] = values
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]


class _SelfAttention(nn.Module):
    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, bias: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        q, k, v = (_split(project(x), self.n_heads) for project in (self.q, self.k, self.v))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        projected: Tensor = self.out(_join(attended))
        return projected


class _DecoderLayer(nn.Module):
    """One pre-norm OPT layer."""

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.self_attention_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.self_attention = _SelfAttention(dim, config.n_heads)
        self.feed_forward_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.ReLU(), nn.Linear(config.ffn_dim, dim)
        )

    def forward(self, x: Tensor, bias: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        x = x + self.self_attention(self.self_attention_norm(x), bias, cache, layer)
        fed: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return fed


def _table(n_rows: int, dim: int, *, padding_idx: int | None = None) -> nn.Embedding:
    rows = torch.empty(n_rows, dim)
    table = nn.Embedding(n_rows, dim, padding_idx=padding_idx, _weight=rows)
    # For normal random numbers on the meta device, torch imports its compiler, for seconds.
    if not rows.is_meta:
        table.reset_parameters()
    return table


class Decoder(nn.Module):
    """OPT decoder with gated blocks before its layers.

    Shape:
        ids and positions ``(B, T)``, bias broadcastable to ``(B, heads, T, K)`` with K
        tokens held and new, one media pair per gated block -> hidden states ``(B, T, H)``.
    """

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.latest_audio_layers = config.latest_audio_layers
        self.embed_tokens = _table(config.vocab_size, dim, padding_idx=config.pad_id)
        self.embed_positions = _table(config.max_positions + POSITION_OFFSET, dim)
        self.layers = nn.ModuleList(_DecoderLayer(config) for _ in range(config.n_layers))
        self.cross_layers = nn.ModuleDict(
            {str(layer): GatedCrossLayer(config) for layer in config.cross_layers}
        )
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        bias: Tensor,
        media: Sequence[tuple[Tensor, Tensor]],
        mask: CrossMask,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Read tokens; see the class for the shapes."""
        x = self.embed_tokens(ids) + self.embed_positions(positions + POSITION_OFFSET)
        blocks = dict(zip(self.cross_layers, media, strict=True))
        for number, layer in enumerate(self.layers):
            if (name := str(number)) in blocks:
                seen = mask.latest if number < self.latest_audio_layers else mask
                x = self.cross_layers[name](x, blocks[name], seen)
            x = layer(x, bias, cache, number)
        if cache is not None:
            cache.length += ids.shape[1]
        normed: Tensor = self.norm(x)
        return normed


class Flamingo(nn.Module):
    """Audio Flamingo without its window encoder.

    Args:
        config: Sizes and ids.
    """

    def __init__(self, config: FlamingoConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_transformer = AudioTransformer(config)
        self.decoder = Decoder(config)
        if not config.tied_embeddings:
            self.lm_head = nn.Linear(config.hidden_dim, config.vocab_size, bias=False)

    def read_audio(self, features: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Compute the keys and values that the gated blocks attend to.

        Args:
            features: shape ``(B, L, D)``; a window without audio holds the encoder's
                output for silence, because it takes part in the audio transformer.

        Returns:
            Keys and values, each ``(B, heads, L, head_dim)``, a pair per gated block.
        """
        audio = self.audio_transformer(features.to(self.dtype))
        return [
            layer.attention.keys_values(audio)
            for layer in self.decoder.cross_layers.values()
            if isinstance(layer, GatedCrossLayer)
        ]

    def logits(self, hidden: Tensor) -> Tensor:
        """Project hidden states ``(…, H)`` to logits ``(…, V)``."""
        table = self.decoder.embed_tokens if self.config.tied_embeddings else self.lm_head
        return functional.linear(hidden, table.weight)

    def forward(
        self, ids: Tensor, attention_mask: Tensor, features: Tensor, window_mask: Tensor
    ) -> Tensor:
        """Read whole prompts at once.

        Args:
            ids: int64, shape ``(B, T)``, padded on the right.
            attention_mask: shape ``(B, T)``; 0 where padded.
            features: shape ``(B, L, D)``; see ``read_audio``.
            window_mask: shape ``(B, L)``; 0 for a window without audio.

        Returns:
            Logits, shape ``(B, T, V)``; those of padding mean nothing.

        Raises:
            ValueError: A text has no place for audio.
        """
        return self.logits(self.read(ids, attention_mask, features, window_mask))

    def read(
        self, ids: Tensor, attention_mask: Tensor, features: Tensor, window_mask: Tensor
    ) -> Tensor:
        """Read whole prompts at once, like ``forward``; return hidden states ``(B, T, H)``."""
        mask = cross_mask(
            ids == self.config.audio_id,
            window_mask,
            windows_per_audio=self.config.windows_per_audio,
            dtype=self.dtype,
            with_latest=self.config.latest_audio_layers > 0,
        )
        hidden: Tensor = self.decoder(
            ids,
            positions_of(attention_mask),
            causal_bias(attention_mask, self.dtype),
            self.read_audio(features),
            mask,
        )
        return hidden

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.decoder.embed_tokens.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.decoder.embed_tokens.weight.device
