"""Embedders that embed a recording once, for benchmarks that ask about it a thousand times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earful.model import LabelWords
from earful.model.audio import Clip
from earful.model.small import SmallEmbedder

Vectors = NDArray[np.float32]


class RememberingSmall:
    """An embedder that embeds a recording once; ``SmallEmbedder`` in all else.

    Args:
        small: Embeds.
    """

    def __init__(self, small: SmallEmbedder) -> None:
        self._small = small
        self._known: dict[str, tuple[Vectors, Vectors]] = {}
        self._words: dict[tuple[str, ...], LabelWords] = {}
        self.fingerprint = small.fingerprint
        self.n_classes = small.n_classes
        self.standardise = small.standardise
        self.embed_text = small.embed_text
        self.text_weights = small.text_weights

    def embed_and_score(self, clips: Sequence[Clip]) -> tuple[Vectors, Vectors]:
        """Embed a batch and score the classes; see ``ClassScorer``."""
        for clip in clips:
            if clip.content_sha256 not in self._known:
                vectors, scores = self._small.embed_and_score([clip])
                self._known[clip.content_sha256] = (vectors[0], scores[0])
        found = [self._known[clip.content_sha256] for clip in clips]
        return np.stack([vector for vector, _ in found]), np.stack([own for _, own in found])

    def embed(self, clips: Sequence[Clip]) -> Vectors:
        """Embed a batch; see ``Embedder``."""
        return self.embed_and_score(clips)[0]

    def label_words(self, names: Sequence[str]) -> LabelWords:
        """Say what names tell; see ``LabelNamer``."""
        key = tuple(names)
        if key not in self._words:
            self._words[key] = self._small.label_words(names)
        return self._words[key]
