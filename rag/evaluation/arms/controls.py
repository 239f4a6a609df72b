"""Controls: the same question with something else in the place of what is heard or shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from earful.model import ClipRef, LanguageModel
from earful.rag.arrays import Rows
from earful.rag.retrieval import LabelMeans, Query, ShotSet

_MOST_DRAWS = 20


def asked_about(query: Query, reference: ClipRef) -> Query:
    """Return a query that another recording is heard for; its shots stay what they are."""
    return replace(query, reference=replace(reference, is_exemplar=False))


def silent(query: Query, model: LanguageModel) -> Query:
    """Return a query that silence is heard for."""
    return asked_about(query, ClipRef(audio=model.capabilities.silence()))


def with_other_labels(found: ShotSet, random: np.random.Generator) -> ShotSet:
    """Relabel shots with the labels and answers of other exemplars.

    What the labels' names say is left out: it would be right, whatever the shots say.
    """
    if found.prepared is None:
        return found
    candidates = found.prepared.candidates
    drawn = random.integers(len(candidates), size=len(candidates))
    hits = tuple(
        replace(hit, exemplar=hit.exemplar.relabelled(of.labels, of.answer))
        for hit, row in zip(found.hits, drawn[found.rows].tolist(), strict=True)
        for of in [candidates.exemplars[row]]
    )
    other = candidates.with_labels([candidates.row_labels[row] for row in drawn.tolist()])
    prepared = replace(found.prepared, candidates=other, means=LabelMeans(other))
    return replace(found, hits=hits, prepared=prepared)


def with_changed_labels(found: ShotSet, random: np.random.Generator) -> ShotSet:
    """Relabel shots as ``with_other_labels`` does, so that what they say, counted, changes.

    A draw that leaves it as it was shows nothing, and another one is drawn. The shots stay as they
    are where no draw changes it, as where all exemplars say the same.
    """
    said = _said(found)
    for _ in range(_MOST_DRAWS):
        other = with_other_labels(found, random)
        if _said(other) != said:
            return other
    return found


def _said(found: ShotSet) -> Counter[tuple[tuple[str, ...], str]]:
    """Return how many shots say what."""
    return Counter((hit.exemplar.labels, hit.exemplar.answer) for hit in found.hits)


def with_other_audio(
    found: ShotSet, allowed: NDArray[np.bool_], random: np.random.Generator
) -> ShotSet:
    """Give shots the audio of exemplars with other labels; what is said of them stays.

    Args:
        found: The shots of a query.
        allowed: Exemplars that the query may meet, bool, shape ``(n,)``.
        random: Draws them.
    """
    if found.prepared is None or not allowed.any():
        return found
    candidates = found.prepared.candidates
    other = candidates.with_audio_of(_of_other_labels(candidates.row_labels, allowed, random))
    hits = tuple(
        replace(hit, rank=own.rank)
        for hit, own in zip(other.hits(found.rows, found.similarities), found.hits, strict=True)
    )
    return replace(found, hits=hits, prepared=replace(found.prepared, candidates=other))


def _of_other_labels(
    row_labels: Sequence[tuple[int, ...]], allowed: NDArray[np.bool_], random: np.random.Generator
) -> Rows:
    """Draw an allowed row for each row, with other labels as far as there are any."""
    code_of: dict[tuple[int, ...], int] = {}
    codes = np.array([code_of.setdefault(own, len(code_of)) for own in row_labels])
    rows = np.flatnonzero(allowed)
    n = len(codes)
    drawn = random.choice(rows, size=n)
    for _ in range(_MOST_DRAWS):
        same = np.flatnonzero((codes[drawn] == codes) | (drawn == np.arange(n)))
        if not same.size:
            break
        drawn[same] = random.choice(rows, size=same.size)
    return np.asarray(drawn, dtype=np.intp)
