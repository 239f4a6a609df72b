"""The networks of ``earful-tiny``: an audio tower and a text tower that share one space.

The audio tower is the published ``aisfx`` network (``Trunk``; see ``embedder``) and a linear
head, which weights its outputs by how well they tell labels apart across recordings. The
text tower is a small transformer. ``training/torch_tiny.py`` has the same in torch, to train.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.runtime import OnnxNetwork

CHANNELS: Final = (1, 64, 64, 128, 128, 256, 256, 512, 512)
POOLED: Final = frozenset({1, 3, 5})
OUTPUT_DIM: Final = CHANNELS[-1]
MAX_TEXT_TOKENS: Final = 64
TEXT_WIDTH: Final = 192
N_TEXT_LAYERS: Final = 2
N_TEXT_HEADS: Final = 3

Numbers = NDArray[np.float32]
Shapes = dict[str, tuple[int, ...]]


def trunk_shapes() -> Shapes:
    """Return the shape of each tensor of ``Trunk``, by name."""
    shapes: Shapes = {}
    for number, (before, after) in enumerate(pairwise(CHANNELS)):
        shapes[f"convolutions.{number}.weight"] = (after, before, 3, 3)
        shapes[f"convolutions.{number}.bias"] = (after,)
    return shapes


class Trunk:
    """Convolutional encoder: frames ``(n, n_frames, 96)`` to ``(n, 512)``.

    Eight 3x3 convolutions, each followed by ReLU, with 2x2 max-pooling after the second,
    fourth and sixth; then the mean over mel bands and the maximum over time. The original's
    batch normalisation is folded into the convolutions' weights.

    Args:
        tensors: As ``trunk_shapes`` says.
    """

    def __init__(self, tensors: Mapping[str, Numbers]) -> None:
        weights = {name.removeprefix("convolutions."): x for name, x in tensors.items()}
        self._network = OnnxNetwork("earful.model.tiny", "weights/trunk.onnx", weights)

    def __call__(self, frames: Numbers) -> Numbers:
        """Encode windows independently of each other."""
        return self._network(frames)


def head_shapes(dim: int) -> Shapes:
    """Return the shape of each tensor of ``AudioHead``, by name."""
    return {"shift": (OUTPUT_DIM,), "project.weight": (dim, OUTPUT_DIM)}


class AudioHead:
    """Linear head: outputs of ``Trunk`` to the shared space.

    Args:
        tensors: As ``head_shapes`` says.
    """

    def __init__(self, tensors: Mapping[str, Numbers]) -> None:
        self._shift = tensors["shift"].astype(np.float64)
        self._project = tensors["project.weight"].astype(np.float64)

    def __call__(self, outputs: Numbers) -> NDArray[np.float64]:
        """Project ``(n, 512)`` to unit rows, float64, shape ``(n, dim)``."""
        # In float64, so that the last bits do not depend on how many rows there are.
        return unit_rows((outputs.astype(np.float64) - self._shift) @ self._project.T)


def text_shapes(vocab_size: int, dim: int) -> Shapes:
    """Return the shape of each tensor of ``TextTower``, by name."""
    width, inner = TEXT_WIDTH, 2 * TEXT_WIDTH
    shapes: Shapes = {
        "embed_tokens.weight": (vocab_size, width),
        "embed_positions.weight": (MAX_TEXT_TOKENS, width),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "project.weight": (dim, width),
    }
    of_layer: Shapes = {
        "attention_norm.weight": (width,),
        "attention_norm.bias": (width,),
        "qkv.weight": (3 * width, width),
        "qkv.bias": (3 * width,),
        "out.weight": (width, width),
        "out.bias": (width,),
        "feed_forward.0.weight": (width,),
        "feed_forward.0.bias": (width,),
        "feed_forward.1.weight": (inner, width),
        "feed_forward.1.bias": (inner,),
        "feed_forward.3.weight": (width, inner),
        "feed_forward.3.bias": (width,),
    }
    for layer in range(N_TEXT_LAYERS):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in of_layer.items()}
    return shapes


class TextTower:
    """Text tower: token ids to the shared space.

    Args:
        tensors: As ``text_shapes`` says.
    """

    def __init__(self, tensors: Mapping[str, Numbers]) -> None:
        given = dict(tensors)
        self._tokens = given.pop("embed_tokens.weight")
        self._positions = given.pop("embed_positions.weight")
        self._project = given.pop("project.weight").astype(np.float64)
        # The graph multiplies rows by matrices, which training keeps the other way round.
        weights = {name: x.T for name, x in given.items()}
        self._network = OnnxNetwork("earful.model.tiny", "weights/text.onnx", weights)

    def __call__(self, ids: NDArray[np.int64], mask: Numbers) -> NDArray[np.float64]:
        """Encode texts.

        Args:
            ids: Shape ``(n, T)``, T up to ``MAX_TEXT_TOKENS``.
            mask: Shape ``(n, T)``; 0 where padded.

        Returns:
            float64, shape ``(n, dim)``; unit rows.
        """
        tokens = self._tokens[ids] + self._positions[: ids.shape[1]]
        return unit_rows(self._network(tokens, mask).astype(np.float64) @ self._project.T)


def unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows at unit length; those of zeros stay so."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))
