"""MS-CLAP's window encoder, the audio encoder of Audio Flamingo v1.

Elizalde et al., "Natural Language Supervision for General-Purpose Audio Representations"
(ICASSP 2024, arXiv 2309.05767), the audio half of its captioning model: seven seconds at
44.1 kHz as a log-mel spectrogram, through HTSAT and a projection. The published package makes
its filters for 32 kHz whatever the audio's rate, so the weights need that, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from earful.errors import ModelError
from earful.model.encoders.htsat import Htsat, HtsatConfig
from earful.model.encoders.htsat_cpu import PackedHtsat, pack_for_cpu
from earful.model.encoders.mel import LogMel, LogMelConfig
from earful.model.runtime import (
    find_tensor_faults,
    in_parts,
    read_fields,
    shapes_of,
    without_weights,
)
from earful.plain import plain_fields

_HTSAT = "base.htsat."
_AUDIOSET_CLASSES = 527

# From our names to the published ones.
_PUBLISHED = (
    (r"^htsat\.", _HTSAT),
    (r"\.stages\.", ".layers."),
    (r"\.mel_norm\.", ".bn0."),
    (r"\.patch_projection\.", ".patch_embed.proj."),
    (r"\.patch_norm\.", ".patch_embed.norm."),
    (r"\.merge\.", ".downsample."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.feed_forward_norm\.", ".norm2."),
    (r"\.feed_forward\.widen\.", ".mlp.fc1."),
    (r"\.feed_forward\.narrow\.", ".mlp.fc2."),
    (r"\.attention\.bias_table$", ".attn.relative_position_bias_table"),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"^widen\.", "projection.linear1."),
    (r"^mix\.", "projection.linear2."),
    (r"^norm\.", "projection.layer_norm."),
)

# Constants of the front end and tables that follow from the sizes; optional in a file.
_DERIVED = re.compile(
    r"\.(conv_real\.weight|conv_imag\.weight|melW|relative_position_index|attn_mask"
    r"|num_batches_tracked)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MsClapConfig:
    """Sizes and front end; the defaults are those of the published weights.

    Attributes:
        htsat: Sizes of the transformer.
        projection_dim: Length of a window's feature.
        sample_rate: Sample rate of the audio, in Hz.
        window_samples: Length of a window; seven seconds.
        fft_samples: Length of a spectrum's Hann window.
        hop_samples: Distance between spectra.
        filter_sample_rate: Sample rate that the mel filters are made for, in Hz.
        low_hz: Lower edge of the lowest filter, at that rate.
        high_hz: Upper edge of the highest filter, at that rate.
    """

    htsat: HtsatConfig = field(default_factory=HtsatConfig)
    projection_dim: int = 1024
    sample_rate: int = 44_100
    window_samples: int = 308_700
    fft_samples: int = 1024
    hop_samples: int = 320
    filter_sample_rate: int = 32_000
    low_hz: float = 50.0
    high_hz: float = 14_000.0

    def __post_init__(self) -> None:
        n_frames = 1 + self.window_samples // self.hop_samples
        if n_frames > self.htsat.max_frames:
            raise ModelError(
                f"window_samples={self.window_samples} are {n_frames} frames, "
                f"expected at most {self.htsat.max_frames}"
            )

    @property
    def mel(self) -> LogMelConfig:
        """Parameters of the log-mel front end."""
        return LogMelConfig(
            sample_rate=self.sample_rate,
            fft_samples=self.fft_samples,
            hop_samples=self.hop_samples,
            n_mels=self.htsat.n_mels,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            filter_sample_rate=self.filter_sample_rate,
        )

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            ModelError: A field is missing, unknown or of the wrong type.
        """
        table = read_fields(values, cls(), "encoder config")
        htsat = read_fields(table.pop("htsat"), HtsatConfig(), "encoder config: htsat")
        return cls(htsat=HtsatConfig(**htsat), **table)


class MsClapEncoder(nn.Module):
    """MS-CLAP's audio encoder: maps windows of audio to features."""

    def __init__(self, config: MsClapConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config.mel)
        self.htsat: Htsat | PackedHtsat = Htsat(config.htsat)
        self.widen = nn.Linear(config.htsat.latent_dim, config.projection_dim, bias=False)
        self.mix = nn.Linear(config.projection_dim, config.projection_dim, bias=False)
        self.norm = nn.LayerNorm(config.projection_dim)

    def forward(self, windows: Tensor) -> Tensor:
        """Compute one feature per window.

        Args:
            windows: float32, shape ``(n, window_samples)``, in [-1, 1].

        Returns:
            float32, shape ``(n, projection_dim)``, not normalised.

        Raises:
            ValueError: The windows have another shape.
        """
        self._check(windows)
        features: Tensor = self.project(self.htsat(self.log_mel(windows)))
        return features

    def project(self, latent: Tensor) -> Tensor:
        """Map latents ``(n, latent_dim)`` to features ``(n, projection_dim)``."""
        wide = self.widen(latent)
        features: Tensor = self.norm(wide + self.mix(functional.gelu(wide)))
        return features

    def pack(self) -> None:
        """Pack the weights for the device they are on, when only encoding is left to do.

        Afterwards the transformer's tensors are no longer in the state.
        """
        if isinstance(self.htsat, Htsat) and self.norm.weight.device.type == "cpu":
            self.htsat = pack_for_cpu(self.htsat, torch.float32)

    def encode(self, windows: Tensor, *, batch_windows: int = 8) -> Tensor:
        """Compute the features of many windows, a few at a time, and silence only once.

        Args:
            windows: As for ``forward``, on any device.
            batch_windows: How many a thread encodes together; this bounds the memory.

        Returns:
            float32, shape ``(n, projection_dim)``, on the encoder's device.

        Raises:
            ValueError: The windows have another shape.
        """
        self._check(windows)
        device = self.norm.weight.device
        if not len(windows):
            return torch.zeros((0, self.config.projection_dim), device=device)
        own = torch.arange(len(windows), device=windows.device)
        silent = ~windows.any(dim=1)
        rows = own.clone()
        rows[silent] = rows[silent][:1]  # the first silent window stands for all
        kept = rows == own
        place = (kept.cumsum(dim=0) - 1)[rows]
        distinct = windows[kept]
        features = torch.empty((len(distinct), self.config.projection_dim), device=device)

        def encode(first: int, stop: int) -> None:
            features[first:stop] = self(distinct[first:stop].to(device))

        in_parts(encode, len(distinct), at_most=batch_windows, device=device)
        return features[place.to(device)]

    def _check(self, windows: Tensor) -> None:
        if windows.dim() != 2 or windows.shape[1] != self.config.window_samples:
            raise ValueError(
                f"windows have shape {tuple(windows.shape)}, "
                f"expected (n, {self.config.window_samples})"
            )


def published_names(
    config: MsClapConfig, *, n_classes: int = _AUDIOSET_CLASSES
) -> dict[str, tuple[int, ...]]:
    """List every tensor of the published file with its shape.

    Args:
        config: The sizes.
        n_classes: Classes of the classifier, on which no feature depends.

    Returns:
        Names without the leading ``clap.``, including front end, tables and classifier.

    >>> len(published_names(MsClapConfig()))
    204
    """
    htsat = config.htsat
    names = {published: shape for published, (_, shape) in _learned(config).items()}
    n_bins, area = config.fft_samples // 2 + 1, htsat.window_size**2
    for part in ("real", "imag"):
        name = f"{_HTSAT}spectrogram_extractor.stft.conv_{part}.weight"
        names[name] = (n_bins, 1, config.fft_samples)
    names[f"{_HTSAT}logmel_extractor.melW"] = (n_bins, htsat.n_mels)
    for stage, (grid, depth) in enumerate(zip(htsat.grids, htsat.depths, strict=True)):
        for block in range(depth):
            prefix = f"{_HTSAT}layers.{stage}.blocks.{block}."
            names[prefix + "attn.relative_position_index"] = (area, area)
            if block % 2 and grid > htsat.window_size:
                names[prefix + "attn_mask"] = (grid * grid // area, area, area)
    # The rows that are left of the bands, which were chunked, patched and halved per stage.
    n_rows = htsat.grids[-1] * htsat.n_mels // htsat.spec_size
    names[f"{_HTSAT}tscam_conv.weight"] = (n_classes, htsat.latent_dim, n_rows, 3)
    names[f"{_HTSAT}tscam_conv.bias"] = (n_classes,)
    names[f"{_HTSAT}head.weight"] = (n_classes, n_classes)
    names[f"{_HTSAT}head.bias"] = (n_classes,)
    return names


def from_published_names(
    state: Mapping[str, Tensor], config: MsClapConfig | None = None
) -> dict[str, Tensor]:
    """Translate the published tensors into those that ``MsClapEncoder`` loads.

    Args:
        state: Tensors by names without the leading ``clap.``. Of ``published_names``, those
            that follow from the sizes may be absent.
        config: The sizes; read from the shapes by default.

    Returns:
        float32 tensors by our names, complete.

    Raises:
        ModelError: Names or shapes differ; all of them are listed.
    """
    config = config or read_config(state)
    head = state.get(f"{_HTSAT}head.bias")
    n_classes = _AUDIOSET_CLASSES if head is None else head.numel()
    expected = published_names(config, n_classes=n_classes)
    wanted = {n: size for n, size in expected.items() if n in state or not _DERIVED.search(n)}
    if problems := find_tensor_faults(wanted, shapes_of(state)):
        raise ModelError(
            f"{len(problems)} tensors do not fit MS-CLAP's audio encoder: {'; '.join(problems)}. "
            "Use the captioning model's file, clapcap_weights_2023.pth, unchanged"
        )
    ours: dict[str, Tensor] = {}
    for published, (name, _) in _learned(config).items():
        if published not in state:  # torch below 0.4.1 saved no batch counter
            ours[name] = torch.zeros((), dtype=torch.int64)
        elif name == "htsat.patch_projection.weight":
            # A patch is a convolution's kernel in the file and a row of pixels here.
            ours[name] = state[published].float().flatten(1)
        elif state[published].is_floating_point():
            ours[name] = state[published].float()
        else:
            ours[name] = state[published]
    return ours


def read_config(state: Mapping[str, Tensor]) -> MsClapConfig:
    """Read the sizes from published tensors: every size is a shape or a count.

    Args:
        state: Tensors by names without the leading ``clap.``.

    Raises:
        ModelError: A tensor that shows a size is missing, or the sizes make no encoder.
    """
    blocks = {
        (int(found[1]), int(found[2]))
        for name in state
        if (found := re.match(rf"{re.escape(_HTSAT)}layers\.(\d+)\.blocks\.(\d+)\.", name))
    }
    stages = sorted({stage for stage, _ in blocks})
    try:
        tables = [
            state[f"{_HTSAT}layers.{stage}.blocks.0.attn.relative_position_bias_table"].shape
            for stage in stages
        ]
        embed_dim, _, patch_size, _ = state[f"{_HTSAT}patch_embed.proj.weight"].shape
        n_mels = len(state[f"{_HTSAT}bn0.weight"])
        hidden_dim = len(state[f"{_HTSAT}layers.0.blocks.0.mlp.fc1.weight"])
        return MsClapConfig(
            projection_dim=len(state["projection.linear1.weight"]),
            htsat=HtsatConfig(
                n_mels=n_mels,
                spec_size=4 * n_mels,
                patch_size=patch_size,
                embed_dim=embed_dim,
                depths=tuple(sum(at == stage for at, _ in blocks) for stage in stages),
                n_heads=tuple(table[1] for table in tables),
                # A table holds (2w - 1) squared offsets between the cells of a window.
                window_size=(round(tables[0][0] ** 0.5) + 1) // 2,
                mlp_ratio=hidden_dim / embed_dim,
            ),
        )
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ModelError(
            f"not MS-CLAP's audio encoder: {error!r}; its {len(state)} tensors begin with "
            f"{', '.join(sorted(state)[:5]) or 'nothing'}"
        ) from error


def _learned(config: MsClapConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return our name and the published shape of each tensor we load, by published name."""
    with without_weights():
        encoder = MsClapEncoder(config)
    learned: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, tensor in encoder.state_dict().items():
        published = name
        for pattern, replacement in _PUBLISHED:
            published = re.sub(pattern, replacement, published)
        shape = tuple(tensor.shape)
        if name == "htsat.patch_projection.weight":
            shape = (shape[0], 1, config.htsat.patch_size, config.htsat.patch_size)
        learned[published] = (name, shape)
    return learned
