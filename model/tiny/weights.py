"""Weights of ``earful-tiny``, shipped or one's own: their description, read and verified.

``weights/earful-tiny.json`` describes the release and lists its parts with their digests.
``training.ship`` writes folders of the same layout, which are read in the same way.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.model import runtime
from earful.model.names import TINY
from earful.model.runtime import Release, ShippedWeights, read_tensors, require_shapes
from earful.model.tiny.network import trunk_shapes

Part = Literal["trunk", "clap", "tokenizer"]
NAME = TINY
WEIGHTS = ShippedWeights(
    name=NAME, package="earful.model.tiny", remedy="make the folder again with training.ship"
)
DESCRIPTION = WEIGHTS.description


def read_release(name: str = NAME) -> Release:
    """Read the description of a set of weights.

    Args:
        name: A folder that holds such a description; anything else means the shipped weights.

    Raises:
        ModelError: The description is missing, or is not a description of weights.
    """
    return runtime.read_release(WEIGHTS, name)


def read_part(release: Release, part: Part, name: str = NAME) -> bytes:
    """Return the bytes of a part.

    Raises:
        ModelError: There is no such part, or its file is missing or has changed since the
            release was made.
    """
    return runtime.read_part(release, part, name)


def read_trunk(release: Release, name: str = NAME) -> dict[str, NDArray[np.float32]]:
    """Read the tensors of the audio tower.

    Raises:
        ModelError: They are missing, damaged or of the wrong shapes.
    """
    tensors = read_tensors(read_part(release, "trunk", name), name)
    require_shapes(tensors, trunk_shapes(), name)
    return tensors
