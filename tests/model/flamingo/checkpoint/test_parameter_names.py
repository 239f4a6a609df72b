"""The released names: which there are, what sizes they show, what they are called here."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from earful.errors import ModelError
from earful.model.flamingo import Flamingo, FlamingoConfig
from earful.model.flamingo.checkpoint import official_shapes, our_name, overriding_name
from earful.model.flamingo.checkpoint.parameter_names import read_flamingo_config


def test_the_released_names_and_where_its_parts_are_cut() -> None:
    """Sizes of the five files, published to the byte, are these tensors and 9 KB a tensor."""
    shapes = official_shapes(FlamingoConfig(), n_positions=128)
    names = list(shapes)
    assert len(names) == 1340
    published = [3328736090, 3482750938, 3898927066, 3357326874, 3591232538]
    for part, size in enumerate(published):
        mine = names[268 * part : 268 * (part + 1)]
        n_bytes = sum(4 * torch.Size(shapes[name]).numel() for name in mine)
        assert 0 < size - n_bytes < 268 * 400
    assert names[267] == ("lang_encoder.model.decoder.layers.8.gated_cross_attn_layer.ff.0.bias")
    assert names[803] == "lang_encoder.old_decoder_blocks.6.final_layer_norm.bias"
    assert sum(bool(overriding_name(name)) for name in names) == 384 + 264 + 1


def test_the_goldens_sizes_are_read_off_their_shapes(goldens: Path) -> None:
    told = json.loads((goldens / "config.json").read_text())["config"]
    audio, language = told["audio_transformer_kwargs"], told["lm"]
    state = load_file(goldens / "model.safetensors")
    config = read_flamingo_config(
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        audio_heads=audio["n_head"],
        n_heads=language["num_attention_heads"],
        windows_per_audio=audio["max_window_per_audio"],
    )
    assert (config.hidden_dim, config.ffn_dim) == (language["hidden_size"], language["ffn_dim"])
    assert config.n_layers == language["num_hidden_layers"]
    assert config.max_positions == language["max_position_embeddings"]
    assert config.vocab_size == told["vocab_after_resize"]
    assert config.cross_attn_every_n_layers == told["cross_attn_every_n_layers"]
    assert (config.audio_dim, config.audio_layers) == (told["audio_embed_dim"], audio["n_layers"])
    assert config.audio_ffn_dim == audio["d_inner"]
    assert [config.audio_id, config.end_of_chunk_id, config.separator_id] == [
        told[f"{token}_token_id"] for token in ("media", "eoc", "sep")
    ]


@given(
    n_layers=st.integers(1, 4),
    every=st.integers(1, 3),
    audio_layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    width=st.integers(1, 4),
    vocab_size=st.integers(6, 9),
)
def test_sizes_make_shapes_and_shapes_make_sizes(
    n_layers: int, every: int, audio_layers: int, heads: int, width: int, vocab_size: int
) -> None:
    config = FlamingoConfig(
        audio_dim=heads * width,
        audio_layers=audio_layers,
        audio_heads=heads,
        audio_ffn_dim=5,
        hidden_dim=2 * heads * width,
        n_layers=max(n_layers, every),
        n_heads=heads,
        ffn_dim=7,
        max_positions=9,
        vocab_size=vocab_size,
        cross_attn_every_n_layers=every,
        cross_heads=heads,
        cross_head_dim=width,
        audio_id=vocab_size - 3,
        end_of_chunk_id=vocab_size - 2,
        separator_id=vocab_size - 1,
    )
    shapes = official_shapes(config, n_positions=32)
    read = read_flamingo_config(shapes, audio_heads=heads, n_heads=heads, cross_heads=heads)
    assert read == config
    with torch.device("meta"):
        wanted = {n: tuple(x.shape) for n, x in Flamingo(config).state_dict().items()}
    assert {ours: s for name, s in shapes.items() if (ours := our_name(name))} == wanted


@settings(max_examples=30)
@given(name=st.sampled_from(list(official_shapes(FlamingoConfig(), n_positions=128))))
def test_any_one_name_is_missed_and_any_one_shape_counts(name: str) -> None:
    shapes = official_shapes(FlamingoConfig(), n_positions=128)
    shape = shapes.pop(name)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        read_flamingo_config(shapes)
    for wrong in ((*shape, 1), (shape[0] + 1, *shape[1:]), ()):
        with pytest.raises(ModelError):
            read_flamingo_config({**shapes, name: wrong})


def test_what_is_no_name_of_the_release_has_no_translation() -> None:
    for name in (
        "lang_encoder.old_decoder_blocks.0.fc3.weight",
        "lang_encoder.gated_cross_attn_layers.0.gate",
        "lang_encoder.model.decoder.layers.0.decoder_layer.fc3.weight",
        "nonsense",
    ):
        with pytest.raises(ModelError, match="not a name of an Audio Flamingo v1 checkpoint"):
            our_name(name)
