"""The seam between audio and vectors: what an embedder is.

Anything with a ``fingerprint`` and an ``embed`` method is an embedder; the registry,
the index and the tests know nothing else about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Everything that decides which vector a recording gets.

    Two embedders with equal fingerprints make comparable vectors; an index stores the
    one it was built with and refuses any other.

    Attributes:
        name: Registered name, hub id or folder name, such as ``"earful-tiny"``.
        revision: Hub revision or release of the weights; empty when there is none.
        weights_sha256: Hex SHA-256 over the weights; empty for an embedder without any.
        dim: Length of a vector.
        sample_rate: Rate of the clips it takes, in Hz.
        windowing: How recordings of any length become windows, and windows a vector.
        dtype: Arithmetic of the encoder, such as ``"float32"``.
        resampler: What brought the audio to ``sample_rate``, such as ``"soxr-hq"``.
    """

    name: str
    revision: str
    weights_sha256: str
    dim: int
    sample_rate: int
    windowing: str
    dtype: str = "float32"
    resampler: str = "soxr-hq"

    def to_dict(self) -> dict[str, str | int]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            ModelError: A field is missing, unknown or of the wrong type.

        >>> f = Fingerprint(name="a", revision="", weights_sha256="", dim=2, sample_rate=8000,
        ...                 windowing="whole")
        >>> Fingerprint.from_dict(f.to_dict()) == f
        True
        """
        if not isinstance(values, dict):
            raise ModelError(f"embedder fingerprint: found {type(values).__name__}, want a table")
        wanted = {field.name: int if field.type == "int" else str for field in fields(cls)}
        if missing := sorted(wanted.keys() - values.keys()):
            raise ModelError(f"embedder fingerprint: missing {', '.join(missing)}")
        if unknown := sorted(map(str, values.keys() - wanted.keys())):
            raise ModelError(f"embedder fingerprint: unknown {', '.join(unknown)}")
        for key, kind in wanted.items():
            if type(values[key]) is not kind:
                raise ModelError(
                    f"embedder fingerprint: {key} is {values[key]!r}, want {kind.__name__}"
                )
        return cls(**values)

    def differences(self, other: Fingerprint) -> list[str]:
        """Name every field that differs, as ``"field: mine / theirs"``."""
        return [
            f"{field.name}: {mine!r} / {theirs!r}"
            for field in fields(self)
            if (mine := getattr(self, field.name)) != (theirs := getattr(other, field.name))
        ]


@runtime_checkable
class Embedder(Protocol):
    """Turns audio into vectors whose dot product is a similarity."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes its vectors comparable with others."""
        ...

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        A clip's vector does not depend on its neighbours in the batch, beyond the last
        bits of floating point.

        Args:
            clips: ``n`` clips, each at ``fingerprint.sample_rate`` and of any length.

        Returns:
            float32, shape ``(n, dim)``; every row is finite and has unit L2 norm.

        Raises:
            ValueError: A clip has another sample rate.
        """
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder that puts sentences into the same space as audio."""

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed sentences.

        Args:
            texts: ``n`` sentences; never read as anything but text.

        Returns:
            float32, shape ``(n, dim)``; unit rows in the space of ``embed``.
        """
        ...
