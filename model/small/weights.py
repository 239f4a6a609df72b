"""Weights of ``earful-small``, shipped or one's own, and those of others that they stand upon.

``weights/earful-small.json`` describes the release. What is fitted there means nothing beside
another trunk or another YAMNet, so the description names the digests of both.
``python -m training.small`` writes folders of the same layout, which are read in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model import runtime, tiny
from earful.model.names import SMALL
from earful.model.runtime import Release, ShippedWeights, read_tensors, require_shapes
from earful.model.small.heads import Heads
from earful.model.small.network import RANKS, Factors, factor_shapes
from earful.model.tiny import OUTPUT_DIM
from earful.model.yamnet import EMBEDDING_DIM, read_yamnet_release

NAME: Final = SMALL
WEIGHTS: Final = ShippedWeights(
    name=NAME,
    package="earful.model.small",
    remedy="make the folder again with `python -m training.small`",
)
DESCRIPTION: Final = WEIGHTS.description


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """Parts that decide a vector, apart from the trunk and from YAMNet.

    Attributes:
        factors: By the number of the convolution that they narrow.
        heads: Both heads.
    """

    factors: Mapping[int, Factors]
    heads: Heads

    def tensors(self) -> dict[str, NDArray[np.float16]]:
        """Return all numbers by name, rounded as they are stored."""
        found: dict[str, NDArray[Any]] = {}
        for number, own in self.factors.items():
            parts = {"narrow": own.narrow, "widen": own.widen, "bias": own.bias}
            found |= {f"factors.{number}.{part}": x for part, x in parts.items()}
        found |= {f"heads.{name}": x for name, x in self.heads.tensors().items()}
        return {name: np.ascontiguousarray(x, dtype=np.float16) for name, x in found.items()}


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
    tensors = read_tensors(runtime.read_part(release, "encoder", name), name)
    shapes: dict[str, tuple[int, ...]] = {
        f"factors.{key}": shape for key, shape in factor_shapes().items()
    }
    for head, n_inputs, dim in (
        ("narrow", OUTPUT_DIM, dims[0]),
        ("yamnet", EMBEDDING_DIM, dims[1]),
    ):
        shapes[f"heads.{head}.shift"] = (n_inputs,)
        shapes[f"heads.{head}.project"] = (dim, n_inputs)
    shapes["heads.narrow_mean"] = (dims[0],)
    require_shapes(tensors, shapes, name)
    return Encoder(
        factors={
            number: Factors(
                narrow=tensors[f"factors.{number}.narrow"],
                widen=tensors[f"factors.{number}.widen"],
                bias=tensors[f"factors.{number}.bias"],
            )
            for number in RANKS
        },
        heads=Heads.from_tensors(
            {
                key.removeprefix("heads."): tensor
                for key, tensor in tensors.items()
                if key.startswith("heads.")
            }
        ),
    )


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
