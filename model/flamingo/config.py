"""Configuration of an Audio Flamingo: sizes, token ids and the shapes of its tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Self

from earful.errors import ModelError
from earful.model.runtime import read_fields

AUDIO_NORM_EPS: Final = 1e-6
NORM_EPS: Final = 1e-5
POSITION_OFFSET: Final = 2
"""OPT's table of positions begins with two extra rows, of which padding has the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlamingoConfig:
    """Sizes and token ids; the defaults are those of the released checkpoints.

    Attributes:
        audio_dim: D, length of a window's feature.
        audio_layers: Layers of the audio transformer.
        audio_heads: Attention heads of each of them.
        audio_ffn_dim: Hidden width of each of them.
        windows_per_audio: W, windows in a slot.
        hidden_dim: H, width of the decoder.
        n_layers: Layers of the decoder.
        n_heads: Attention heads of each of them.
        ffn_dim: Hidden width of each of them.
        max_positions: Longest text, in tokens.
        vocab_size: Rows of the embedding table.
        cross_attn_every_n_layers: A gated block stands before layer i where this divides
            i + 1.
        latest_audio_layers: In that many first layers, gated blocks look at the latest audio
            only; in the others at all audios before. 0 means all audios everywhere, as
            released.
        cross_heads: Attention heads of a gated block.
        cross_head_dim: Width of each of these heads.
        pad_id: Token that pads a batch; never read.
        bos_id: Token that begins a text and ends an answer.
        audio_id: Token in the place of a slot's audio.
        end_of_chunk_id: Token that ends an answer.
        separator_id: Token before an answer.
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
                raise ModelError(f"{name}={value}: expected 0 to {self.vocab_size - 1}")

    @property
    def cross_layers(self) -> tuple[int, ...]:
        """Numbers of the decoder layers with a gated block before them."""
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
        # Folders converted before the field existed lack it.
        known = {"latest_audio_layers": 0, **values} if isinstance(values, dict) else values
        return cls(**read_fields(known, cls(), "flamingo config"))


def flamingo_shapes(config: FlamingoConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a Flamingo, by its name in torch's ``Flamingo``."""
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, width: int, n_inputs: int, *, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (width, n_inputs)
        if bias:
            shapes[f"{name}.bias"] = (width,)

    def norm(name: str, dim: int) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (dim,)

    audio, hidden = config.audio_dim, config.hidden_dim
    inner = config.cross_heads * config.cross_head_dim
    norm("audio_transformer.norm", audio)
    for number in range(config.audio_layers):
        at = f"audio_transformer.layers.{number}"
        for part in ("q", "k", "v", "out"):
            linear(f"{at}.attention.{part}", audio, audio, bias=False)
        norm(f"{at}.attention_norm", audio)
        linear(f"{at}.feed_forward.0", config.audio_ffn_dim, audio)
        linear(f"{at}.feed_forward.2", audio, config.audio_ffn_dim)
        norm(f"{at}.feed_forward_norm", audio)
    linear("decoder.embed_tokens", config.vocab_size, hidden, bias=False)
    linear("decoder.embed_positions", config.max_positions + POSITION_OFFSET, hidden, bias=False)
    for number in range(config.n_layers):
        at = f"decoder.layers.{number}"
        norm(f"{at}.self_attention_norm", hidden)
        for part in ("q", "k", "v", "out"):
            linear(f"{at}.self_attention.{part}", hidden, hidden)
        norm(f"{at}.feed_forward_norm", hidden)
        linear(f"{at}.feed_forward.0", config.ffn_dim, hidden)
        linear(f"{at}.feed_forward.2", hidden, config.ffn_dim)
    for number in config.cross_layers:
        at = f"decoder.cross_layers.{number}"
        norm(f"{at}.attention.norm", hidden)
        linear(f"{at}.attention.q", inner, hidden, bias=False)
        linear(f"{at}.attention.kv", 2 * inner, audio, bias=False)
        linear(f"{at}.attention.out", hidden, inner, bias=False)
        norm(f"{at}.feed_forward.0", hidden)
        linear(f"{at}.feed_forward.1", 4 * hidden, hidden, bias=False)
        linear(f"{at}.feed_forward.3", hidden, 4 * hidden, bias=False)
        shapes[f"{at}.attn_gate"] = shapes[f"{at}.ff_gate"] = (1,)
    norm("decoder.norm", hidden)
    if not config.tied_embeddings:
        linear("lm_head", config.vocab_size, hidden, bias=False)
    return shapes
