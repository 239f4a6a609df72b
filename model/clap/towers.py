"""LAION-CLAP's two towers: our own for audio, and that of ``transformers`` for text.

Each ends in a projection to the space that they share. Every checkpoint is first translated
into the names of ``transformers``' ``ClapModel`` (``checkpoint``), and from those into ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from earful.errors import ModelError
from earful.model.encoders import Htsat, HtsatConfig, PackedHtsat, pack_for_cpu

_AUDIO = "audio_model.audio_encoder."

# From our names to those of ``ClapModel``. Query, key and value are one matrix here.
_HUB_NAMES = (
    (r"\.stages\.", ".layers."),
    (r"\.mel_norm\.", ".batch_norm."),
    (r"\.patch_projection\.", ".patch_embed.proj."),
    (r"\.patch_norm\.", ".patch_embed.norm."),
    (r"\.merge\.", ".downsample."),
    (r"\.attention_norm\.", ".layernorm_before."),
    (r"\.feed_forward_norm\.", ".layernorm_after."),
    (r"\.feed_forward\.widen\.", ".intermediate.dense."),
    (r"\.feed_forward\.narrow\.", ".output.dense."),
    (r"\.attention\.bias_table$", ".attention.self.relative_position_bias_table"),
    (r"\.attention\.out\.", ".attention.output.dense."),
    (r"\.attention\.qkv\.", ".attention.self.{}."),
)
_QKV = ("query", "key", "value")


class ClapTowers(nn.Module):
    """Towers that map audio and text to raw projections.

    Args:
        published: ``transformers``' ``ClapModel``. All but the audio tower is taken from it;
            its audio tower only provides the sizes of ours.

    Raises:
        ModelError: Its audio tower is of a kind that no published checkpoint has.
    """

    def __init__(self, published: Any) -> None:
        super().__init__()
        self.config = published.config
        self.audio_model: Htsat | PackedHtsat = Htsat(htsat_config(self.config.audio_config))
        self.audio_projection = published.audio_projection
        self.text_model = published.text_model
        self.text_projection = published.text_projection

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load the tensors of a ``ClapModel``, which must be complete."""
        tower = self.audio_model
        tower.load_state_dict(from_hub_names(state, tower), assign=True)
        rest = {name: state[name] for name in self.state_dict().keys() & state.keys()}
        self.load_state_dict(rest, strict=False, assign=True)

    def set_precision(self, dtype: str) -> None:
        """Set the audio tower's precision, and pack it for its device.

        Args:
            dtype: ``"float32"`` or ``"bfloat16"``. May be set once only, after the weights
                are loaded.

        Raises:
            ValueError: The precision was set before.
        """
        tower = self.audio_model
        if not isinstance(tower, Htsat):
            raise ValueError("the precision of these towers was set before")
        chosen = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        if tower.norm.weight.device.type == "cpu":
            self.audio_model = pack_for_cpu(tower, chosen)
        else:
            tower.set_precision(chosen)

    def audio_copy(self, dtype: str) -> ClapTowers:
        """Return towers whose audio tower is a copy of this one in another precision."""
        copied = copy(self)
        # A module's parts are in this table, which a plain copy would share.
        copied._modules = dict(self._modules)
        copied.audio_model = deepcopy(self.audio_model)
        copied.set_precision(dtype)
        return copied

    def project_audio(self, decibels: Tensor) -> Tensor:
        """Map spectrograms, float32 ``(n, frames, n_mels)``, to float32 ``(n, dim)``.

        A checkpoint with feature fusion gets what it gets for audio that is not longer than
        its window: the first of four equal spectrograms.
        """
        projections: Tensor = self.audio_projection(self.audio_model(decibels))
        return projections

    def project_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map tokens, int64 ``(n, length)``, to ``(n, dim)``."""
        pooled = self.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        projections: Tensor = self.text_projection(pooled)
        return projections


def htsat_config(audio: Any) -> HtsatConfig:
    """Translate ``transformers``' ``ClapAudioConfig``.

    Raises:
        ModelError: It asks for something that ``Htsat`` cannot do and no published checkpoint
            needs.
    """
    patch = _side(audio.patch_size)
    config = HtsatConfig(
        n_mels=audio.num_mel_bins,
        spec_size=audio.spec_size,
        patch_size=patch,
        embed_dim=audio.patch_embeds_hidden_size,
        depths=tuple(audio.depths),
        n_heads=tuple(audio.num_attention_heads),
        window_size=audio.window_size,
        mlp_ratio=audio.mlp_ratio,
        block_norm_eps=audio.layer_norm_eps,
    )
    for name, found, expected in (
        ("patch_stride", _side(audio.patch_stride), patch),
        ("patch_embed_input_channels", audio.patch_embed_input_channels, 1),
        ("enable_patch_layer_norm", audio.enable_patch_layer_norm, True),
        ("flatten_patch_embeds", audio.flatten_patch_embeds, True),
        ("qkv_bias", audio.qkv_bias, True),
        ("hidden_act", audio.hidden_act, "gelu"),
        ("hidden_size", audio.hidden_size, config.latent_dim),
    ):
        if found != expected:
            raise ModelError(f"audio_config has {name}={found!r}, expected {expected!r}")
    return config


def from_hub_names(state: Mapping[str, Tensor], audio: nn.Module) -> dict[str, Tensor]:
    """Select and rename the tensors of an audio tower among those of a ``ClapModel``.

    Those of feature fusion are left out.

    Args:
        state: The tensors of a ``ClapModel``, complete.
        audio: An ``Htsat``, whose tensors to find.

    Returns:
        All tensors that ``audio`` loads, by its own names.
    """
    ours: dict[str, Tensor] = {}
    for name, like in audio.state_dict().items():
        hub = _AUDIO + name
        for pattern, replacement in _HUB_NAMES:
            hub = re.sub(pattern, replacement, hub)
        parts = [state[hub.format(part)] for part in _QKV] if "{}" in hub else [state[hub]]
        # A patch is a convolution's kernel in ``ClapModel`` and a row of pixels here.
        ours[name] = torch.cat(parts).reshape(like.shape) if like.dim() else parts[0]
    return ours


def _side(size: Any) -> Any:
    """Return the side of a square that may be given as height and width."""
    if isinstance(size, int):
        return size
    return size[0] if len(set(size)) == 1 else tuple(size)
