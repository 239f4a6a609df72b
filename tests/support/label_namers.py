"""An embedder to which three names mean something: those of the classes that it scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from earful.model import LabelWords
from tests.support.class_scorers import CLASSES, ScoredSamples
from tests.support.small_corpus import DIM, RATE

UNKNOWN = 0.2
"""Cosine of any other name and the nearest class's."""


class NamedSamples(ScoredSamples):
    """The same, where a label's name is heard as far as a fifth of its class's logit."""

    fingerprint = replace(ScoredSamples.fingerprint, name="named-samples", weights_sha256="5a" * 32)

    def standardise(self, class_scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return a fifth of the logits."""
        return class_scores.astype(np.float64) / 5

    def label_words(self, names: Sequence[str]) -> LabelWords:
        """Return a fifth of the class that is called so; nothing for any other name."""
        return words(names)


def words(names: Sequence[str]) -> LabelWords:
    """Return what ``NamedSamples`` makes of names."""
    named = np.array([[float(name == known) for known in CLASSES] for name in names])
    named = named.reshape(-1, len(CLASSES))
    return LabelWords(
        weights=named / 5,
        offsets=np.zeros(len(names)),
        imagined=np.zeros((len(names), DIM), dtype=np.float32),
        known=np.where(named.any(axis=1), 1.0, UNKNOWN),
    )


def write_heard(path: Path, direction: Sequence[float], heard: Mapping[str, float] = {}) -> Path:
    """Write a recording of which ``NamedSamples`` makes this vector.

    Args:
        path: Where to.
        direction: First numbers of the vector; the others are 0.
        heard: Deviations by which the names of classes are heard.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.zeros(1000, dtype=np.float32)
    samples[: len(direction)] = direction
    samples[DIM : DIM + len(CLASSES)] = [5 / 40 * heard.get(name, 0.0) for name in CLASSES]
    # What follows is not looked at, and tells one recording from another.
    samples[100:] = np.random.default_rng([*path.as_posix().encode()]).standard_normal(900) / 8
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path
