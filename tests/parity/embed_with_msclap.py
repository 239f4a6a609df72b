"""Make a random MS-CLAP audio encoder and run it with the package ``msclap`` itself.

Runs in the environment that ``make_msclap_environment.sh`` makes, not in ours:

    python embed_with_msclap.py --folder DIR

reads ``DIR/windows.npy`` (float32, seven seconds at 44.1 kHz each); writes
``DIR/checkpoint.pth`` in the form of the published captioning model, and
``DIR/features.npy``.
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np


def build() -> Any:
    """Build the audio half of the captioning model as the package configures it."""
    clap: Any = importlib.import_module("msclap.models.clap")
    return clap.AudioEncoder(
        audioenc_name="HTSAT",
        d_in=768,
        d_out=1024,
        sample_rate=44_100,
        window_size=1024,
        hop_size=320,
        mel_bins=64,
        fmin=50,
        fmax=8000,
        classes_num=527,
    )


def randomise(model: Any) -> None:
    """Draw every tensor, so that no name can be mixed up with another unnoticed."""
    import torch

    fixed = ("spectrogram_extractor", "logmel_extractor", "attn_mask", "relative_position_index")
    generator = torch.Generator().manual_seed(6)
    for name, tensor in model.state_dict().items():
        if any(part in name for part in fixed) or not tensor.is_floating_point():
            continue
        if name.endswith("running_mean"):
            tensor.normal_(-30, 5, generator=generator)
        elif name.endswith("running_var"):
            tensor.uniform_(100, 400, generator=generator)
        elif tensor.dim() > 1:
            tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
        else:
            tensor.normal_(float(name.endswith("weight")), 0.1, generator=generator)


def main() -> None:
    """Read windows, write checkpoint and features."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    folder: Path = parser.parse_args().folder

    encoder = build().eval()
    randomise(encoder)
    state = {f"clap.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state["clap_project.model.weight"] = torch.zeros(1)
    torch.save({"model": state}, folder / "checkpoint.pth")
    with torch.inference_mode():
        features, _ = encoder(torch.from_numpy(np.load(folder / "windows.npy")))
    np.save(folder / "features.npy", features.numpy())


if __name__ == "__main__":
    main()
