from itertools import pairwise

import pytest
import torch
from safetensors.torch import load as load_tensors
from training import convert_aisfx

from earful.model.runtime import read_part
from earful.model.tiny import read_release


def test_packing_the_shipped_tensors_gives_the_shipped_bytes() -> None:
    shipped = read_part(read_release(), "trunk")
    metadata = {"source": "aisfx 0.1.2", "licence": "CC-BY-4.0"}
    assert convert_aisfx.pack(load_tensors(shipped), metadata) == shipped


def test_the_conversion_folds_normalisation_exactly() -> None:
    torch.manual_seed(0)
    weights: dict[str, torch.Tensor] = {}
    channels = (1, 2, 2, 3, 3, 4, 4, 5, 5)
    for number, (before, after) in enumerate(pairwise(channels)):
        prefix = f"embedding_net.conv_block{number // 2 + 1}"
        layer = number % 2 + 1
        weights[f"{prefix}.conv{layer}.weight"] = torch.randn(after, before, 3, 3)
        for part in ("weight", "bias", "running_mean"):
            weights[f"{prefix}.bn{layer}.{part}"] = torch.randn(after)
        weights[f"{prefix}.bn{layer}.running_var"] = torch.rand(after) + 0.5
        weights[f"{prefix}.bn{layer}.num_batches_tracked"] = torch.tensor(7)
    folded = convert_aisfx.fold(weights)
    frames = torch.randn(1, 1, 6, 6)
    norm = torch.nn.functional.batch_norm(
        torch.nn.functional.conv2d(
            frames, weights["embedding_net.conv_block1.conv1.weight"], padding=1
        ),
        weights["embedding_net.conv_block1.bn1.running_mean"],
        weights["embedding_net.conv_block1.bn1.running_var"],
        weights["embedding_net.conv_block1.bn1.weight"],
        weights["embedding_net.conv_block1.bn1.bias"],
    )
    ours = torch.nn.functional.conv2d(
        frames,
        folded["convolutions.0.weight"].float(),
        folded["convolutions.0.bias"].float(),
        padding=1,
    )
    torch.testing.assert_close(ours, norm, atol=5e-3, rtol=5e-3)
    with pytest.raises(SystemExit, match="unexpected weights"):
        convert_aisfx.fold({**weights, "embedding_net.extra": torch.zeros(1)})
