"""Rendered prompts: what a model reads, as ids, before any recording is heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rendered:
    """A prompt as a model reads it.

    Attributes:
        inputs: Arrays of shape ``(1, n)`` by name, ``input_ids`` and masks among them.
        is_audio: bool, shape ``(n,)``: where a recording's features belong.
        cuts: Where it is cut to be read in parts, in rising order; see ``cut_points``.
    """

    inputs: dict[str, Any]
    is_audio: NDArray[np.bool_]
    cuts: tuple[int, ...] = ()

    @property
    def ids(self) -> NDArray[np.int64]:
        """Its ids, shape ``(n,)``."""
        ids: NDArray[np.int64] = self.inputs["input_ids"][0].numpy()
        return ids

    @property
    def n_tokens(self) -> int:
        """Length in tokens."""
        return self.is_audio.size
