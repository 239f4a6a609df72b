"""HTSAT, the audio encoder of CLAP models: a Swin transformer over a folded log-mel spectrogram.

Chen et al., "HTS-AT" (ICASSP 2022, arXiv 2202.00874). One module serves the audio towers of
LAION-CLAP and MS-CLAP, whose published implementations it equals up to float rounding.

A spectrogram is cut into chunks of time that are stacked to a square image, and the image
into patches, the tokens. Tokens lie in memory window by window, so that attention within
windows moves no data; only shifted windows and the merging of patches gather, once each.
Shapes use n spectrograms, T tokens, C channels, H heads, W windows of A tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.errors import ModelError

_NORM_EPS = 1e-5
_OUTSIDE = -100.0
"""Added to the attention score of two tokens that only the cyclic shift put side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HtsatConfig:
    """Sizes; the defaults are those of MS-CLAP and of LAION's HTSAT-tiny.

    Attributes:
        n_mels: Number of bands of the spectrogram.
        spec_size: Height and width of the folded image.
        patch_size: Height and width of a patch.
        embed_dim: Channels of the first stage; each later one has twice as many.
        depths: Number of blocks of each stage.
        n_heads: Number of attention heads of each stage.
        window_size: Height and width of an attention window, in tokens.
        mlp_ratio: Hidden width of a block divided by its channels.
        block_norm_eps: Epsilon of the layer norms in the blocks; all others have 1e-5.
    """

    n_mels: int = 64
    spec_size: int = 256
    patch_size: int = 4
    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    n_heads: tuple[int, ...] = (4, 8, 16, 32)
    window_size: int = 8
    mlp_ratio: float = 4.0
    block_norm_eps: float = _NORM_EPS

    def __post_init__(self) -> None:
        if not self.depths or len(self.depths) != len(self.n_heads):
            raise ModelError(
                f"depths={self.depths} and n_heads={self.n_heads}: expected one of each per stage"
            )
        if self.spec_size % self.n_mels or self.spec_size % self.patch_size:
            raise ModelError(
                f"spec_size={self.spec_size} does not divide by n_mels={self.n_mels} "
                f"and patch_size={self.patch_size}"
            )
        for stage, (grid, n_heads) in enumerate(zip(self.grids, self.n_heads, strict=True)):
            if grid < 1 or grid % self.window_size:
                raise ModelError(
                    f"stage {stage} has {grid} by {grid} tokens, which do not divide into "
                    f"windows of {self.window_size}"
                )
            if (self.embed_dim << stage) % n_heads:
                raise ModelError(
                    f"stage {stage} has {self.embed_dim << stage} channels, which do not divide "
                    f"into {n_heads} heads"
                )

    @property
    def grids(self) -> tuple[int, ...]:
        """Height and width of each stage, in tokens.

        >>> HtsatConfig().grids
        (64, 32, 16, 8)
        """
        return tuple(self.spec_size // self.patch_size >> stage for stage in range(self.n_stages))

    @property
    def n_stages(self) -> int:
        """Number of stages."""
        return len(self.depths)

    @property
    def latent_dim(self) -> int:
        """Channels of the last stage."""
        return self.embed_dim << (self.n_stages - 1)

    @property
    def max_frames(self) -> int:
        """Longest spectrogram, in frames; a shorter one is interpolated to this length."""
        return self.spec_size * (self.spec_size // self.n_mels)


class Htsat(nn.Module):
    """HTSAT: maps log-mel spectrograms to vectors."""

    def __init__(self, config: HtsatConfig) -> None:
        super().__init__()
        self.config = config
        self.mel_norm = nn.BatchNorm1d(config.n_mels, eps=_NORM_EPS)
        self.patch_projection = nn.Linear(config.patch_size**2, config.embed_dim)
        self.patch_norm = nn.LayerNorm(config.embed_dim, eps=_NORM_EPS)
        self.stages = nn.ModuleList(_Stage(config, stage) for stage in range(config.n_stages))
        self.norm = nn.LayerNorm(config.latent_dim, eps=_NORM_EPS)

    def forward(self, decibels: Tensor) -> Tensor:
        """Compute the latent of each spectrogram: the mean of its normed tokens.

        Args:
            decibels: float32, shape ``(n, frames, n_mels)``; at most ``max_frames``.

        Returns:
            float32, shape ``(n, latent_dim)``.

        Raises:
            ValueError: The spectrograms have another shape.
        """
        tokens = self._run(self.patches(self.image(decibels)))
        latent: Tensor = self.norm(tokens).mean(dim=1)
        return latent

    def tokens(self, decibels: Tensor) -> Tensor:
        """Compute the tokens before the final norm.

        Args:
            decibels: As for ``forward``.

        Returns:
            Shape ``(n, grid * grid, latent_dim)``, the last stage's image row by row.
        """
        tokens: Tensor = self._run(self.patches(self.image(decibels)))
        return tokens[:, _rank(_windowed(self.config.grids[-1], self.config.window_size))]

    def image(self, decibels: Tensor) -> Tensor:
        """Normalise, interpolate and fold spectrograms.

        Args:
            decibels: As for ``forward``.

        Returns:
            Shape ``(n, spec_size, spec_size)``; row ``chunk * n_mels + band``, column the
            time within the chunk.

        Raises:
            ValueError: The spectrograms have another shape.
        """
        config = self.config
        n, n_frames, n_mels = decibels.shape
        if n_mels != config.n_mels or not 1 < n_frames <= config.max_frames:
            raise ValueError(
                f"{n_frames} frames of {n_mels} bands: expected 2 to {config.max_frames} "
                f"frames of {config.n_mels} bands"
            )
        level = self.mel_norm(decibels.to(self.mel_norm.weight.dtype).flatten(0, 1))
        picture = level.view(n, 1, n_frames, n_mels)
        if n_frames < config.max_frames:
            picture = functional.interpolate(
                picture, (config.max_frames, n_mels), mode="bicubic", align_corners=True
            )
        chunks: Tensor = picture.view(n, -1, config.spec_size, n_mels)
        return chunks.transpose(2, 3).reshape(n, config.spec_size, config.spec_size)

    def patches(self, image: Tensor) -> Tensor:
        """Project the patches of an image.

        Args:
            image: shape ``(n, spec_size, spec_size)``.

        Returns:
            Shape ``(n, T, embed_dim)``, window by window.
        """
        size, window = self.config.patch_size, self.config.window_size
        n_windows = self.config.grids[0] // window
        cells = image.view(len(image), n_windows, window, size, n_windows, window, size)
        pixels = cells.permute(0, 1, 4, 2, 5, 3, 6).reshape(len(image), -1, size * size)
        tokens: Tensor = self.patch_norm(self.patch_projection(pixels))
        return tokens

    def set_precision(self, dtype: torch.dtype) -> None:
        """Set the precision in which the blocks multiply matrices.

        Norms, and the sums that run through all blocks, keep their precision.
        """
        for module in self.modules():
            if isinstance(module, (_WindowAttention, _FeedForward)):
                module.to(dtype)

    def _run(self, tokens: Tensor) -> Tensor:
        for stage in self.stages:
            tokens = stage(tokens)
        return tokens


class _Stage(nn.Module):
    """Blocks with regular and shifted windows in turn, then a merging of patches."""

    def __init__(self, config: HtsatConfig, stage: int) -> None:
        super().__init__()
        dim, grid = config.embed_dim << stage, config.grids[stage]
        # Where one window is the whole image, there is nothing to shift.
        shift = config.window_size // 2 if grid > config.window_size else 0
        self.blocks = nn.ModuleList(
            _Block(config, dim, config.n_heads[stage], grid, shift * (block % 2))
            for block in range(config.depths[stage])
        )
        is_last = stage == config.n_stages - 1
        self.merge = None if is_last else _Merge(dim, grid, config.window_size)

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens)
        return tokens if self.merge is None else self.merge(tokens)


class _Block(nn.Module):
    def __init__(self, config: HtsatConfig, dim: int, n_heads: int, grid: int, shift: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=config.block_norm_eps)
        self.attention = _WindowAttention(dim, n_heads, grid, config.window_size, shift)
        self.feed_forward_norm = nn.LayerNorm(dim, eps=config.block_norm_eps)
        self.feed_forward = _FeedForward(dim, int(dim * config.mlp_ratio))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens))
        mixed: Tensor = tokens + self.feed_forward(self.feed_forward_norm(tokens))
        return mixed


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = functional.gelu(self.widen(tokens.to(self.widen.weight.dtype)))
        mixed: Tensor = self.narrow(hidden)
        return mixed


class _WindowAttention(nn.Module):
    """Attention among the tokens of a window, with a learned bias for each offset."""

    order: Tensor
    places: Tensor
    offsets: Tensor
    outside: Tensor

    def __init__(self, dim: int, n_heads: int, grid: int, window: int, shift: int) -> None:
        super().__init__()
        self.n_heads, self.area, self.shift = n_heads, window * window, shift
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, n_heads))
        self._bias: tuple[object, Tensor] | None = None
        _keep(self, "offsets", _offsets(window))
        if shift:
            order = _rank(_windowed(grid, window))[_windowed(grid, window, shift)]
            _keep(self, "order", order)
            _keep(self, "places", _rank(order))
            _keep(self, "outside", _outside(grid, window, shift))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``(n, T, C)`` to the same shape."""
        n, n_tokens, dim = tokens.shape
        tokens = tokens.to(self.qkv.weight.dtype)
        split = (n, n_tokens // self.area, self.area, 3, self.n_heads, dim // self.n_heads)
        if not self.shift:
            # Windows join the batch: (n * W, H, A, C / H), and one bias (H, A, A) serves all.
            q, k, v = self.qkv(tokens).view(-1, *split[2:]).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._scores()[None])
            joined: Tensor = self.out(seen.transpose(1, 2).reshape(n, n_tokens, dim))
            return joined
        # Windows at the edge have a mask of their own, so here they join the heads:
        # (n, W * H, A, C / H), and one bias (W * H, A, A) serves the batch.
        qkv = self.qkv(tokens[:, self.order]).view(split)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._scores()[None])
        seen = seen.view(n, split[1], self.n_heads, self.area, -1).transpose(2, 3)
        shifted: Tensor = self.out(seen.reshape(n, n_tokens, dim))
        return shifted[:, self.places]

    def _scores(self) -> Tensor:
        """Return the bias of the attention scores, ``(H, A, A)`` or ``(W * H, A, A)``.

        It is cached until the table changes (a change through ``.data`` goes unnoticed), and
        never cached while learning.
        """
        table = self.bias_table
        if torch.is_grad_enabled() and table.requires_grad:
            return self._compute_scores()
        version = 0 if table.is_inference() else table._version
        state = (table.device, table.dtype, table.data_ptr(), version)
        if self._bias is None or self._bias[0] != state:
            # Kept for later calls, which may be outside of inference mode.
            with torch.inference_mode(False), torch.no_grad():
                self._bias = (state, self._compute_scores())
        return self._bias[1]

    def _compute_scores(self) -> Tensor:
        bias = self.bias_table[self.offsets].permute(2, 0, 1)
        if not self.shift:
            return bias.contiguous()
        return (bias + self.outside[:, None].to(bias.dtype)).flatten(0, 1)


class _Merge(nn.Module):
    """Merging of patches: four neighbours become one token of twice the channels."""

    order: Tensor

    def __init__(self, dim: int, grid: int, window: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim, eps=_NORM_EPS)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        _keep(self, "order", _neighbours(grid, window))

    def forward(self, tokens: Tensor) -> Tensor:
        n, n_tokens, dim = tokens.shape
        merged: Tensor = self.reduction(
            self.norm(tokens[:, self.order].view(n, n_tokens // 4, 4 * dim))
        )
        return merged


def _keep(module: nn.Module, name: str, table: Tensor) -> None:
    """Register a table that follows its module from device to device and is in no checkpoint."""
    module.register_buffer(name, table, persistent=False)


def _numbers(stop: int) -> Tensor:
    # The device is explicit: tables must be real even in a module built without its weights.
    return torch.arange(stop, device="cpu")


def _windowed(grid: int, window: int, shift: int = 0) -> Tensor:
    """List an image's tokens, which are numbered row by row, window by window.

    >>> _windowed(4, 2).tolist()
    [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    """
    rolled = _numbers(grid * grid).view(grid, grid).roll((-shift, -shift), (0, 1))
    n_windows = grid // window
    return rolled.view(n_windows, window, n_windows, window).transpose(1, 2).flatten()


def _rank(order: Tensor) -> Tensor:
    """Invert a permutation."""
    return order.argsort()


def _neighbours(grid: int, window: int) -> Tensor:
    """Return where the four tokens that become one lie, for each merged token in turn.

    The four are (even row, even column), (odd, even), (even, odd), (odd, odd).
    """
    half = grid // 2
    rows, columns = _numbers(half)[:, None], _numbers(half)
    corners = [
        ((2 * rows + row) * grid + 2 * columns + column).flatten()
        for column in (0, 1)
        for row in (0, 1)
    ]
    by_window = torch.stack(corners, dim=1)[_windowed(half, window)]
    return _rank(_windowed(grid, window))[by_window.flatten()]


def _offsets(window: int) -> Tensor:
    """Number the offset between every two tokens of a window, ``(A, A)``.

    >>> _offsets(2)[0].tolist()  # from the corner to itself, right, down, across
    [4, 3, 1, 0]
    """
    place = _numbers(window * window)
    down = place[:, None] // window - place // window + window - 1
    right = place[:, None] % window - place % window + window - 1
    return down * (2 * window - 1) + right


def _outside(grid: int, window: int, shift: int) -> Tensor:
    """Penalise pairs that are neighbours only because the image was rolled, ``(W, A, A)``."""
    # The last window of a row holds two parts of the image: its end and its beginning.
    side = (_numbers(grid) >= grid - shift).long()
    part = (2 * side[:, None] + side).flatten()
    by_window = part[_windowed(grid, window)].view(-1, window * window)
    return _OUTSIDE * (by_window[:, :, None] != by_window[:, None]).float()
