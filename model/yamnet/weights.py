"""Weights and class names of YAMNet, shipped or converted by oneself.

``weights/yamnet.json`` says where they come from and names the files with their digests.
``earful models convert-yamnet`` writes folders of the same layout, which are read alike.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from earful.errors import ModelError
from earful.model.runtime import Release, ShippedWeights, read_part, read_release
from earful.model.yamnet.network import N_CLASSES

NAME: Final = "yamnet"
WEIGHTS: Final = ShippedWeights(
    name=NAME,
    package="earful.model.yamnet",
    remedy="make the folder again with `earful models convert-yamnet`",
)
DESCRIPTION: Final = WEIGHTS.description


def read_yamnet_release(name: str = NAME) -> Release:
    """Read the description of the weights that ship, or of a folder's.

    Raises:
        ModelError: The description is missing or not one.
    """
    return read_release(WEIGHTS, name)


def read_class_names(release: Release, name: str = NAME) -> tuple[str, ...]:
    """Return the display names of the 521 classes, in the order of the classifier.

    Raises:
        ModelError: The class map is missing, damaged or not one.
    """
    data = read_part(release, "classes", name)
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"))))
        found = tuple(row["display_name"] for row in rows if int(row["index"]) >= 0)
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{name}: {release.parts['classes']['file']} is not a class map ({error!r}); expected "
            "the columns index, mid and display_name"
        ) from error
    in_order = [row["index"] for row in rows] == [str(number) for number in range(len(rows))]
    if len(found) != N_CLASSES or not in_order:
        raise ModelError(
            f"{name}: {release.parts['classes']['file']} has {len(found)} classes, expected "
            f"{N_CLASSES} in order of their index"
        )
    return found
