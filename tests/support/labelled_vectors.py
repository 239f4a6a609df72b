"""Labelled vectors as candidates, without recordings or an index behind them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from earful.index.corpus import Exemplar
from earful.index.search import ClassScores, VectorSet
from earful.rag.retrieval import Candidates
from earful.rag.retrieval.gathering import gather_candidates
from earful.rag.task import Kind, Task


def candidates_of(
    vectors: NDArray[np.float32],
    labels: Sequence[Sequence[str]],
    *,
    groups: Sequence[str] = (),
    content: Sequence[str] = (),
    class_scores: NDArray[np.floating] | None = None,
    among: Sequence[str] | None = None,
    kind: Kind = "classify",
) -> Candidates:
    """Return candidates of these vectors and labels, ids by row; ``among`` some labels only."""
    n = len(vectors)
    scores = None if class_scores is None else ClassScores.of(class_scores.astype(np.float16))
    vector_set = VectorSet(
        exemplars=[
            Exemplar(
                id=f"{row:05}",
                audio=PurePosixPath(f"{row}.wav"),
                labels=tuple(labels[row]),
                group=groups[row] if groups else "",
            )
            for row in range(n)
        ],
        paths=[Path(f"/sounds/{row}.wav") for row in range(n)],
        content=content or [f"content-{row}" for row in range(n)],
        vectors=vectors,
        stored_scores=scores,
    )
    return gather_candidates(
        Task(name="t", kind=kind),
        index=vector_set,
        examples=None,
        labels=among,
        need_exemplars=False,
    )


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows scaled to unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
