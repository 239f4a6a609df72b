"""Small Flamingos of random weights, in our folder's form and in that of the release."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from earful.model.encoders import MsClapConfig
    from earful.model.flamingo import FlamingoConfig, Variant

_N_BYTES = 256
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_VOCAB_SIZE = len(_SPECIAL) + _N_BYTES + 3
_POSITIONS = 128


def tiny_flamingo_config(*, n_layers: int = 2) -> FlamingoConfig:
    """Return the sizes of a Flamingo that runs in milliseconds.

    Args:
        n_layers: Decoder layers; with 24 of them a checkpoint has all the release's names.
    """
    from earful.model.flamingo import FlamingoConfig

    return FlamingoConfig(
        audio_dim=16,
        audio_layers=3 if n_layers > 2 else 1,
        audio_heads=8,
        audio_ffn_dim=32,
        hidden_dim=64,
        n_layers=n_layers,
        n_heads=1,
        ffn_dim=64,
        max_positions=2048,
        vocab_size=_VOCAB_SIZE,
        cross_heads=8,
        cross_head_dim=4,
        audio_id=_VOCAB_SIZE - 3,
        end_of_chunk_id=_VOCAB_SIZE - 2,
        separator_id=_VOCAB_SIZE - 1,
    )


def tiny_encoder_config() -> MsClapConfig:
    """Return the sizes of an MS-CLAP encoder that runs in milliseconds on real windows."""
    from earful.model.encoders import HtsatConfig, MsClapConfig

    htsat = HtsatConfig(patch_size=8, embed_dim=8, depths=(2, 2), n_heads=(2, 4))
    return MsClapConfig(htsat=htsat, projection_dim=16)


def write_tokenizer_files(folder: str | Path) -> None:
    """Write ``vocab.json`` and ``merges.txt`` of a tokenizer whose tokens are bytes."""
    from tokenizers.pre_tokenizers import ByteLevel

    folder = Path(folder)
    vocabulary = {token: number for number, token in enumerate(_SPECIAL)}
    for letter in sorted(ByteLevel.alphabet()):
        vocabulary[letter] = len(vocabulary)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def write_flamingo(
    folder: str | Path, *, seed: int = 0, variant: Variant = "foundation", n_layers: int = 2
) -> Path:
    """Write a small Flamingo of random weights, ready to be loaded.

    Args:
        folder: The folder to write; it must not hold anything else.
        seed: Of the weights: the same seed gives the same answers.
        variant: ``"foundation"`` or ``"chat"``.
        n_layers: Decoder layers.

    Returns:
        The folder.
    """
    from earful.model.encoders import from_published_names
    from earful.model.flamingo import FlamingoTokenizer
    from earful.model.flamingo.checkpoint import FolderWriter

    folder = Path(folder)
    config = tiny_flamingo_config(n_layers=n_layers)
    with TemporaryDirectory() as opt:
        write_tokenizer_files(opt)
        tokenizer = FlamingoTokenizer.from_opt_files(
            Path(opt, "vocab.json"), Path(opt, "merges.txt")
        )
    encoder_config = tiny_encoder_config()
    with FolderWriter(folder, dtype="float32") as writer:
        for name, tensor in _random_flamingo(config, seed).items():
            writer.add(name, tensor)
        writer.finish(
            config=config,
            encoder_config=encoder_config,
            encoder=from_published_names(_random_encoder(encoder_config, seed), encoder_config),
            tokenizer=tokenizer,
            variant=variant,
            licence="random weights",
            sources=(),
        )
    return folder


def write_hub_checkpoint(
    folder: str | Path,
    *,
    seed: int = 0,
    variant: Variant = "foundation",
    n_layers: int = 24,
    parts: Literal[1, 5] = 5,
) -> Path:
    """Write a small Flamingo of random weights in the form of the published release.

    The files are ``foundation.pt`` or its five parts, ``clapcap_weights_2023.pth``,
    ``vocab.json`` and ``merges.txt``; with 24 layers the checkpoint has all 1340 names of
    the release, copies included, split where the release is split.

    Args:
        folder: The folder to write.
        seed: Of the weights; the same as those of ``write_flamingo`` at the same seed and layers.
        variant: ``"foundation"`` or ``"chat"``.
        n_layers: Decoder layers.
        parts: Whether the checkpoint is one file or five.

    Returns:
        The folder.
    """
    import torch

    from earful.model.flamingo import position_table
    from earful.model.flamingo.checkpoint import (
        INPUT_TABLE,
        POSITIONS,
        official_shapes,
        our_name,
        overriding_name,
    )

    folder = Path(folder)
    write_tokenizer_files(folder)
    config = tiny_flamingo_config(n_layers=n_layers)
    ours = _random_flamingo(config, seed)
    state: dict[str, Tensor] = {}
    for name in official_shapes(config, n_positions=_POSITIONS):
        if name == POSITIONS:
            state[name] = position_table(_POSITIONS, config.audio_dim)[None]
        elif name == INPUT_TABLE:
            state[name] = ours["decoder.embed_tokens.weight"]
        else:
            state[name] = ours[our_name(overriding_name(name) or name) or ""]
    names = list(state)
    size = -(-len(names) // parts)
    for part in range(parts):
        chosen = {name: state[name].clone() for name in names[part * size : (part + 1) * size]}
        suffix = "" if parts == 1 else f"_part{part + 1}"
        torch.save({"model_state_dict": chosen}, folder / f"{variant}{suffix}.pt")
    encoder = _random_encoder(tiny_encoder_config(), seed)
    captioner = {"gpt.lm_head.weight": torch.zeros(1), "clap_project.bias": torch.zeros(1)}
    torch.save(
        {"model": {f"clap.{name}": tensor for name, tensor in encoder.items()} | captioner},
        folder / "clapcap_weights_2023.pth",
    )
    return folder


def _random_flamingo(config: FlamingoConfig, seed: int) -> dict[str, Tensor]:
    import torch

    from earful.model.flamingo import Flamingo
    from earful.model.runtime import without_weights

    generator = torch.Generator().manual_seed(seed)
    with without_weights():
        shapes = {name: tensor.shape for name, tensor in Flamingo(config).state_dict().items()}
    state = {name: _drawn(name, tuple(shape), generator) for name, shape in shapes.items()}
    # Closed gates, as a new model has them, would make every answer independent of the audio.
    return {n: torch.ones(1) if n.endswith("gate") else tensor for n, tensor in state.items()}


def _random_encoder(config: MsClapConfig, seed: int) -> dict[str, Tensor]:
    import torch

    from earful.model.encoders import published_names

    generator = torch.Generator().manual_seed(seed + 1)
    state = {n: _drawn(n, s, generator) for n, s in published_names(config).items()}
    # The bands of a recording are some tens of decibels below full scale.
    state["base.htsat.bn0.running_mean"] -= 30.0
    state["base.htsat.bn0.running_var"] += 400.0
    return state


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw a matrix that keeps the norm of its input; scales start at 1, biases at 0."""
    import torch

    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if len(shape) > 1:
        scale: float = math.prod(shape[1:]) ** -0.5
        return torch.randn(shape, generator=generator) * scale
    is_scale = "norm" in name or "bn0" in name
    return torch.ones(shape) if is_scale and name.endswith("weight") else torch.zeros(shape)
