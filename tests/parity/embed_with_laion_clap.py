"""Make a random LAION-CLAP checkpoint and embed with the package ``laion-clap`` itself.

Runs in the environment that ``make_laion_clap_environment.sh`` makes, not in ours:

    python embed_with_laion_clap.py --folder DIR --size HTSAT-tiny [--fused]

reads ``DIR/clips.npz`` (clips by name, float32 at 48 kHz), ``DIR/texts.json`` and the
tokenizer in ``DIR/roberta-base``; writes ``DIR/checkpoint.pt`` as the project's training
code does, and ``DIR/vectors.npz`` with ``audio`` and ``text``.
"""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np


def stay_offline(tokenizer_folder: Path) -> None:
    """Give the package local stand-ins for what it fetches while it is imported.

    RoBERTa keeps its published shape; its weights are random here anyway.
    """
    transformers: Any = importlib.import_module("transformers")
    tokenizer = transformers.RobertaTokenizer.from_pretrained(str(tokenizer_folder))
    config = transformers.RobertaConfig(
        vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    for kind in (
        transformers.BertTokenizer,
        transformers.BartTokenizer,
        transformers.RobertaTokenizer,
    ):
        kind.from_pretrained = lambda *_, **__: tokenizer
    transformers.RobertaModel.from_pretrained = lambda *_, **__: transformers.RobertaModel(config)


def randomise(model: Any) -> None:
    """Draw every tensor, so that no name can be mixed up with another unnoticed."""
    import torch

    fixed = ("spectrogram_extractor", "logmel_extractor", "attn_mask", "relative_position_index")
    generator = torch.Generator().manual_seed(5)
    for name, tensor in model.state_dict().items():
        if any(part in name for part in fixed) or not tensor.is_floating_point():
            continue
        if name.endswith("running_mean"):
            tensor.normal_(-30 if ".bn0." in name else 0, 5, generator=generator)
        elif name.endswith("running_var"):
            tensor.uniform_(100, 400, generator=generator)
        elif tensor.dim() > 1:
            tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
        else:
            tensor.normal_(float(name.endswith("weight")), 0.1, generator=generator)


def save_checkpoint(model: Any, path: Path) -> None:
    """Save as the training code of that time did, statistics and old buffers included."""
    import torch

    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    state["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    content = {
        "epoch": 15,
        "name": "random",
        "top1": np.float64(0.5),
        "steps": np.int64(7),
        "state_dict": state,
    }
    torch.save(content, path)


def main() -> None:
    """Read clips and texts, write checkpoint and vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", choices=["HTSAT-tiny", "HTSAT-base"], required=True)
    parser.add_argument("--fused", action="store_true")
    arguments = parser.parse_args()
    folder: Path = arguments.folder

    stay_offline(folder / "roberta-base")
    import laion_clap

    def build() -> Any:
        return laion_clap.CLAP_Module(
            enable_fusion=arguments.fused, amodel=arguments.size, device="cpu"
        )

    fresh = build()
    randomise(fresh.model)
    save_checkpoint(fresh.model, folder / "checkpoint.pt")
    module = build()
    module.load_ckpt(str(folder / "checkpoint.pt"), verbose=False)
    with np.load(folder / "clips.npz") as clips:
        audio = module.get_audio_embedding_from_data([clips[name] for name in sorted(clips)])
    text = module.get_text_embedding(json.loads((folder / "texts.json").read_text()))
    np.savez(folder / "vectors.npz", audio=audio, text=text)


if __name__ == "__main__":
    main()
