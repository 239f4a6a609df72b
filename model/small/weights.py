"""Weights of ``earful-small``, shipped or one's own, and those of others that they stand upon.

``weights/earful-small.json`` describes the release. What is fitted there means nothing beside
another trunk or another YAMNet, so the description names the digests of both.
``python -m training.small`` writes folders of the same layout, which are read in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from earful.errors import ModelError
from earful.model import runtime, tiny
from earful.model.names import SMALL
from earful.model.runtime import Release, ShippedWeights, fill, without_weights
from earful.model.small.heads import Heads
from earful.model.small.network import new_factors
from earful.model.yamnet import read_yamnet_release

NAME: Final = SMALL
WEIGHTS: Final = ShippedWeights(
    name=NAME,
    package="earful.model.small",
    remedy="make the folder again with `python -m training.small`",
)
DESCRIPTION: Final = WEIGHTS.description


class Encoder(nn.Module):
    """What decides a vector, apart from the trunk and from YAMNet.

    Args:
        dims: Lengths of the vector's halves.
    """

    def __init__(self, dims: tuple[int, int]) -> None:
        super().__init__()
        self.factors = new_factors()
        self.heads = Heads(dims)


def read_small_release(name: str = NAME) -> Release:
    """Read the description of the weights that ship, or of a folder's.

    Raises:
        ModelError: The description is missing or not one, or the weights were fitted beside
            others than this earful has.
    """
    release = runtime.read_release(WEIGHTS, name)
    fitted = _encoder(release, name).get("beside")
    if fitted != (here := digests_beside()):
        raise ModelError(
            f"{name}: release {release.number!r} was fitted beside weights with the digests "
            f"{fitted}, expected {here}, which this earful ships; fit it again with "
            "`python -m training.small`, or install the earful that it was made with"
        )
    return release


def read_encoder(release: Release, name: str = NAME) -> Encoder:
    """Read factors and heads.

    Raises:
        ModelError: They are missing, damaged or of the wrong shapes.
    """
    dims = _encoder(release, name).get("dims")
    if not (isinstance(dims, list) and len(dims) == 2 and all(type(dim) is int for dim in dims)):
        raise ModelError(f"{name}: {DESCRIPTION} says dims {dims!r}, expected two whole numbers")
    with without_weights():
        encoder = Encoder((dims[0], dims[1]))
    return fill(encoder, runtime.read_part(release, "encoder", name), name)


def digests_beside() -> dict[str, str]:
    """Return the digests of the trunk and of YAMNet's network that ship."""
    return {
        "trunk": str(tiny.read_release().parts["trunk"]["sha256"]),
        "yamnet": str(read_yamnet_release().parts["network"]["sha256"]),
    }


def digest_of_all(release: Release) -> str:
    """Return one hex SHA-256 over all that decides a vector."""
    digests = [str(release.parts["encoder"]["sha256"]), *digests_beside().values()]
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def _encoder(release: Release, name: str) -> Mapping[str, Any]:
    if "encoder" not in release.parts:
        raise ModelError(f"{name}: {DESCRIPTION} has no encoder; {WEIGHTS.remedy}")
    return release.parts["encoder"]
