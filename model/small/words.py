"""Words of ``earful-small``: how far a name is heard in a clip, and the clip that it suggests.

A name is a mixture of AudioSet's classes (``ClassWords``). Logits of classes are not alike: some
are high for any sound, some hardly move. So each is standardised over the training clips, and so
is the mixture of them: how far a name is heard counts in deviations of the training clips.

The clip that a name suggests is the sum of two guesses, each of unit length: what a linear map
makes of the name's vector, fitted on the names of the training labels and the means of their
clips; and the mixture of the classes' directions in the space of vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from earful.errors import ModelError, PromptError
from earful.model.label_words import LabelWords
from earful.model.small.heads import unit
from earful.model.yamnet import N_CLASSES, ClassWords

Numbers = NDArray[np.float64]
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordMaps:
    """Word maps that ``training/small`` fitted, in float64.

    Attributes:
        mean: Of each class's logit over the training clips, shape ``(521,)``.
        scale: What its logit, less the mean, is divided by, shape ``(521,)``.
        covariance: Of the standardised logits over the training clips, shape ``(521, 521)``.
        directions: Unit vector of each class in the space of vectors, shape ``(521, dim)``.
        text_mean: Mean word vector of the training names, shape ``(word_dim,)``.
        text_map: Word vectors to vectors, shape ``(word_dim, dim)``.
    """

    mean: Numbers
    scale: Numbers
    covariance: Numbers
    directions: Numbers
    text_mean: Numbers
    text_map: Numbers

    def standardise(self, class_scores: NDArray[np.floating]) -> Numbers:
        """Return class scores in standard deviations of the training clips."""
        return np.asarray((class_scores.astype(np.float64) - self.mean) / self.scale)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return what is stored: of the covariance, which is symmetric, its lower half."""
        lower = self.covariance[np.tril_indices(N_CLASSES)]
        half = {"directions": self.directions, "text_mean": self.text_mean}
        half |= {"text_map": self.text_map, "covariance": lower}
        return {
            "mean": self.mean.astype(np.float32),
            "scale": self.scale.astype(np.float32),
            **{name: numbers.astype(np.float16) for name, numbers in half.items()},
        }


def read_word_maps(data: bytes, name: str) -> WordMaps:
    """Read what ``WordMaps.tensors`` returned, from a safetensors file.

    Args:
        data: The file's bytes.
        name: Name of the model, for errors.

    Raises:
        ModelError: The data are not that.
    """
    try:
        found = {key: tensor.astype(np.float64) for key, tensor in load(data).items()}
        rows, columns = np.tril_indices(N_CLASSES)
        covariance = np.zeros((N_CLASSES, N_CLASSES))
        covariance[rows, columns] = covariance[columns, rows] = found.pop("covariance")
        maps = WordMaps(covariance=covariance, **found)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: not the weights of words ({error}); use undamaged ones"
        ) from error
    word_dim, dim = (*maps.text_map.shape, 0, 0)[:2]
    shapes = [maps.mean.shape, maps.scale.shape, maps.directions.shape, maps.text_mean.shape]
    if shapes != [(N_CLASSES,), (N_CLASSES,), (N_CLASSES, dim), (word_dim,)]:
        raise ModelError(f"{name}: weights of words of the shapes {shapes}; use undamaged ones")
    return maps


class NameWords:
    """Words of label names in the space of recordings.

    Args:
        class_words: Makes mixtures of the classes out of texts.
        maps: What was fitted for words.
    """

    def __init__(self, class_words: ClassWords, maps: WordMaps) -> None:
        self._class_words = class_words
        self._maps = maps

    def imagined(self, texts: Sequence[str]) -> Numbers:
        """Return the unit vectors that texts suggest, shape ``(m, dim)``.

        Raises:
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
        """
        plain = [plain_name(text) for text in texts]
        guess = (
            self._class_words.table.vectors(plain) - self._maps.text_mean
        ) @ self._maps.text_map
        mixed = self._class_words.mixtures(plain).astype(np.float64) @ self._maps.directions
        return unit(unit(guess) + unit(mixed))

    def of_labels(self, names: Sequence[str]) -> LabelWords:
        """Return how clearly names are heard in recordings; see ``LabelNamer.label_words``."""
        dim = self._maps.directions.shape[1]
        weights = np.zeros((len(names), N_CLASSES))
        imagined = np.zeros((len(names), dim), dtype=np.float32)
        known = np.zeros(len(names))
        for row, name in enumerate(names):
            plain = plain_name(name)
            try:
                (mixture,) = self._class_words.mixtures([plain]).astype(np.float64)
            except PromptError:
                continue
            # Rounded to 16 bits, the variance of what never varied may come out below 0.
            variance = max(float(mixture @ self._maps.covariance @ mixture), _LEAST_VARIANCE)
            weights[row] = mixture / self._maps.scale / np.sqrt(variance)
            imagined[row] = self.imagined([plain])[0]
            # The cosine of two equal vectors may exceed 1 in its last bit.
            known[row] = min(1.0, float(self._class_words.similarities([plain]).max()))
        return LabelWords(
            weights=weights, offsets=-weights @ self._maps.mean, imagined=imagined, known=known
        )


def plain_name(name: str) -> str:
    """Return a name with the spaces that a label or a file has no room for.

    >>> plain_name("bow-and_arrow")
    'bow and arrow'
    """
    return name.replace("-", " ").replace("_", " ")
