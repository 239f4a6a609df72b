"""Random LAION-CLAP models, as folders of the hub and as training checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from earful.model.audio import Clip

RATE = 48_000
TOLERANCE = 1e-4  # largest difference of a number in a unit vector, float32
SENTENCES = ["a dog barks", "rain", "ein Zug fährt vorbei \N{STEAM LOCOMOTIVE}", ""]


def noise(seconds: float, *, seed: int = 0) -> Clip:
    """Make a clip with tones, loud and quiet parts and digital silence."""
    generator = np.random.default_rng(seed)
    n = round(seconds * RATE)
    time_s = np.arange(n) / RATE
    wave = 0.3 * np.sin(2 * np.pi * generator.uniform(100, 8000) * time_s)
    wave += generator.normal(scale=0.1, size=n) * (np.sin(2 * np.pi * 0.7 * time_s) > 0)
    wave[n // 2 : n // 2 + n // 10] = 0
    return Clip(samples=wave.astype(np.float32), sample_rate=RATE)


def tiny_config(*, fused: bool) -> Any:
    import transformers

    return transformers.ClapConfig(
        projection_dim=32,
        audio_config={
            "patch_embeds_hidden_size": 16,
            "depths": [2, 2],
            "num_attention_heads": [2, 4],
            "hidden_size": 32,
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
        },
        text_config={
            "vocab_size": 300,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 1,
            "intermediate_size": 96,
            "max_position_embeddings": 130,
            "layer_norm_eps": 1e-5,
        },
    )


def random_model(*, fused: bool) -> Any:
    """Build a model whose every tensor is random, biases and running statistics included."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model: Any = transformers.ClapModel(tiny_config(fused=fused))
        model.eval()
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(-40, 5)
            elif name.endswith("running_var"):
                tensor.uniform_(100, 400)
            elif tensor.is_floating_point() and tensor.dim():
                tensor.normal_(0, 0.15)
                if tensor.dim() == 1 and name.endswith("weight"):
                    tensor += 1
    return model


def byte_tokenizer() -> Any:
    """Build RoBERTa's kind of tokenizer over single bytes and two merges."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "do", "dog"]
    vocab = {word: number for number, word in enumerate([*words, "<mask>"])}
    merges: Any = [("d", "o"), ("do", "g")]
    return transformers.RobertaTokenizerFast(vocab=vocab, merges=merges)


def save_folder(folder: Path, *, fused: bool) -> Path:
    import transformers

    random_model(fused=fused).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fused else "rand_trunc"
    ).save_pretrained(folder)
    return folder


def original_names(model: Any) -> dict[str, Any]:
    """Write a model's tensors under the names of LAION's training code, fused again."""
    renamed: dict[str, Any] = {}
    state = model.state_dict()
    for name, tensor in state.items():
        new = name.replace("text_model.", "text_branch.").replace(
            "audio_model.audio_encoder.", "audio_branch."
        )
        for ours, theirs in {
            "batch_norm": "bn0",
            "linear1": "0",
            "linear2": "2",
        }.items():
            new = new.replace(f".{ours}.", f".{theirs}.")
        if new.startswith("audio_branch.layers."):
            if ".key." in new or ".value." in new:
                continue
            if ".query." in new:
                parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
                tensor = torch.cat(parts)
                new = new.replace("attention.self.query", "attn.qkv")
            for ours, theirs in {
                "layernorm_before": "norm1",
                "layernorm_after": "norm2",
                "attention.output.dense": "attn.proj",
                "attention.self": "attn",
                "intermediate.dense": "mlp.fc1",
                "output.dense": "mlp.fc2",
            }.items():
                new = new.replace(f".{ours}.", f".{theirs}.")
        renamed[new] = tensor.clone()
    return renamed


def save_original(path: Path, *, fused: bool, change: Callable[[Any], None] | None = None) -> Path:
    """Save a training checkpoint as the project's own code does, with all that lies beside."""
    state = original_names(random_model(fused=fused))
    state["audio_branch.logmel_extractor.melW"] = torch.zeros(513, 64)
    state["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(2, 1, 4)
    state["audio_branch.layers.0.blocks.1.attn_mask"] = torch.zeros(64, 64, 64)
    state["audio_branch.tscam_conv.weight"] = torch.zeros(5, 32, 2, 3)
    state["audio_branch.head.weight"] = torch.zeros(5, 5)
    state["text_transform.sequential.0.weight"] = torch.zeros(32, 32)
    if change:
        change(state)
    torch.save(
        {
            "epoch": 15,
            "name": "run",
            "best": {"top1": np.float64(0.9), "n": np.int64(7)},
            "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
        },
        path,
    )
    return path
