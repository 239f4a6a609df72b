"""An embedder that scores classes, too: what it hears of each is some of a clip's own samples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.model.audio import Clip
from tests.support.small_corpus import DIM, Samples

CLASSES = ("first", "second", "third")


class ScoredSamples(Samples):
    """Samples 0 to 15 of a clip as a direction, and 40 times samples 16 to 18 as logits."""

    n_classes = len(CLASSES)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the axis of the class that a text names."""
        rows: NDArray[np.float32] = np.eye(DIM, dtype=np.float32)
        return np.asarray(rows[self.text_weights(texts).argmax(axis=1)])

    def embed_and_score(
        self, clips: Sequence[Clip]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return float32 rows, and float32 logits of shape ``(n, 3)``."""
        return self.embed(clips), np.stack([logits_of(clip) for clip in clips])

    def text_weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return equal weights for the classes that a text names."""
        rows = [[float(name in text.split()) for name in CLASSES] for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if not any(row):
                raise PromptError(f"text {text!r} names none of {', '.join(CLASSES)}")
        weights = np.array(rows, dtype=np.float32).reshape(-1, len(CLASSES))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def logits_of(clip: Clip) -> NDArray[np.float32]:
    """Return a clip's class scores."""
    return np.asarray(clip.samples[DIM : DIM + len(CLASSES)] * 40, dtype=np.float32)
