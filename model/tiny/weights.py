"""Weights of ``earful-tiny``, shipped or one's own: their description.

``weights/earful-tiny.json`` describes the release and lists its parts (trunk, clap, tokenizer)
with their digests. ``training.ship`` writes folders of the same layout, which are read alike.
"""

from __future__ import annotations

from earful.model import runtime
from earful.model.names import TINY
from earful.model.runtime import Release, ShippedWeights

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
