"""The heads of ``earful-small``: what both networks put out, joined in one unit vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earful.model.tiny import OUTPUT_DIM
from earful.model.yamnet import EMBEDDING_DIM

YAMNET_SHARE: Final = 0.9
"""Length of YAMNet's half beside the other, whose length is 1."""

Rows = NDArray[np.float64]


class Head(nn.Module):
    """A linear head: numbers less ``shift``, times ``project``.

    Args:
        n_inputs: Numbers that it reads.
        dim: Numbers that it gives.
    """

    def __init__(self, n_inputs: int, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.empty(n_inputs))
        self.project = nn.Parameter(torch.empty(dim, n_inputs))

    def rows(self, inputs: NDArray[np.floating]) -> Rows:
        """Return unit rows, float64, shape ``(n, dim)``; a row of zeros stays one."""
        # In float64, so that the last bits do not depend on how many rows there are.
        shift, project = _exact(self.shift), _exact(self.project)
        return unit((inputs.astype(np.float64) - shift) @ project.T)


class Heads(nn.Module):
    """Both heads, fitted by ``training/small``.

    Args:
        dims: Length of the narrowed network's half, and of YAMNet's.
    """

    def __init__(self, dims: tuple[int, int]) -> None:
        super().__init__()
        self.narrow = Head(OUTPUT_DIM, dims[0])
        self.narrow_mean = nn.Parameter(torch.empty(dims[0]))
        self.yamnet = Head(EMBEDDING_DIM, dims[1])

    def window_means(self, outputs: NDArray[np.float32], counts: Sequence[int]) -> Rows:
        """Average the unit vectors of each clip's windows, not centred yet.

        Args:
            outputs: The narrowed network's, shape ``(n_windows, 512)``, clip by clip.
            counts: Windows of each clip.

        Returns:
            Shape ``(n, dim)``; unit rows.
        """
        places = np.cumsum([0, *counts])[:-1]
        windows = self.narrow.rows(outputs)
        sums: Rows = np.add.reduceat(windows, places, axis=0) if len(places) else windows
        return unit(sums)

    def join(self, means: Rows, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Join both halves.

        Args:
            means: As ``window_means`` returns them.
            pooled: YAMNet's mean embeddings, shape ``(n, 1024)``, none below 0.

        Returns:
            float32, shape ``(n, dim)``; unit rows, unless the inputs are wrong.
        """
        heard = unit(means - _exact(self.narrow_mean))
        noticed = self.yamnet.rows(np.sqrt(pooled.astype(np.float64)))
        joined: NDArray[np.float32] = unit(
            np.concatenate([heard, YAMNET_SHARE * noticed], axis=1)
        ).astype(np.float32)
        return joined


def unit(rows: NDArray[np.float64]) -> Rows:
    """Return rows at unit length; those of zeros stay so.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))


def _exact(tensor: torch.Tensor) -> Rows:
    return np.asarray(tensor.detach().double().cpu().numpy())
