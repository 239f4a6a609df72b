"""The heads of ``earful-small``: what both networks put out, joined in one unit vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

YAMNET_SHARE: Final = 0.9
"""Length of YAMNet's half beside the other, whose length is 1."""

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A linear head: numbers less ``shift``, times ``project``.

    Attributes:
        shift: float64, shape ``(n_inputs,)``.
        project: float64, shape ``(dim, n_inputs)``.
    """

    shift: Rows
    project: Rows

    def rows(self, inputs: NDArray[np.floating]) -> Rows:
        """Return unit rows, float64, shape ``(n, dim)``; a row of zeros stays one."""
        # In float64, so that the last bits do not depend on how many rows there are.
        return unit((inputs.astype(np.float64) - self.shift) @ self.project.T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heads:
    """Both heads, fitted by ``training/small``.

    Attributes:
        narrow: Head of the narrowed network.
        narrow_mean: Mean of its rows, float64, shape ``(dim,)``.
        yamnet: Head of YAMNet.
    """

    narrow: Head
    narrow_mean: Rows
    yamnet: Head

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Read what ``tensors`` returned."""
        exact = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        return cls(
            narrow=Head(shift=exact["narrow.shift"], project=exact["narrow.project"]),
            narrow_mean=exact["narrow_mean"],
            yamnet=Head(shift=exact["yamnet.shift"], project=exact["yamnet.project"]),
        )

    def tensors(self) -> dict[str, Rows]:
        """Return all numbers by name."""
        return {
            "narrow.shift": self.narrow.shift,
            "narrow.project": self.narrow.project,
            "narrow_mean": self.narrow_mean,
            "yamnet.shift": self.yamnet.shift,
            "yamnet.project": self.yamnet.project,
        }

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
        heard = unit(means - self.narrow_mean)
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
