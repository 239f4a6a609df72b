"""Weights of ``earful-tiny``, shipped or one's own: their description.

``weights/earful-tiny.json`` describes the release and lists its parts (trunk, clap, tokenizer)
with their digests. ``training.ship`` writes folders of the same layout, which are read alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earful.model import runtime
from earful.model.names import TINY
from earful.model.runtime import Release, ShippedWeights, read_tensors, require_shapes
from earful.model.tiny.network import trunk_shapes

NAME = TINY
WEIGHTS = ShippedWeights(
    name=NAME, package="earful.model.tiny", remedy="make the folder again with training.ship"
)
DESCRIPTION = WEIGHTS.description


def read_release(name: str = NAME) -> Release:
    """Read the description of the weights that ship, or of a folder's.

    Raises:
        ModelError: The description is missing, or is not a description of weights.
    """
    return runtime.read_release(WEIGHTS, name)


def read_trunk(release: Release, name: str = NAME) -> dict[str, NDArray[np.float32]]:
    """Read the tensors of the audio tower.

    Raises:
        ModelError: They are missing, damaged or of the wrong shapes.
    """
    tensors = read_tensors(runtime.read_part(release, "trunk", name), name)
    require_shapes(tensors, trunk_shapes(), name)
    return tensors
