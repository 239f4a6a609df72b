"""Parameter names of Audio Flamingo's released checkpoints, and their translation into ours.

The released state dict holds each decoder layer and each gated block twice, under
``model.decoder.layers`` and in two lists beside it, 1340 names in all; the lists are
loaded last and therefore override the others. Its output table is loaded after its input
table, into one tied weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from earful.errors import ModelError
from earful.model.flamingo.config import FlamingoConfig

POSITIONS = "audio_transformer.position_enc.pos_table"
INPUT_TABLE = "lang_encoder.model.decoder.embed_tokens.weight"
OUTPUT_TABLE = "lang_encoder.lm_head.weight"

_DECODER = "lang_encoder.model.decoder."
_LISTED = 10  # names that an error lists

_AUDIO_LAYER = {
    "slf_attn.w_qs": "attention.q",
    "slf_attn.w_ks": "attention.k",
    "slf_attn.w_vs": "attention.v",
    "slf_attn.fc": "attention.out",
    "slf_attn.layer_norm": "attention_norm",
    "pos_ffn.w_1": "feed_forward.0",
    "pos_ffn.w_2": "feed_forward.2",
    "pos_ffn.layer_norm": "feed_forward_norm",
}
_GATED_BLOCK = {
    "attn.norm": "attention.norm",
    "attn.to_q": "attention.q",
    "attn.to_kv": "attention.kv",
    "attn.to_out": "attention.out",
    "ff.0": "feed_forward.0",
    "ff.1": "feed_forward.1",
    "ff.3": "feed_forward.3",
}
_DECODER_LAYER = {
    "self_attn.k_proj": "self_attention.k",
    "self_attn.v_proj": "self_attention.v",
    "self_attn.q_proj": "self_attention.q",
    "self_attn.out_proj": "self_attention.out",
    "self_attn_layer_norm": "self_attention_norm",
    "fc1": "feed_forward.0",
    "fc2": "feed_forward.2",
    "final_layer_norm": "feed_forward_norm",
}


def official_shapes(config: FlamingoConfig, *, n_positions: int) -> dict[str, tuple[int, ...]]:
    """List every name of the released state dict with its shape, in its order.

    Args:
        config: The sizes.
        n_positions: Rows of the stored table of audio positions.

    >>> len(official_shapes(FlamingoConfig(), n_positions=128))
    1340
    """
    audio, hidden = config.audio_dim, config.hidden_dim
    inner = config.cross_heads * config.cross_head_dim
    shapes: dict[str, tuple[int, ...]] = {POSITIONS: (1, n_positions, audio)}
    for layer in range(config.audio_layers):
        prefix = f"audio_transformer.layer_stack.{layer}."
        for name in ("w_qs", "w_ks", "w_vs", "fc"):
            shapes[f"{prefix}slf_attn.{name}.weight"] = (audio, audio)
        shapes |= _pair(f"{prefix}slf_attn.layer_norm", (audio,))
        shapes |= _pair(f"{prefix}pos_ffn.w_1", (config.audio_ffn_dim, audio))
        shapes |= _pair(f"{prefix}pos_ffn.w_2", (audio, config.audio_ffn_dim))
        shapes |= _pair(f"{prefix}pos_ffn.layer_norm", (audio,))
    shapes |= _pair("audio_transformer.layer_norm", (audio,))
    shapes[INPUT_TABLE] = (config.vocab_size, hidden)
    shapes[f"{_DECODER}embed_positions.weight"] = (config.max_positions + 2, hidden)
    shapes |= _pair(f"{_DECODER}final_layer_norm", (hidden,))
    block: dict[str, tuple[int, ...]] = {"attn_gate": (1,), "ff_gate": (1,)}
    block |= _pair("attn.norm", (hidden,))
    block |= {
        "attn.to_q.weight": (inner, hidden),
        "attn.to_kv.weight": (2 * inner, audio),
        "attn.to_out.weight": (hidden, inner),
    }
    block |= _pair("ff.0", (hidden,))
    block |= {"ff.1.weight": (4 * hidden, hidden), "ff.3.weight": (hidden, 4 * hidden)}
    decoder: dict[str, tuple[int, ...]] = {}
    for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
        decoder |= _pair(f"self_attn.{name}", (hidden, hidden))
    decoder |= _pair("self_attn_layer_norm", (hidden,))
    decoder |= _pair("fc1", (config.ffn_dim, hidden))
    decoder |= _pair("fc2", (hidden, config.ffn_dim))
    decoder |= _pair("final_layer_norm", (hidden,))
    gated = set(config.cross_layers)
    for layer in range(config.n_layers):
        prefix = f"{_DECODER}layers.{layer}."
        if layer in gated:
            shapes |= {f"{prefix}gated_cross_attn_layer.{n}": s for n, s in block.items()}
        shapes |= {f"{prefix}decoder_layer.{n}": s for n, s in decoder.items()}
    shapes[OUTPUT_TABLE] = (config.vocab_size, hidden)
    for layer in range(config.n_layers):
        prefix = f"lang_encoder.old_decoder_blocks.{layer}."
        shapes |= {f"{prefix}{n}": s for n, s in decoder.items()}
    for layer in config.cross_layers:
        prefix = f"lang_encoder.gated_cross_attn_layers.{layer}."
        shapes |= {f"{prefix}{n}": s for n, s in block.items()}
    return shapes


def our_name(official: str) -> str | None:
    """Translate a released name; ``None`` for a copy that another name overrides.

    Raises:
        ModelError: It is not a name of a released checkpoint.

    >>> our_name("lang_encoder.old_decoder_blocks.3.fc1.weight")
    'decoder.layers.3.feed_forward.0.weight'
    >>> our_name("lang_encoder.model.decoder.layers.3.decoder_layer.fc1.weight") is None
    True
    """
    fixed = {
        POSITIONS: None,
        INPUT_TABLE: None,
        OUTPUT_TABLE: "decoder.embed_tokens.weight",
        f"{_DECODER}embed_positions.weight": "decoder.embed_positions.weight",
        f"{_DECODER}final_layer_norm.weight": "decoder.norm.weight",
        f"{_DECODER}final_layer_norm.bias": "decoder.norm.bias",
        "audio_transformer.layer_norm.weight": "audio_transformer.norm.weight",
        "audio_transformer.layer_norm.bias": "audio_transformer.norm.bias",
    }
    if official in fixed:
        return fixed[official]
    for prefix, table, ours in (
        ("audio_transformer.layer_stack", _AUDIO_LAYER, "audio_transformer.layers"),
        ("lang_encoder.old_decoder_blocks", _DECODER_LAYER, "decoder.layers"),
        ("lang_encoder.gated_cross_attn_layers", _GATED_BLOCK, "decoder.cross_layers"),
    ):
        if found := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.(.+)", official):
            return f"{ours}.{found[1]}.{_translated(official, found[2], table)}"
    if winner := overriding_name(official):
        our_name(winner)  # raises for a name that only looks like a layer's
        return None
    raise ModelError(f"{official}: not a name of an Audio Flamingo v1 checkpoint")


def overriding_name(official: str) -> str:
    """Return the name whose tensor overrides this one's; empty for none."""
    if official == INPUT_TABLE:
        return OUTPUT_TABLE
    found = re.fullmatch(
        rf"{re.escape(_DECODER)}layers\.(\d+)\.(decoder_layer|gated_cross_attn_layer)\.(.+)",
        official,
    )
    if not found:
        return ""
    lists = {
        "decoder_layer": "old_decoder_blocks",
        "gated_cross_attn_layer": "gated_cross_attn_layers",
    }
    return f"lang_encoder.{lists[found[2]]}.{found[1]}.{found[3]}"


def read_flamingo_config(
    shapes: Mapping[str, tuple[int, ...]],
    *,
    audio_heads: int = 8,
    n_heads: int | None = None,
    cross_heads: int = 8,
    windows_per_audio: int = 16,
) -> FlamingoConfig:
    """Read the sizes from a released checkpoint's shapes, and check every name and shape.

    Args:
        shapes: Every released name with its shape.
        audio_heads: Heads of the audio transformer, which no shape shows.
        n_heads: Heads of the decoder; ``None`` for as many as are 64 wide.
        cross_heads: Heads of the gated blocks.
        windows_per_audio: Windows in a slot.

    Raises:
        ModelError: Names are missing or unexpected, or shapes do not fit each other; they
            are listed.
    """
    layers = _layers(shapes, r"lang_encoder\.old_decoder_blocks\.(\d+)\..+")
    gated = _layers(shapes, r"lang_encoder\.gated_cross_attn_layers\.(\d+)\..+")
    audio_layers = _layers(shapes, r"audio_transformer\.layer_stack\.(\d+)\..+")
    try:
        vocab_size, hidden_dim = shapes[OUTPUT_TABLE]
        _, n_positions, audio_dim = shapes[POSITIONS]
        config = FlamingoConfig(
            audio_dim=audio_dim,
            audio_layers=len(audio_layers),
            audio_heads=audio_heads,
            audio_ffn_dim=shapes["audio_transformer.layer_stack.0.pos_ffn.w_1.weight"][0],
            windows_per_audio=windows_per_audio,
            hidden_dim=hidden_dim,
            n_layers=len(layers),
            n_heads=n_heads or max(hidden_dim // 64, 1),
            ffn_dim=shapes["lang_encoder.old_decoder_blocks.0.fc1.weight"][0],
            max_positions=shapes[f"{_DECODER}embed_positions.weight"][0] - 2,
            vocab_size=vocab_size,
            cross_attn_every_n_layers=gated[0] + 1,
            cross_heads=cross_heads,
            cross_head_dim=shapes[
                f"lang_encoder.gated_cross_attn_layers.{gated[0]}.attn.to_q.weight"
            ][0]
            // cross_heads,
            audio_id=vocab_size - 3,
            end_of_chunk_id=vocab_size - 2,
            separator_id=vocab_size - 1,
        )
    except (KeyError, IndexError, ValueError) as error:
        known = sorted(official_shapes(FlamingoConfig(), n_positions=128).keys() - shapes.keys())
        raise ModelError(
            f"not an Audio Flamingo v1 checkpoint, or not all of it: of its 1340 names it has "
            f"{1340 - len(known)}, and it lacks {_list(known)}. Give all parts of foundation.pt or "
            "chat.pt"
        ) from error
    expected = official_shapes(config, n_positions=n_positions)
    missing, unexpected = expected.keys() - shapes.keys(), shapes.keys() - expected.keys()
    if missing or unexpected:
        faults = [f"{len(missing)} names are missing: {_list(sorted(missing))}"] if missing else []
        if unexpected:
            faults.append(f"{len(unexpected)} names are unexpected: {_list(sorted(unexpected))}")
        raise ModelError(
            f"not a whole Audio Flamingo v1 checkpoint: {'; '.join(faults)}. Give all parts of "
            "foundation.pt or chat.pt, unchanged"
        )
    if wrong := [name for name in expected if tuple(shapes[name]) != expected[name]]:
        faults = [f"{name} is {tuple(shapes[name])}, expected {expected[name]}" for name in wrong]
        raise ModelError(f"{len(wrong)} tensors do not fit the others: {_list(faults)}")
    return config


def _pair(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _translated(official: str, rest: str, table: Mapping[str, str]) -> str:
    if rest in ("attn_gate", "ff_gate") and table is _GATED_BLOCK:
        return rest
    part, _, kind = rest.rpartition(".")
    if part not in table or kind not in ("weight", "bias"):
        raise ModelError(f"{official}: not a name of an Audio Flamingo v1 checkpoint")
    return f"{table[part]}.{kind}"


def _layers(shapes: Mapping[str, tuple[int, ...]], pattern: str) -> list[int]:
    numbers = {int(found[1]) for name in shapes if (found := re.fullmatch(pattern, name))}
    return sorted(numbers)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
