"""Evidence: what retrieval found of a label, and how a recording goes, as features of a slot.

The small Flamingo's audios are of two kinds. A recording is its embedding, and beside it how
like the query's it is. A label's slot stands for all its exemplars at once: how like the query
they are on average, how far the label's name is heard in it, and how alike they go
(``acoustics.py``), which the embedding does not say. The network weighs these against each other;
training and use make them here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.model.small.acoustics import N_DESCRIPTORS
from earful.model.small.heads import unit

Features = NDArray[np.float32]
Numbers = NDArray[np.float64]

VECTOR_LENGTH: Final = 4.0
"""Length of a vector in a feature; it must be large beside the positions that are added to it."""
N_CHANNELS: Final = 8
"""Similarity, name, acoustics; then whether the name is known, whether there are exemplars,
whether the slot is a label's, whether it is the query's; and always 1."""
SIMILARITY, HEARD, ACOUSTICS = range(3)
_USUAL_SIMILARITY: Final = 0.3
_SIMILARITY_SCALE: Final = 2.0
_HEARD_SCALE: Final = 0.25
_HEARD_RANGE: Final = (-4.0, 8.0)
_SHARPNESS: Final = 2.0
"""Of the mean over a label's exemplars of how alike they go."""
CHANNEL_GAINS: Final = (0.5, 0.4, 0.15)
"""What the first three count for beside each other before any training: in similarity, as the rule
of label means has it for the first two."""
_WIDEST: Final = 3.0


def channels(
    *,
    similarity: float = 0.0,
    heard: float | None = None,
    acoustics: float | None = None,
    is_label: bool = False,
    is_query: bool = False,
) -> Features:
    """Return the channels of a slot.

    Args:
        similarity: Of the slot's exemplars to the query, a cosine or a mean of cosines.
        heard: Standard deviations by which the label's name is heard in the query; ``None`` for
            a name that means nothing.
        acoustics: Likeness of the acoustic descriptors, as ``likeness`` returns it; ``None``
            without an exemplar.
        is_label: Whether the slot stands for a label.
        is_query: Whether it is the recording asked about.

    Returns:
        float32, shape ``(N_CHANNELS,)``.
    """
    found = np.zeros(N_CHANNELS, dtype=np.float32)
    if not is_query:
        found[SIMILARITY] = _SIMILARITY_SCALE * (similarity - _USUAL_SIMILARITY)
    if heard is not None:
        found[HEARD] = _HEARD_SCALE * min(max(heard, _HEARD_RANGE[0]), _HEARD_RANGE[1])
    if acoustics is not None:
        found[ACOUSTICS] = acoustics
    found[3:] = heard is not None, acoustics is not None, is_label, is_query, 1.0
    return found


def features_of_clip(vectors: NDArray[np.floating], own: Features) -> Features:
    """Return the features of a recording.

    Args:
        vectors: Of its windows, shape ``(n, dim)``, unit rows.
        own: Its channels.

    Returns:
        float32, shape ``(n, dim + N_CHANNELS)``.
    """
    rows = np.repeat(own[None], len(vectors), axis=0)
    return np.concatenate([VECTOR_LENGTH * vectors.astype(np.float32), rows], axis=1)


def features_of_label(dim: int, own: Features) -> Features:
    """Return the features of a label's slot, shape ``(1, dim + N_CHANNELS)``."""
    # As long as a recording's, since the network brings every feature to one length; along the
    # axis that says least.
    nothing = np.zeros((1, dim))
    nothing[0, -1] = 1.0
    return features_of_clip(nothing, own)


def likeness(exemplars: NDArray[np.floating], query: NDArray[np.floating]) -> float:
    """Return how alike a query and some exemplars go.

    Args:
        exemplars: As ``AcousticScale.rows`` returns them, shape ``(n, N_DESCRIPTORS)``.
        query: Likewise, shape ``(N_DESCRIPTORS,)``.

    Returns:
        Between the mean and the highest of the cosines.
    """
    cosines = exemplars.astype(np.float64) @ query.astype(np.float64)
    return float(np.log(np.exp(_SHARPNESS * cosines).mean()) / _SHARPNESS)


class AcousticScale:
    """Scale of acoustic descriptors: what varies within a label counts for less.

    Args:
        mean: Of the training clips, shape ``(N_DESCRIPTORS,)``.
        scale: Their standard deviations.
        shift: Of the standardised descriptors; see ``project``.
        project: Shape ``(N_DESCRIPTORS, N_DESCRIPTORS)``: within-class covariance normalisation.
    """

    def __init__(self, mean: Numbers, scale: Numbers, shift: Numbers, project: Numbers) -> None:
        self.mean, self.scale, self.shift, self.project = mean, scale, shift, project

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[np.generic]]) -> AcousticScale:
        """Read what ``tensors`` returned.

        Raises:
            KeyError: A part is missing.
            ValueError: A part has another shape.
        """
        n = N_DESCRIPTORS
        shapes = {"mean": (n,), "scale": (n,), "shift": (n,), "project": (n, n)}
        for name, shape in shapes.items():
            if tensors[name].shape != shape:
                raise ValueError(f"{name} has the shape {tensors[name].shape}, expected {shape}")
        return cls(**{name: tensors[name].astype(np.float64) for name in shapes})

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return what is stored, in float32."""
        parts = {"mean": self.mean, "scale": self.scale}
        parts |= {"shift": self.shift, "project": self.project}
        return {name: part.astype(np.float32) for name, part in parts.items()}

    def rows(self, descriptors: Numbers) -> Numbers:
        """Return unit rows of descriptors, shape ``(..., N_DESCRIPTORS)``."""
        return unit((self.standardise(descriptors) - self.shift) @ self.project.T)

    def standardise(self, descriptors: Numbers) -> Numbers:
        """Return descriptors in standard deviations, at most three either way."""
        return np.asarray(((descriptors - self.mean) / self.scale).clip(-_WIDEST, _WIDEST))
