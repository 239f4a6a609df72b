"""Sounds of a corpus as the small Flamingo hears them, for training.

What is fitted to labels knows them better than it will know those of its users. So there are two
vectors of each training clip: that of the encoder that ships, and one by heads that were fitted
without the clip's family. Whatever is compared in an episode is compared by the latter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from training.features import read_corpus
from training.small.__main__ import hear_all
from training.small.fit import fit_heads, fit_projection

from earful.model.audio import Clip, resample
from earful.model.small import (
    ACOUSTICS_RATE,
    AcousticScale,
    Heads,
    Heard,
    SmallEmbedder,
    describe_acoustics,
)
from earful.model.tiny import SAMPLE_RATE

Numbers = NDArray[np.float64]
N_FOLDS = 4
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One labelled clip.

    Attributes:
        label: Its fine label.
        coarse: Its coarse label.
        caption: A sentence about it.
        group: What recorded it; sounds of one group sound alike.
        vector: Its embedding, unit.
        apart: Its embedding by heads that do not know its family, unit.
        acoustics: Its descriptors, scaled without its family, unit.
        heard: How far the name of each label is heard in it, in deviations.
    """

    label: str
    coarse: str
    caption: str
    group: str
    vector: NDArray[np.float32]
    apart: NDArray[np.float32]
    acoustics: NDArray[np.float32]
    heard: Mapping[str, float]


class Corpus:
    """Sounds by label, those of one fold: their vectors are of one space.

    Args:
        sounds: At least two labels with two sounds each.
        known: Labels whose name is a word for a sound.
    """

    def __init__(self, sounds: Sequence[Sound], known: frozenset[str] = frozenset()) -> None:
        by_label: dict[str, list[Sound]] = defaultdict(list)
        for sound in sounds:
            by_label[sound.label].append(sound)
        self.by_label: Mapping[str, list[Sound]] = {
            label: found for label, found in sorted(by_label.items()) if len(found) >= 2
        }
        self.labels = list(self.by_label)
        self.sounds = [sound for found in self.by_label.values() for sound in found]
        self.known = known

    def pair(
        self, label: str, rng: np.random.Generator, *, apart: float = 0.7
    ) -> tuple[Sound, list[Sound]]:
        """Draw a query of a label, and its other sounds.

        Args:
            label: Of both.
            rng: Decides.
            apart: How often the others are of other groups, where there are any.
        """
        found = self.by_label[label]
        query = found[int(rng.integers(len(found)))]
        others = [sound for sound in found if sound is not query]
        elsewhere = [sound for sound in others if sound.group != query.group]
        return query, elsewhere if elsewhere and rng.random() < apart else others


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSounds:
    """A corpus, heard.

    Attributes:
        folds: Training sounds; in each, heads did not know any of their families.
        held_out: Sounds of the labels that nothing was fitted to; empty without any.
        scale: Of acoustic descriptors, fitted to all training sounds.
    """

    folds: tuple[Corpus, ...]
    held_out: Corpus
    scale: AcousticScale


def hear_corpus(folder: Path, embedder: SmallEmbedder) -> TrainingSounds:
    """Hear every clip of a corpus.

    Args:
        folder: With a ``manifest.csv``.
        embedder: What the Flamingo will hear by.
    """
    rows, samples = read_corpus(folder)
    clips = [Clip(samples=own.astype(np.float32), sample_rate=SAMPLE_RATE) for own in samples]
    with torch.inference_mode():
        heard = hear_all(embedder.ears, clips)
    scores = embedder.ears.yamnet.scores_of(heard.pooled)
    descriptors = np.stack(
        [describe_acoustics(resample(clip, ACOUSTICS_RATE).samples) for clip in clips]
    )
    names = sorted({row["label"] for row in rows})
    words = embedder.label_words(names)
    known = frozenset(np.array(names)[words.known >= 0.5].tolist())
    heard_names = scores.astype(np.float64) @ words.weights.T + words.offsets
    labels = np.array([row["label"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    families = np.array([row["family"] for row in rows])
    vectors = vectors_of(embedder.heads, heard)
    scale = fit_scale(descriptors[train], labels[train].tolist())

    def sounds(
        keep: NDArray[np.bool_], apart: NDArray[np.float32], acoustics: Numbers
    ) -> list[Sound]:
        return [
            Sound(
                label=rows[i]["label"],
                coarse=rows[i]["coarse"],
                caption=rows[i]["caption"],
                group=rows[i]["group"],
                vector=vectors[i],
                apart=apart[i],
                acoustics=acoustics[i].astype(np.float32),
                heard=dict(zip(names, heard_names[i].tolist(), strict=True)),
            )
            for i in np.flatnonzero(keep)
        ]

    folds = []
    shuffled = np.random.default_rng(_SEED).permutation(sorted(set(families[train])))
    for number in range(N_FOLDS):
        own = train & np.isin(families, shuffled[number::N_FOLDS])
        others = train & ~own
        kept = labels[others].tolist()
        heads = fit_heads(some(heard, others), kept)
        acoustics = fit_scale(descriptors[others], kept).rows(descriptors)
        folds.append(Corpus(sounds(own, vectors_of(heads, heard), acoustics), known))
    held = np.array([row["split"] == "held_out" for row in rows])
    return TrainingSounds(
        folds=tuple(fold for fold in folds if len(fold.labels) > 1),
        held_out=Corpus(sounds(held, vectors, scale.rows(descriptors)), known),
        scale=scale,
    )


def some(heard: Heard, keep: NDArray[np.bool_]) -> Heard:
    """Return what was heard of some clips."""
    owners = np.repeat(keep, heard.counts)
    return replace(
        heard,
        outputs=heard.outputs[owners],
        counts=tuple(np.asarray(heard.counts)[keep].tolist()),
        pooled=heard.pooled[keep],
    )


def vectors_of(heads: Heads, heard: Heard) -> NDArray[np.float32]:
    """Return unit vectors by some heads, shape ``(n, dim)``."""
    return heads.join(heads.window_means(heard.outputs, heard.counts), heard.pooled)


def fit_scale(descriptors: Numbers, labels: Sequence[str]) -> AcousticScale:
    """Fit the scale of acoustic descriptors.

    Args:
        descriptors: Shape ``(n, N_DESCRIPTORS)``.
        labels: Of each row.
    """
    mean, deviation = descriptors.mean(axis=0), descriptors.std(axis=0) + 1e-6
    n = descriptors.shape[1]
    plain = AcousticScale(mean, deviation, np.zeros(n), np.eye(n))
    fitted = fit_projection(
        plain.standardise(descriptors), labels, n, standardise=False, shrinkage=1.0
    )
    return AcousticScale(mean, deviation, fitted.shift, fitted.project)
