"""The network against convolutions written out with TensorFlow's padding."""

import torch
from torch import Tensor
from torch.nn import functional

from earful.model.yamnet import Network, convolutions


def same(maps: Tensor, kernel: Tensor, bias: Tensor, stride: int, groups: int) -> Tensor:
    """Convolve as TensorFlow does with padding "same", for any size of the maps."""
    pads: list[int] = []
    for n, size in zip(reversed(maps.shape[2:]), reversed(kernel.shape[2:]), strict=True):
        lacking = max(0, (-(-n // stride) - 1) * stride + size - n)
        pads += [lacking // 2, lacking - lacking // 2]
    return functional.conv2d(functional.pad(maps, pads), kernel, bias, stride, groups=groups)


def random_network() -> Network:
    torch.manual_seed(0)
    return Network().eval().requires_grad_(False)


def test_it_is_mobilenet_with_same_padding_and_relu() -> None:
    network = random_network()
    state = network.state_dict()
    patches = torch.randn(2, 96, 64)
    maps = patches[:, None]
    for convolution in convolutions():
        kernel = state[f"{convolution.name}.weight"]
        kernel = kernel[:, :, None, None] if convolution.kernel_size == 1 else kernel
        groups = convolution.n_inputs if convolution.is_depthwise else 1
        bias = state[f"{convolution.name}.bias"]
        maps = same(maps, kernel, bias, convolution.stride, groups).relu()
    assert maps.shape == (2, 1024, 3, 2)
    embeddings = network(patches)
    torch.testing.assert_close(embeddings, maps.mean(dim=(2, 3)), atol=1e-6, rtol=1e-4)
    assert network.classifier(embeddings).shape == (2, 521)


def test_it_has_27_convolutions_of_the_published_sizes() -> None:
    found = list(convolutions())
    assert len(found) == 27
    state = Network().state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 3_729_481
    assert {name.rpartition(".")[0] for name in state} == {
        "classifier",
        *(convolution.name for convolution in found),
    }
    for convolution in found:
        assert state[f"{convolution.name}.bias"].shape == (convolution.n_outputs,)
    # Five of them halve the maps: 96 x 64 to 3 x 2.
    assert sum(convolution.stride == 2 for convolution in found) == 5


def test_a_patch_is_embedded_the_same_beside_others() -> None:
    network = random_network()
    patches = torch.randn(5, 96, 64)
    together = network(patches)
    alone = torch.cat([network(patch[None]) for patch in patches])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-4)
    assert (together >= 0).all()
