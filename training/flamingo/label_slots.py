"""Label slots of training episodes: labels with some exemplars each, ranked as retrieval would.

As in use, a label's slot holds the similarity of all its exemplars, how far its name is heard and
how alike its exemplars go; the best seven of the labels are shown, the best one last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from training.flamingo.sounds import Corpus, Sound

from earful.model.small import channels, features_of_label, likeness
from earful.rag.retrieval import UNSHOWN, WORD_WEIGHT, mean_similarities, spread_of

MOST_SHOWN: Final = 7
_WAYS: Final = (2, 3, 4, 5, 5, 5, 7, 10, 15, 20, 25)
_MOST_EXEMPLARS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSlots:
    """Labels of one question and what speaks for each, best last.

    Attributes:
        query: The sound asked about.
        names: Labels.
        similarities: Of each to the query.
        heard: Deviations by which each name is heard; ``None`` where names mean nothing.
        acoustics: How alike each label's exemplars go; ``None`` for one without any.
        right: Place of the query's own label.
    """

    query: Sound
    names: tuple[str, ...]
    similarities: tuple[float, ...]
    heard: tuple[float, ...] | None
    acoustics: tuple[float | None, ...]
    right: int

    @property
    def scores(self) -> NDArray[np.float64]:
        """What the rule says of each label, shape ``(n,)``."""
        heard = np.zeros(len(self.names)) if self.heard is None else np.array(self.heard)
        return np.array(self.similarities) + WORD_WEIGHT * heard

    def without_names(self) -> LabelSlots:
        """Return the same where names mean nothing."""
        return replace(self, heard=None)

    def features(self) -> list[NDArray[np.float32]]:
        """Return the features of the slots."""
        heard: Sequence[float | None] = self.heard or [None] * len(self.names)
        return [
            features_of_label(
                len(self.query.vector),
                channels(similarity=similarity, heard=name, acoustics=alike, is_label=True),
            )
            for similarity, name, alike in zip(
                self.similarities, heard, self.acoustics, strict=True
            )
        ]


def draw_slots(corpus: Corpus, rng: np.random.Generator) -> LabelSlots:
    """Draw a question whose answer is among the labels shown."""
    while True:
        n_ways = min(int(_WAYS[int(rng.integers(len(_WAYS)))]), len(corpus.labels))
        ways = [str(x) for x in rng.choice(corpus.labels, n_ways, replace=False)]
        query, same = corpus.pair(ways[0], rng, apart=1.0)
        if all(sound.group == query.group for sound in same):
            continue
        pools = [same, *(corpus.by_label[label] for label in ways[1:])]
        # As many of each, or as it comes; a label without any now and then.
        if rng.random() < 0.6:
            counts = [min(int(rng.integers(1, 6)), *map(len, pools))] * n_ways
        else:
            counts = [min(int(rng.integers(1, _MOST_EXEMPLARS + 1)), len(pool)) for pool in pools]
        known = corpus.known.issuperset(ways)
        if known and (kind := rng.random()) < 0.15:
            alone = kind < 0.05
            counts = [0 if alone or rng.random() < 0.3 else count for count in counts]
        shots = [
            [pool[int(i)] for i in rng.permutation(len(pool))[:count]]
            for pool, count in zip(pools, counts, strict=True)
        ]
        slots = ranked(query, ways, shots, known=known)
        if slots is not None:
            return slots


def ranked(
    query: Sound, ways: Sequence[str], shots: Sequence[Sequence[Sound]], *, known: bool
) -> LabelSlots | None:
    """Rank labels as retrieval does and keep the best.

    Args:
        query: Of the first label.
        ways: The labels.
        shots: Exemplars of each.
        known: Whether names mean something.

    Returns:
        ``None`` if the first label is not among the best.
    """
    vectors = np.array([sound.apart for own in shots for sound in own])
    vectors = vectors.reshape(-1, query.apart.size)
    cosines = vectors @ query.apart
    deviation = spread_of(vectors).floored
    counts = np.array([len(own) for own in shots])
    usual = 0.0
    if len(vectors):
        (among_all,) = mean_similarities(cosines, np.array([len(vectors)]), deviation)
        usual = float(among_all) + UNSHOWN * deviation
    similarities = np.where(counts > 0, mean_similarities(cosines, counts, deviation), usual)
    heard = np.array([query.heard[label] if known else 0.0 for label in ways])
    best = np.argsort(similarities + WORD_WEIGHT * heard, kind="stable")[-MOST_SHOWN:]
    if 0 not in best:
        return None
    return LabelSlots(
        query=query,
        names=tuple(ways[i] for i in best),
        similarities=tuple(similarities[best].tolist()),
        heard=tuple(heard[best].tolist()) if known else None,
        acoustics=tuple(
            likeness(np.stack([sound.acoustics for sound in shots[i]]), query.acoustics)
            if shots[i]
            else None
            for i in best
        ),
        right=int(np.flatnonzero(best == 0)[0]),
    )
