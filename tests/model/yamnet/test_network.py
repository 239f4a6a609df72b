"""The network against torch's convolutions, with TensorFlow's padding written out."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from earful.model.audio import Clip
from earful.model.yamnet import Network, convolutions, load_yamnet, tensor_shapes
from tests.support.torch_yamnet import TorchYamnet, random_yamnet

# Of the largest number: what float32 rounds.
TOLERANCE = 1e-5


def same(maps: Tensor, kernel: Tensor, bias: Tensor, stride: int, groups: int) -> Tensor:
    """Convolve as TensorFlow does with padding "same", for any size of the maps."""
    pads: list[int] = []
    for n, size in zip(reversed(maps.shape[2:]), reversed(kernel.shape[2:]), strict=True):
        lacking = max(0, (-(-n // stride) - 1) * stride + size - n)
        pads += [lacking // 2, lacking - lacking // 2]
    return functional.conv2d(functional.pad(maps, pads), kernel, bias, stride, groups=groups)


def network_of(plain: TorchYamnet) -> Network:
    return Network({name: tensor.numpy() for name, tensor in plain.state_dict().items()})


def assert_same(found: NDArray[np.float32], expected: Tensor) -> None:
    atol = TOLERANCE * float(expected.abs().max())
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=atol)


def test_it_is_mobilenet_with_same_padding_and_relu() -> None:
    plain = random_yamnet()
    state = plain.state_dict()
    patches = torch.randn(2, 96, 64)
    maps = patches[:, None]
    for convolution in convolutions():
        kernel = state[f"{convolution.name}.weight"]
        kernel = kernel[:, :, None, None] if convolution.kernel_size == 1 else kernel
        groups = convolution.n_inputs if convolution.is_depthwise else 1
        bias = state[f"{convolution.name}.bias"]
        maps = same(maps, kernel, bias, convolution.stride, groups).relu()
    assert maps.shape == (2, 1024, 3, 2)
    network = network_of(plain)
    embeddings = network(patches.numpy())
    assert_same(embeddings, maps.mean(dim=(2, 3)))
    assert_same(network.classify(embeddings), plain.classifier(torch.from_numpy(embeddings)))
    assert (embeddings >= 0).all()


def test_it_has_27_convolutions_of_the_published_sizes() -> None:
    found = list(convolutions())
    assert len(found) == 27
    shapes = tensor_shapes()
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 3_729_481
    state = TorchYamnet().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    for convolution in found:
        assert shapes[f"{convolution.name}.bias"] == (convolution.n_outputs,)
    # Five of them halve the maps: 96 x 64 to 3 x 2.
    assert sum(convolution.stride == 2 for convolution in found) == 5


def test_each_border_of_a_patch_is_where_it_was() -> None:
    """Silence but for one border: other numbers for each of the four, and the plain ones."""
    plain = random_yamnet()
    patches = torch.zeros(4, 96, 64)
    patches[0, 0] = patches[1, -1] = patches[2, :, 0] = patches[3, :, -1] = 5.0
    with torch.inference_mode():
        expected = plain(patches)
    assert_same(network_of(plain)(patches.numpy()), expected)
    apart = torch.cdist(expected, expected, p=torch.inf) + 9 * torch.eye(4)
    assert float(apart.min()) > 1000 * TOLERANCE * float(expected.max())


@pytest.mark.parametrize("n", [1, 2, 5, 8, 33])
def test_a_patch_is_embedded_the_same_beside_others(n: int) -> None:
    network = network_of(random_yamnet())
    patches = torch.randn(n, 96, 64)
    together = network(patches.numpy())
    alone = np.concatenate([network(patch[None].numpy()) for patch in patches])
    np.testing.assert_allclose(together, alone, rtol=0, atol=TOLERANCE * alone.max())


@pytest.mark.parametrize("n_patches", [1, 2, 9, 70])
def test_a_recording_has_the_numbers_of_its_patches(n_patches: int) -> None:
    embedder = load_yamnet()
    samples = np.random.default_rng(n_patches).normal(scale=0.1, size=15_600 + 7680 * n_patches)
    clip = Clip(samples=samples[: 7680 * (n_patches + 1)].astype(np.float32), sample_rate=16_000)
    found, scores = embedder.embed_and_score([clip])
    sums = np.zeros(1024)
    padded = np.pad(clip.samples, (0, 15_600))
    for number in range(n_patches):
        part = padded[7680 * number :][:15_600]
        sums += embedder._network(embedder._front_end.patches(part))[0].astype(np.float64)
    pooled = (sums / n_patches).astype(np.float32)[None]
    np.testing.assert_allclose(found, embedder.unit_rows(pooled), rtol=0, atol=TOLERANCE)
    expected = embedder.scores_of(pooled)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
