"""Every layer, mask and continuation against the goldens of the release."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from earful.model import GenerationOptions
from earful.model.flamingo import (
    Flamingo,
    FlamingoBatch,
    FlamingoConfig,
    decode,
    mask_of,
    position_table,
    positions_of,
)
from earful.model.flamingo.checkpoint import our_name
from earful.model.flamingo.masks import slot_mask

LIMIT = 1e-4
"""The issue's own; the release and this agree to about 5e-6."""


def golden_config(told: dict[str, Any]) -> FlamingoConfig:
    config = told["config"]
    language, audio = config["lm"], config["audio_transformer_kwargs"]
    return FlamingoConfig(
        audio_dim=config["audio_embed_dim"],
        audio_layers=audio["n_layers"],
        audio_heads=audio["n_head"],
        audio_ffn_dim=audio["d_inner"],
        windows_per_audio=audio["max_window_per_audio"],
        hidden_dim=language["hidden_size"],
        n_layers=language["num_hidden_layers"],
        n_heads=language["num_attention_heads"],
        ffn_dim=language["ffn_dim"],
        max_positions=language["max_position_embeddings"],
        vocab_size=config["vocab_after_resize"],
        cross_attn_every_n_layers=config["cross_attn_every_n_layers"],
        pad_id=language["pad_token_id"],
        bos_id=language["bos_token_id"],
        audio_id=config["media_token_id"],
        end_of_chunk_id=config["eoc_token_id"],
        separator_id=config["sep_token_id"],
    )


def translated(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a released state dict; tensors that others override are left out."""
    return {ours: tensor for name, tensor in official.items() if (ours := our_name(name))}


class Golden:
    """The release's small random model, and what it computed."""

    def __init__(self, folder: Path) -> None:
        self.told = json.loads((folder / "config.json").read_text())
        self.arrays = load_file(folder / "cases.safetensors")
        self.official = load_file(folder / "model.safetensors")
        self.config = golden_config(self.told)
        self.model = Flamingo(self.config)
        self.model.load_state_dict(translated(self.official))
        self.model.eval()

    def batch(self, name: str) -> FlamingoBatch:
        return FlamingoBatch(
            ids=self.arrays[f"{name}.in.input_ids"],
            attention_mask=self.arrays[f"{name}.in.attention_mask"],
            features=self.arrays[f"{name}.in.audio_features"],
            window_mask=self.arrays[f"{name}.in.window_mask"],
        )


@pytest.fixture(scope="module")
def golden(goldens: Path) -> Golden:
    return Golden(goldens)


def test_every_layer_of_every_case_equals_the_release(golden: Golden) -> None:
    model, arrays = golden.model, golden.arrays
    checked = 0
    for name in golden.told["cases"]:
        batch = golden.batch(name)
        real = batch.attention_mask.bool()
        seen = outputs(model, batch)
        for key, found in seen.items():
            wanted = arrays[f"{name}.out.{key}"]
            difference = (found - wanted).abs()
            worst = difference if key == "audio_transformer_out" else difference[real]
            assert worst.max() <= LIMIT, (name, key)
            checked += 1
        assert_masks_and_weights(golden, name, batch, real)
    assert checked == len(golden.told["cases"]) * (2 + len(traced(model)) - 1)


def outputs(model: Flamingo, batch: FlamingoBatch) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, key=key: seen.update({key: out}))
        for key, module in traced(model)
    ]
    with torch.inference_mode():
        seen["logits"] = model(batch.ids, batch.attention_mask, batch.features, batch.window_mask)
    for hook in hooks:
        hook.remove()
    return seen


def traced(model: Flamingo) -> list[tuple[str, torch.nn.Module]]:
    """Name every module whose output the goldens hold, as they name it."""
    modules: list[tuple[str, torch.nn.Module]] = [
        ("audio_transformer_out", model.audio_transformer)
    ]
    for layer, block in model.decoder.cross_layers.items():
        modules += [
            (f"xattn_attn_only_out.{layer}", block.get_submodule("attention")),
            (f"xattn_out.{layer}", block),
        ]
    modules += [
        (f"decoder_layer_out.{number}", layer) for number, layer in enumerate(model.decoder.layers)
    ]
    return modules


def assert_masks_and_weights(golden: Golden, name: str, batch: FlamingoBatch, real: Tensor) -> None:
    config, arrays = golden.config, golden.arrays
    n_audios = (batch.ids == config.audio_id).cumsum(dim=1)
    slots = slot_mask(n_audios, batch.features.shape[1], config.windows_per_audio)
    assert torch.equal(slots[real], arrays[f"{name}.out.few_shot_mask"].bool()[real])
    layer = config.cross_layers[0]
    block = golden.model.decoder.cross_layers[str(layer)]
    attention = block.get_submodule("attention")
    with torch.inference_mode():
        embedded = golden.model.decoder.embed_tokens(batch.ids)
        places = golden.model.decoder.embed_positions(positions_of(batch.attention_mask) + 2)
        mask = mask_of(slots, batch.window_mask, torch.float32)
        media = golden.model.read_audio(batch.features)[0]
        weights = attention.weights(embedded + places, media, mask)  # type: ignore[operator]
    if layer == 0:
        wanted = arrays[f"{name}.out.xattn_probs.0"]
        difference = (weights - wanted).abs().transpose(1, 2)[real]
        assert difference.max() <= LIMIT, name


@pytest.mark.parametrize(
    ("mode", "run"), [("compat", "greedy_cached"), ("full", "greedy_uncached")]
)
def test_greedy_continuations_equal_the_release(golden: Golden, mode: Any, run: str) -> None:
    checked = 0
    for name in golden.told["cases"]:
        if f"{name}.gen.{run}.ids" not in golden.arrays:
            continue
        batch = golden.batch(name)
        wanted = golden.arrays[f"{name}.gen.{run}.ids"]
        options = GenerationOptions(max_new_tokens=wanted.shape[1] - batch.ids.shape[1])
        steps = list(
            decode(golden.model, batch, options, stop_ids=[golden.config.bos_id], mode=mode)
        )
        found = torch.cat([batch.ids, *(step.ids[:, None] for step in steps)], dim=1)
        assert torch.equal(found, wanted), name
        logits = torch.cat([step.logits for step in steps])
        assert (logits - golden.arrays[f"{name}.gen.{run}.step_logits"]).abs().max() <= LIMIT
        checked += 1
    assert checked


def test_a_cached_step_of_the_release_looks_at_the_first_slot(golden: Golden) -> None:
    for name in golden.told["cases"]:
        key = f"{name}.gen.greedy_cached.step1_mask"
        if key not in golden.arrays:
            continue
        wanted = golden.arrays[key].bool()
        first = slot_mask(
            torch.ones(wanted.shape[:2], dtype=torch.long),
            wanted.shape[2],
            golden.config.windows_per_audio,
        )
        assert torch.equal(first, wanted), name


def test_the_output_table_wins_over_the_input_table(golden: Golden) -> None:
    decoy = {
        **golden.official,
        "lang_encoder.model.decoder.embed_tokens.weight": golden.arrays[
            "loading.decoy_embed_tokens"
        ],
    }
    for name, tensor in translated(decoy).items():
        assert torch.equal(tensor, golden.model.state_dict()[name]), name


def test_the_table_of_positions_is_the_stored_one(golden: Golden) -> None:
    stored = golden.official["audio_transformer.position_enc.pos_table"][0]
    assert (position_table(*stored.shape) - stored).abs().max() <= 1e-6
