"""``yamnet``: the encoder that Google trained on AudioSet, and what it says of its classes.

YAMNet by M. Plakal and D. Ellis is MobileNet v1 on log-mel patches, trained on the 521 classes
of AudioSet; weights and class names are published under Apache-2.0. ATTRIBUTION.md says by
which way they came here. It knows many more kinds of sound than ``earful-tiny`` and takes a
fraction of the time. A text is embedded as the mixture of the classes whose names are near to it
(``words.py``), so it reaches as far as AudioSet's classes do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip, require_sample_rate
from earful.model.protocols import Fingerprint
from earful.model.runtime import (
    in_threads,
    read_part,
    read_tensors,
    require_device_name,
    require_directions,
    require_float32,
    require_release,
    require_shapes,
    unit_rows,
)
from earful.model.yamnet.front_end import (
    HIGHEST_HZ,
    LOWEST_HZ,
    PATCH_FRAMES,
    PATCH_HOP_FRAMES,
    SAMPLE_RATE,
    FrontEnd,
    cut,
    n_patches,
)
from earful.model.yamnet.network import EMBEDDING_DIM, Network, tensor_shapes
from earful.model.yamnet.weights import NAME, read_class_names, read_yamnet_release
from earful.model.yamnet.words import ClassWords, WordTable, read_word_table
from earful.values import embedder_repr

# A text whose nearest class is less similar than this speaks of something else.
_LIKE_A_CLASS = 0.5
_MOST_NAMED = 5
# Of one recording, so that its bits do not depend on the recordings beside it.
_PATCHES_AT_ONCE = 8

WINDOWING: Final = (
    f"{PATCH_FRAMES} frames every {PATCH_HOP_FRAMES}, zeros at end, mean, square root"
)


def load_yamnet(
    name: str = NAME, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> YamnetEmbedder:
    """Load YAMNet.

    Args:
        name: The registered name, or a folder made by ``earful models convert-yamnet``.
        revision: Empty, or the release at hand: an index asks for the one that made it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; it computes on the CPU
            whichever is given.
        dtype: ``"float32"``, the only arithmetic offered, or ``"auto"``, which is that.

    Raises:
        UnknownNameError: The device is none of these.
        ModelError: Another release or dtype is asked for, or the weights are missing or not
            what they were when the release was made.
    """
    require_float32(dtype, name)
    require_device_name(device)
    release = read_yamnet_release(name)
    require_release(release, revision, name)
    tensors = read_tensors(read_part(release, "network", name), name)
    require_shapes(tensors, tensor_shapes(), name)
    return YamnetEmbedder(
        Network(tensors),
        read_class_names(release, name),
        Fingerprint(
            name=release.name,
            revision=release.number,
            weights_sha256=str(release.parts["network"]["sha256"]),
            dim=EMBEDDING_DIM,
            sample_rate=SAMPLE_RATE,
            windowing=WINDOWING,
            dtype="float32",
        ),
        # Read when a text is embedded first; most of those who load it never do.
        lambda: read_word_table(read_part(release, "words", name), name),
    )


class YamnetEmbedder:
    """Audio to 1024-d unit vectors, and to scores of AudioSet's classes; a ``ClassScorer``.

    A recording is heard in patches of 0.96 s that begin every 0.48 s; zeros follow its end
    until the last one is full. Each patch has 1,024 numbers, none below 0. Their mean over
    the patches (``pool``) is what a vector and the class scores are made of: ``embed`` takes
    the square root of each number, so that a few loud ones do not decide alone, and gives the
    row unit length. The dot product of two rows is then how much two recordings share of what
    the network noticed.

    Args:
        network: Maps patches ``(n, 96, 64)`` to embeddings, and has the classifier.
        class_names: Of the classifier's outputs, in order.
        fingerprint: What to record in an index.
        read_words: Reads the table of words; called when a text is embedded first.
    """

    def __init__(
        self,
        network: Network,
        class_names: tuple[str, ...],
        fingerprint: Fingerprint,
        read_words: Callable[[], WordTable],
    ) -> None:
        self._network = network
        self._class_names = class_names
        self._fingerprint = fingerprint
        self._front_end = FrontEnd()
        self._read_words = read_words

    __repr__ = embedder_repr

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides its vectors."""
        return self._fingerprint

    @property
    def band_hz(self) -> tuple[float, float]:
        """Lowest and highest frequency that it hears, in Hz."""
        return LOWEST_HZ, HIGHEST_HZ

    def n_windows(self, n_samples: int) -> int:
        """Return how many patches are averaged for a recording of so many samples."""
        return n_patches(n_samples)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Display names of AudioSet's 521 classes, in the order of ``class_scores``."""
        return self._class_names

    @property
    def n_classes(self) -> int:
        """Number of classes, 521."""
        return len(self._class_names)

    @cached_property
    def class_words(self) -> ClassWords:
        """Mixtures of the classes for texts.

        Raises:
            ModelError: The table of words is missing or not what it was at the release.
        """
        return ClassWords(self._read_words(), self._class_names)

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Embed a batch.

        Args:
            clips: ``n`` clips at 16000 Hz, of any length.

        Returns:
            float32, shape ``(n, 1024)``; unit rows, no number below 0.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The network gave a vector that is zero or not finite.
        """
        return self.unit_rows(self.pool(clips))

    def class_scores(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Return how clearly each class of AudioSet is heard in each clip.

        Args:
            clips: ``n`` clips at 16000 Hz, of any length.

        Returns:
            float32, shape ``(n, 521)``: the classifier's logits, each the mean over a clip's
            patches. A logit of 0 is a probability of one half in a patch; classes do not
            exclude each other.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The network gave numbers that are not finite.
        """
        return self.scores_of(self.pool(clips))

    def embed_and_score(
        self, clips: Sequence[Clip]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what ``embed`` and ``class_scores`` do, in one pass.

        Args:
            clips: ``n`` clips at 16000 Hz, of any length.

        Returns:
            float32 of shape ``(n, 1024)`` and float32 of shape ``(n, 521)``.

        Raises:
            ValueError: A clip has another sample rate.
            ModelError: The network gave numbers that are not finite, or a vector that is zero.
        """
        pooled = self.pool(clips)
        return self.unit_rows(pooled), self.scores_of(pooled)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in the space of ``embed``.

        A text is a mixture of the classes, and its vector the same mixture of the classifier's
        rows, less the mean of its own numbers: a recording in which all 1,024 numbers are
        equally high has a similarity of 0 to every text. What stands out in a recording is
        compared with what stands out for the classes.

        Args:
            texts: ``n`` texts in English; never read as anything but text.

        Returns:
            float32, shape ``(n, 1024)``; unit rows.

        Raises:
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
            ModelError: The table of words is missing or not what it was at the release, or the
                classifier gives no direction.
        """
        # In float64, so that the rows' bits do not depend on how sums are shared out.
        rows = self.class_words.mixtures(texts).astype(np.float64) @ self._network.class_weights
        rows -= rows.mean(axis=1, keepdims=True)
        return unit_rows(rows, self._fingerprint.name)

    def text_weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how much each class's score counts for each text; see ``ClassScorer``.

        Returns:
            float32, shape ``(m, 521)``; see ``ClassWords.search_weights``.

        Raises:
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
            ModelError: The table of words is missing or not what it was at the release.
        """
        return self.class_words.search_weights(texts)

    def explain_text(self, text: str) -> str:
        """Return a warning about unknown words, or about a text that no class of AudioSet is near.

        Returns:
            ``""`` where all words are known and a class is near.

        Raises:
            PromptError: The text has no word that the table of words knows, or holds half a
                character.
            ModelError: The table of words is missing or not what it was at the release.
        """
        (similarities,) = self.class_words.similarities([text])
        unknown = self.class_words.unknown_words(text)
        if unknown is None:
            return (
                f"no word of {text[:40]!r} is known, or says anything of a sound: expected English "
                "words; what is found is arbitrary"
            )
        if unknown:
            words = ", ".join(repr(word[:40]) for word in unknown[:_MOST_NAMED])
            return (
                f"unknown words count by their letters alone, so what is found may be arbitrary: "
                f"{words}; expected English words"
            )
        nearest, second = np.argsort(-similarities, kind="stable")[:2]
        if similarities[nearest] >= _LIKE_A_CLASS:
            return ""
        return (
            f"AudioSet has no class like {text[:40]!r}, nearest are {self._class_names[nearest]!r} "
            f"and {self._class_names[second]!r}; what is found may be arbitrary"
        )

    def score_texts(self, clips: Sequence[Clip], texts: Sequence[str]) -> NDArray[np.float32]:
        """Return how well each text fits each clip, by class scores rather than vectors.

        A clip's scores are averaged as a text mixes the classes. Unlike the similarity of
        vectors this keeps how sure the network was, so it ranks recordings better.

        Args:
            clips: ``n`` clips at 16000 Hz, of any length.
            texts: ``m`` texts in English.

        Returns:
            float32, shape ``(n, m)``; higher the more a text stands out in a clip.

        Raises:
            ValueError: A clip has another sample rate.
            PromptError: A text has no word that the table of words knows, or holds half a
                character.
            ModelError: The network gave numbers that are not finite, or the table of words
                is missing or not what it was at the release.
        """
        scores = self.class_scores(clips).astype(np.float64)
        weights = self.text_weights(texts).astype(np.float64)
        return np.asarray(scores @ weights.T, dtype=np.float32)

    def pool(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Return each clip's mean embedding; ``unit_rows`` and ``scores_of`` read it.

        Args:
            clips: ``n`` clips at 16000 Hz, of any length.

        Returns:
            float32, shape ``(n, 1024)``, no number below 0.

        Raises:
            ValueError: A clip has another sample rate.
        """
        require_sample_rate(clips, SAMPLE_RATE)
        parts = [
            (row, first, min(first + _PATCHES_AT_ONCE, n))
            for row, n in enumerate(n_patches(clip.samples.size) for clip in clips)
            for first in range(0, n, _PATCHES_AT_ONCE)
        ]

        def embed(number: int) -> NDArray[np.float64]:
            row, first, stop = parts[number]
            patches = self._front_end.patches(cut(clips[row].samples, first, stop))
            return np.asarray(self._network(patches).sum(axis=0, dtype=np.float64))

        sums = np.zeros((len(clips), EMBEDDING_DIM))
        counts = np.zeros((len(clips), 1))
        for (row, first, stop), total in zip(parts, in_threads(embed, len(parts)), strict=True):
            sums[row] += total
            counts[row] += stop - first
        return (sums / counts).astype(np.float32)

    def unit_rows(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn mean embeddings, shape ``(n, 1024)``, into what ``embed`` returns.

        Raises:
            ModelError: A row is zero or not finite.
        """
        # The square root's squares are the numbers themselves.
        sums = pooled.sum(axis=1, keepdims=True, dtype=np.float64)
        require_directions(sums, self._fingerprint.name)
        rows: NDArray[np.float32] = np.sqrt(pooled / sums).astype(np.float32)
        return rows

    def scores_of(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn mean embeddings, shape ``(n, 1024)``, into what ``class_scores`` returns.

        The classifier is linear, so the logits of a mean are the mean of the logits.

        Raises:
            ModelError: A score is not finite.
        """
        found = self._network.classify(pooled)
        if not np.isfinite(found).all():
            raise ModelError(
                f"{self._fingerprint.name}: a class score is not finite; use undamaged weights"
            )
        return found
