"""Prototypes of labels: what retrieval found of each, for a language model that takes them.

A prompt has room for seven exemplars, so of twenty labels with four each it would show a twelfth of
what is known. A label's prototype stands for all of its exemplars at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import numpy as np

from earful.errors import AudioError
from earful.model import ClipRef, DescribesExemplars, Embedder, LanguageModel, Prototype
from earful.rag.arrays import Rows
from earful.rag.generation.prompt import clip_of
from earful.rag.retrieval import Candidates, LabelEvidence, Voters
from earful.system import n_processors

MOST_HEARD: Final = 8
"""Exemplars of a label that are heard; its similarity is of all of them."""


def takes_prototypes(model: LanguageModel | None, embedder: Embedder | None) -> bool:
    """Whether a model knows the similarities by an embedder, and its weight beside their vote."""
    if model is None or embedder is None:
        return False
    limits = model.capabilities
    # Leaving one exemplar out would make other prototypes: the weight has to be known.
    known = bool(limits.prototypes_by) and limits.blend is not None
    return known and limits.prototypes_by == embedder.fingerprint.weights_sha256


def prototypes_of(
    candidates: Candidates, voters: Voters, evidence: LabelEvidence, most: int
) -> tuple[Prototype, ...]:
    """Return the labels for which most speaks.

    Args:
        candidates: The exemplars.
        voters: Which of them may answer a query.
        evidence: What they say of it.
        most: How many at most.

    Returns:
        Best first; no label of which nothing is known.
    """
    allowed = candidates.once(voters.allowed)
    found = []
    for label in np.argsort(-evidence.scores, kind="stable")[:most].tolist():
        if not np.isfinite(evidence.scores[label]):
            break
        rows = candidates.rows_of_label[label]
        rows = _spread(rows[allowed[rows]])
        hits = candidates.hits(rows, voters.similarities[rows].astype(np.float64))
        found.append(
            Prototype(
                label=candidates.labels[label],
                clips=tuple(clip_of(hit) for hit in hits),
                similarity=float(evidence.alike[label]),
                heard=None if evidence.heard is None else float(evidence.heard[label]),
            )
        )
    return tuple(found)


def describe_exemplars(
    model: LanguageModel,
    candidates: Candidates,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Keep what the labels' prototypes take of exemplars, for a model that keeps it.

    Where a recording that is asked about is an exemplar's own, another may take its place in the
    prototype, and is described then; one that cannot be read is told of when it is shown.

    Args:
        model: Describes them, in the cache that it was given.
        candidates: The exemplars.
        progress: Called with how many are described, of how many.
    """
    if not isinstance(model, DescribesExemplars):
        return
    once = candidates.once(np.ones(len(candidates), dtype=np.bool_))
    spread = [_spread(rows[once[rows]]) for rows in candidates.rows_of_label]
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.intp), *spread]))
    clips = [clip_of(hit) for hit in candidates.hits(rows, np.zeros(len(rows)))]

    def describe(clip: ClipRef) -> None:
        with suppress(AudioError):
            model.describe_exemplar(clip)

    # Each file is decoded by a process of its own.
    with ThreadPoolExecutor(n_processors(), "earful-describe") as threads:
        for n_done, _ in enumerate(threads.map(describe, clips), start=1):
            if progress is not None:
                progress(n_done, len(clips))


def _spread(rows: Rows) -> Rows:
    """Return some of many rows, evenly from all: exemplars of one source often stand together."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_HEARD))
    return rows[places.astype(np.intp)]
