"""HTSAT of 16 bands and two stages with random weights, and spectrograms for it."""

import torch

from earful.model.encoders import Htsat, HtsatConfig

SMALL = HtsatConfig(
    n_mels=16, spec_size=64, embed_dim=8, depths=(2, 2), n_heads=(2, 4), window_size=4
)


def random_htsat(config: HtsatConfig, seed: int = 0) -> Htsat:
    """Build one whose every tensor is random, running statistics included."""
    generator = torch.Generator().manual_seed(seed)
    model = Htsat(config).eval().requires_grad_(False)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(-40, 5, generator=generator)
        elif name.endswith("running_var"):
            tensor.uniform_(100, 400, generator=generator)
        elif tensor.dim() > 1:
            tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
        elif tensor.is_floating_point() and tensor.dim():
            tensor.normal_(float(name.endswith("weight")), 0.1, generator=generator)
    return model


def spectrograms(config: HtsatConfig, n: int, n_frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, n_frames, config.n_mels, generator=generator) * 15 - 40
