"""Convert the published aisfx checkpoint to the weights that ship as ``earful-tiny``.

Input is the wheel aisfx 0.1.2 from the Python package index (licence of the weights:
CC BY 4.0). Its pickle is opened with torch's weights-only loader, with nothing allowed
beyond tensors and NumPy scalars. What is kept is the embedding network; each batch
normalisation is folded into the convolution before it, and the result is written as
fp16 safetensors beside a readable description with its digest::

    pip download --no-deps aisfx==0.1.2
    python training/convert_aisfx.py aisfx-0.1.2-py2.py3-none-any.whl
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

WHEEL_SHA256 = "bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194"
MEMBER = "aisfx/models/checkpoint.pth"
TARGET = Path(__file__).resolve().parent.parent / "model" / "tiny" / "weights"
# Added to the variance by the original's batch normalisation.
EPSILON = 1e-5


def read_checkpoint(wheel: Path) -> dict[str, torch.Tensor]:
    """Return the original state dict out of the wheel, after checking its digest."""
    data = wheel.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{wheel}: sha256 {found}; want {WHEEL_SHA256} (aisfx 0.1.2)")
    checkpoint = zipfile.ZipFile(io.BytesIO(data)).read(MEMBER)
    # The pickle names it by the place it had before NumPy 2.
    scalar = importlib.import_module("numpy._core.multiarray").scalar
    numpy_scalars: list[Any] = [
        (scalar, "numpy.core.multiarray.scalar"),
        np.dtype,
        type(np.dtype(np.int64)),
        type(np.dtype(np.float64)),
    ]
    with torch.serialization.safe_globals(numpy_scalars):
        weights, _ = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    return dict(weights)


def fold(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weight and bias of the eight convolutions, normalisation folded in."""
    folded: dict[str, torch.Tensor] = {}
    used = set()
    for block in range(1, 5):
        for layer in (1, 2):
            prefix = f"embedding_net.conv_block{block}"
            conv, norm = f"{prefix}.conv{layer}.weight", f"{prefix}.bn{layer}"
            parts = ("weight", "bias", "running_mean", "running_var")
            gain, shift, mean, variance = (weights[f"{norm}.{p}"].double() for p in parts)
            scale = gain / torch.sqrt(variance + EPSILON)
            number = 2 * (block - 1) + layer - 1
            kernel = weights[conv].double() * scale[:, None, None, None]
            folded[f"convolutions.{number}.weight"] = kernel
            folded[f"convolutions.{number}.bias"] = shift - mean * scale
            used |= {conv, *(f"{norm}.{p}" for p in parts), f"{norm}.num_batches_tracked"}
    left = {k for k in weights if k.startswith("embedding_net.")} - used
    if left:
        raise SystemExit(f"unexpected weights: {', '.join(sorted(left))}")
    return {name: tensor.half().contiguous() for name, tensor in folded.items()}


def pack(weights: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """Return a safetensors file, the same bytes every time.

    The library writes metadata in random order, so they are put into its header here.
    """
    data = save(weights)
    start = 8 + int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata, **json.loads(data[8:start])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[start:]


def main() -> None:
    """Convert the wheel named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    weights = fold(read_checkpoint(wheel))
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / "earful-tiny.safetensors"
    path.write_bytes(pack(weights, {"source": "aisfx 0.1.2", "licence": "CC-BY-4.0"}))
    description = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "source": f"aisfx 0.1.2, {MEMBER}, wheel sha256 {WHEEL_SHA256}",
        "authors": "Alison B. Ma and Alexander Lerch",
        "paper": "Representation Learning for the Automatic Indexing of Sound Effects Libraries, "
        "ISMIR 2022",
        "licence": "CC-BY-4.0",
        "changes": "classification heads dropped, batch normalisation folded, rounded to fp16",
    }
    about = TARGET / "earful-tiny.json"
    told = json.loads(about.read_text())
    told["parts"]["trunk"] = description
    about.write_text(json.dumps(told, indent=2) + "\n")
    print(f"{path}: {path.stat().st_size} bytes, {description['parameters']} parameters")


if __name__ == "__main__":
    main()
