"""Weights of ``earful-tiny``, shipped or one's own: what they are, and reading them safely.

``weights/earful-tiny.json`` describes the release and names its parts with their digests.
``training.ship`` writes folders of the same layout, which are read alike.
"""

from __future__ import annotations

from typing import Literal

from earful.model import runtime
from earful.model.runtime import Release, Shipped, fill, require_release

Part = Literal["trunk", "clap", "flamingo", "tokenizer"]
NAME = "earful-tiny"
SHIPPED = Shipped(
    name=NAME, package="earful.model.tiny", remake="make the folder anew with training.ship"
)
DESCRIPTION = SHIPPED.description

__all__ = [
    "DESCRIPTION",
    "NAME",
    "SHIPPED",
    "Part",
    "Release",
    "fill",
    "read_part",
    "read_release",
    "require_release",
]


def read_release(name: str = NAME) -> Release:
    """Read the description of a set of weights.

    Args:
        name: A folder that holds such a description; anything else means what ships.

    Raises:
        ModelError: The description is missing or not one.
    """
    return runtime.read_release(SHIPPED, name)


def read_part(release: Release, part: Part, name: str = NAME) -> bytes:
    """Return the bytes of a part.

    Raises:
        ModelError: There is no such part, or its file is missing or not what it was when the
            release was made.
    """
    return runtime.read_part(release, part, name)
