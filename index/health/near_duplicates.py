"""Near-duplicates: rows that are one recording in another encoding, level, rate or cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earful.index.health.findings import Finding
from earful.index.health.same_recording import Segment, compare_signals
from earful.index.search import VectorSet

_NEAREST = 32


def propose_pairs(scores: NDArray[np.float32], near_duplicate: float) -> NDArray[np.intp]:
    """Propose which pairs to compare by their signals.

    A copy at another level or rate is far from its original, but mostly has it among the
    32 nearest; takes of one machine are all as near as copies.

    Args:
        scores: Cosine similarities, shape ``(n_rows, n_others)``; ``-inf`` where a pair is out of
            the question.
        near_duplicate: Similarity from which any pair is proposed; at 1 none is.

    Returns:
        Row and column of each, shape ``(n_pairs, 2)``, in order.
    """
    if near_duplicate >= 1.0 or not scores.size:
        return np.zeros((0, 2), dtype=np.intp)
    proposed = scores >= near_duplicate
    n_nearest = min(_NEAREST, scores.shape[1])
    nearest = np.argpartition(-scores, n_nearest - 1, axis=1)[:, :n_nearest]
    np.put_along_axis(proposed, nearest, values=True, axis=1)
    return np.argwhere(proposed & np.isfinite(scores))


def find_near_duplicates(
    rows: VectorSet,
    pairs: NDArray[np.intp],
    similarity: NDArray[np.float32],
    progress: Callable[[int, int], None] | None,
) -> list[Finding]:
    """Listen to proposed pairs of rows, and report those that are one recording.

    Args:
        rows: All rows of the index.
        pairs: Positions in ``rows``, shape ``(n_pairs, 2)``.
        similarity: Of their vectors, shape ``(n_pairs,)``.
        progress: Called with the number of rows read and the number of all that are read.
    """
    segments = [
        Segment(path=path, start_s=exemplar.start_s, end_s=exemplar.end_s)
        for exemplar, path in zip(rows.exemplars, rows.paths, strict=True)
    ]
    compared = compare_signals(segments, pairs, progress=progress)
    findings: list[Finding] = []
    for (row, other), value in zip(
        pairs[compared.same].tolist(), similarity[compared.same].tolist(), strict=True
    ):
        one, two = rows.exemplars[row], rows.exemplars[other]
        clash = set(one.labels) != set(two.labels)
        labels = f", labelled {_named(one.labels)} and {_named(two.labels)}" if clash else ""
        findings.append(
            Finding(
                kind="near-duplicate",
                ids=(one.id, two.id),
                what="one recording in two forms, by its signal "
                f"(vectors {value:.2f} alike){labels}",
                next="listen; remove one, or give both one group",
                severity=0.9 if clash else 0.4,
            )
        )
    return findings


def _named(labels: tuple[str, ...]) -> str:
    return " + ".join(map(repr, labels)) or "nothing"
