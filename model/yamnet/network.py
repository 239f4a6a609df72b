"""The network of YAMNet: MobileNet v1, with batch normalisation folded into its weights.

A convolution, then thirteen pairs of one that looks at each channel by itself (depthwise) and
one that mixes the channels of each place (pointwise), and a linear classifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.runtime import OnnxNetwork

EMBEDDING_DIM: Final = 1024
N_CLASSES: Final = 521
FIRST_CHANNELS: Final = 32
# Channels that a pair gives, and its stride.
PAIRS: Final = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (EMBEDDING_DIM, 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Shape of one of the 27 convolutions.

    Attributes:
        name: Name of its tensors, less ``.weight`` or ``.bias``.
        n_inputs: Channels that it reads.
        n_outputs: Channels that it gives.
        kernel_size: 3, or 1 where it is pointwise.
        stride: In both directions.
        is_depthwise: Whether each channel is looked at by itself.
    """

    name: str
    n_inputs: int
    n_outputs: int
    kernel_size: int
    stride: int
    is_depthwise: bool = False


def convolutions() -> Iterator[Convolution]:
    """Yield the convolutions in the order in which a patch goes through them."""
    yield Convolution(name="first", n_inputs=1, n_outputs=FIRST_CHANNELS, kernel_size=3, stride=2)
    before = FIRST_CHANNELS
    for number, (after, stride) in enumerate(PAIRS):
        yield Convolution(
            name=f"depthwise.{number}",
            n_inputs=before,
            n_outputs=before,
            kernel_size=3,
            stride=stride,
            is_depthwise=True,
        )
        yield Convolution(
            name=f"pointwise.{number}", n_inputs=before, n_outputs=after, kernel_size=1, stride=1
        )
        before = after


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of each of the network's tensors, by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "classifier.weight": (N_CLASSES, EMBEDDING_DIM),
        "classifier.bias": (N_CLASSES,),
    }
    for each in convolutions():
        n_inputs = 1 if each.is_depthwise else each.n_inputs
        kernel = () if each.kernel_size == 1 else (each.kernel_size,) * 2
        shapes[f"{each.name}.weight"] = (each.n_outputs, n_inputs, *kernel)
        shapes[f"{each.name}.bias"] = (each.n_outputs,)
    return shapes


class Network:
    """Patches of log-mel frames, ``(n, 96, 64)``, to embeddings, ``(n, 1024)``, none below 0.

    Args:
        tensors: As ``tensor_shapes`` says, in float32.

    Attributes:
        class_weights: The classifier, float64, shape ``(521, 1024)``.
        class_biases: Float64, shape ``(521,)``.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self.class_weights = tensors["classifier.weight"].astype(np.float64)
        self.class_biases = tensors["classifier.bias"].astype(np.float64)
        weights = {name: x for name, x in tensors.items() if not name.startswith("classifier")}
        for name, tensor in weights.items():
            if tensor.ndim == 2:  # a product of matrices, to the graph a convolution of 1 x 1
                weights[name] = tensor[:, :, None, None]
        self._network = OnnxNetwork("earful.model.yamnet", "weights/network.onnx", weights)

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed patches, each by itself."""
        return self._network(patches)

    def classify(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of embeddings or of means of some, ``(n, 521)``."""
        # In float64, so that a row's bits do not depend on the rows beside it.
        exact = embeddings.astype(np.float64) @ self.class_weights.T + self.class_biases
        return exact.astype(np.float32)
