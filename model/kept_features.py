"""The protocols of language models that keep their features of exemplars, and of the cache."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earful.model.prompt import ClipRef


class FeatureCache(Protocol):
    """Cache of a model's features of single recordings, on disk for example."""

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the features stored under a key, or ``None``."""
        ...

    def put(self, key: str, features: NDArray[np.float32]) -> None:
        """Store features, of two dimensions, under a key ``"maker/content"`` of hex digits."""
        ...


@runtime_checkable
class DescribesExemplars(Protocol):
    """Language model that keeps what the prototype of a label takes of an exemplar."""

    def describe_exemplar(self, clip: ClipRef) -> None:
        """Store it in the cache, unless it is there; several threads may call at once.

        Raises:
            AudioError: The recording cannot be read.
        """
        ...


@runtime_checkable
class KeepsFeatures(Protocol):
    """Language model that can cache its features of exemplars."""

    def keep_features(self, cache: FeatureCache) -> None:
        """Look up exemplars' features in a cache, and store new ones there."""
        ...

    def encode_exemplar(self, clip: ClipRef) -> None:
        """Store an exemplar's features in the cache, unless they are there.

        Raises:
            AudioError: The recording cannot be read.
        """
        ...
