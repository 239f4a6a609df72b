"""Sizes and token ids of an Audio Flamingo."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from earful.errors import ModelError
from earful.model.runtime import read_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class FlamingoConfig:
    """Sizes and token ids; the defaults are those of the released checkpoints.

    Attributes:
        audio_dim: D, length of a window's feature.
        audio_layers: Layers of the audio transformer.
        audio_heads: Their heads.
        audio_ffn_dim: Their hidden width.
        windows_per_audio: W, windows in a slot.
        hidden_dim: H.
        n_layers: Decoder layers.
        n_heads: Their heads.
        ffn_dim: Their hidden width.
        max_positions: Longest text, in tokens.
        vocab_size: Rows of the embedding.
        cross_attn_every_n_layers: A gated block stands before layer i when i + 1 divides.
        latest_audio_layers: Gated blocks before the first so many layers look at the latest
            audio only, the others at all audios before; 0, all at all, as released.
        cross_heads: Heads of a gated block.
        cross_head_dim: Width of each.
        pad_id: Fills up a batch; never read.
        bos_id: Begins a text and ends an answer.
        audio_id: Stands where a slot's audio is.
        end_of_chunk_id: Ends an answer.
        separator_id: Stands before an answer.
        tied_embeddings: Whether one table serves input and output.
    """

    audio_dim: int = 1024
    audio_layers: int = 3
    audio_heads: int = 8
    audio_ffn_dim: int = 2048
    windows_per_audio: int = 16
    hidden_dim: int = 2048
    n_layers: int = 24
    n_heads: int = 32
    ffn_dim: int = 8192
    max_positions: int = 2048
    vocab_size: int = 50268
    cross_attn_every_n_layers: int = 1
    latest_audio_layers: int = 0
    cross_heads: int = 8
    cross_head_dim: int = 64
    pad_id: int = 1
    bos_id: int = 2
    audio_id: int = 50265
    end_of_chunk_id: int = 50266
    separator_id: int = 50267
    tied_embeddings: bool = True

    def __post_init__(self) -> None:
        for dim, heads, what in (
            (self.audio_dim, self.audio_heads, "audio_dim"),
            (self.hidden_dim, self.n_heads, "hidden_dim"),
        ):
            if heads < 1 or dim % heads:
                raise ModelError(f"{what}={dim} does not divide into {heads} heads")
        ids = {
            "pad_id": self.pad_id,
            "bos_id": self.bos_id,
            "audio_id": self.audio_id,
            "end_of_chunk_id": self.end_of_chunk_id,
            "separator_id": self.separator_id,
        }
        for name, value in ids.items():
            if not 0 <= value < self.vocab_size:
                raise ModelError(f"{name}={value}, want 0 to {self.vocab_size - 1}")

    @property
    def cross_layers(self) -> tuple[int, ...]:
        """Which decoder layers have a gated block before them."""
        every = self.cross_attn_every_n_layers
        return tuple(layer for layer in range(self.n_layers) if (layer + 1) % every == 0)

    def to_dict(self) -> dict[str, int | bool]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            ModelError: A field is missing, unknown or of the wrong type.
        """
        # Folders converted before there was the field lack it.
        known = {"latest_audio_layers": 0, **values} if isinstance(values, dict) else values
        return cls(**read_fields(known, cls(), "flamingo config"))
