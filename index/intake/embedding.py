"""Embedding of one batch of a build: vectors, and class scores where the index keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexMismatchError
from earful.index.storage import IndexFolder, has_unit_norm, to_float16
from earful.model import ClassScorer, embed_and_score

if TYPE_CHECKING:
    from earful.model import Embedder
    from earful.model.audio import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The embedding of one clip.

    Attributes:
        vector: float32, shape ``(dim,)``.
        class_scores: float16, shape ``(n_classes,)``; ``None`` where the index keeps none.
        fault: Why it cannot be stored; empty when it can.
    """

    vector: NDArray[np.float32]
    class_scores: NDArray[np.float16] | None
    fault: str


def classes_of(embedder: Embedder) -> int:
    """Return how many class scores a row has in an index that an embedder begins."""
    return embedder.n_classes if isinstance(embedder, ClassScorer) else 0


def require_class_scores(index: IndexFolder, embedder: Embedder) -> None:
    """Refuse an embedder that lacks the class scores that an index keeps.

    Raises:
        IndexMismatchError: It gives none, or another number of them.
    """
    found = classes_of(embedder)
    if index.n_classes and found != index.n_classes:
        raise IndexMismatchError(
            f"{index.path}: each row has {index.n_classes} class scores beside its vector, and "
            f"this embedder {embedder.fingerprint.name!r} gives {found or 'none'}: use one with "
            "embed_and_score, such as load_embedder gives, or build the index anew"
        )


def embed_batch(embedder: Embedder, clips: Sequence[Clip], n_classes: int) -> list[Embedded]:
    """Embed clips as the rows of an index need them.

    Args:
        embedder: With class scores if ``n_classes`` is above 0.
        clips: At least one.
        n_classes: Class scores of a row; 0 for none.
    """
    if n_classes:
        vectors, logits = embed_and_score(embedder, clips)
    else:
        vectors, logits = embedder.embed(clips), None
    rows = [None] * len(vectors) if logits is None else logits
    return [
        Embedded(
            vector=vector,
            class_scores=None if own is None else to_float16(own),
            fault=vector_fault(vector) or _scores_fault(own),
        )
        for vector, own in zip(vectors, rows, strict=True)
    ]


def vector_fault(vector: NDArray[np.float32]) -> str:
    """Return why a vector cannot enter an index, or ``""``."""
    norm = float(np.linalg.norm(vector))
    return "" if has_unit_norm(norm) else f"the embedder gave a vector of norm {norm:g}, expected 1"


def _scores_fault(scores: NDArray[np.float32] | None) -> str:
    finite = scores is None or np.isfinite(scores).all()
    return "" if finite else "the embedder gave a class score that is not finite"
