"""Recordings named and found by words alone: YAMNet's mixtures of classes, beside `earful-tiny`.

Every clip of the demo corpus is given the label whose name fits it best, without any exemplar,
and every name is searched for. Clips of ``unseen`` are of labels that ``earful-tiny`` was not
trained on either; YAMNet, trained on AudioSet, has heard all these kinds of sound.

- *cosine*: vectors of ``embed_text`` and ``embed``, as a search by text in an index.
- *class scores*: ``score_texts``, mixtures of the classifier's logits.
- *names*: ``label_words`` of ``earful-small``, from the same logits: what ``classify`` counts.
- *standardised*: the same, each class less its mean and divided by its deviation (plus 0.5)
  over the very clips that are asked about, without their labels: what clips of one's own can add.

Intervals are 95 % percentile bootstrap over groups of clips, seed 0.

    ./dev bench words

writes ``benchmarks/results/words.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.demo_accuracy import interval
from benchmarks.turns import keep
from numpy.typing import NDArray

import earful
from earful.demo import DemoCorpus
from earful.model import TextEmbedder, load_embedder
from earful.model.audio import load_audio
from earful.model.small import SmallEmbedder, load_small
from earful.model.yamnet import YamnetEmbedder, load_yamnet

N_FOUND = 10
Scores = NDArray[np.floating]


class Part:
    """Clips of the demo with their labels and groups.

    Args:
        folders: Of labelled clips.
    """

    def __init__(self, *folders: Path) -> None:
        corpora = [earful.open_corpus(folder) for folder in folders]
        rows = [(corpus.path(row.exemplar), row.exemplar) for corpus in corpora for row in corpus]
        self.paths = [path for path, _ in rows]
        self.groups = [exemplar.group for _, exemplar in rows]
        self.labels = sorted({exemplar.answer for _, exemplar in rows})
        self.wanted = np.array([self.labels.index(exemplar.answer) for _, exemplar in rows])

    @property
    def names(self) -> list[str]:
        """The labels as words."""
        return [label.replace("-", " ") for label in self.labels]

    def measure(self, scores: Scores) -> dict[str, Any]:
        """Say how often the label is first, among five, and right among the first found.

        Args:
            scores: How well each label fits each clip, shape ``(n_clips, n_labels)``.
        """
        ranked = np.argsort(-scores, axis=1, kind="stable")
        places = (ranked == self.wanted[:, None]).argmax(axis=1)
        found = np.argsort(-scores, axis=0, kind="stable")[:N_FOUND]
        right = self.wanted[found] == np.arange(len(self.labels))
        return {
            "top-1": interval(places < 1, self.groups),
            "top-5": interval(places < 5, self.groups),
            "of the first ten": float(right.mean()),
        }

    def about(self) -> dict[str, Any]:
        """Return counts, and what chance would give."""
        n_labels = len(self.labels)
        return {
            "clips": len(self.paths),
            "labels": n_labels,
            "groups": len(set(self.groups)),
            "chance": {
                "top-1": 1 / n_labels,
                "top-5": min(1.0, 5 / n_labels),
                "of the first ten": 1 / n_labels,  # on average over the names
            },
        }


def cosines(embedder: TextEmbedder, part: Part) -> Scores:
    """Return the similarity of each clip's vector to each name's."""
    rate = embedder.fingerprint.sample_rate
    clips = [load_audio(path, sample_rate=rate) for path in part.paths]
    return embedder.embed(clips) @ embedder.embed_text(part.names).T


def arms(
    yamnet: YamnetEmbedder, tiny: TextEmbedder, small: SmallEmbedder, part: Part
) -> dict[str, Scores]:
    """Return what each way of naming says of the clips."""
    names = small.label_words(part.names)
    clips = [load_audio(path, sample_rate=yamnet.fingerprint.sample_rate) for path in part.paths]
    logits = yamnet.class_scores(clips)
    standardised = (logits - logits.mean(axis=0)) / (logits.std(axis=0) + 0.5)
    return {
        "earful-tiny, cosine": cosines(tiny, part),
        "yamnet, cosine": cosines(yamnet, part),
        "yamnet, class scores": yamnet.score_texts(clips, part.names),
        "yamnet, class scores standardised": (
            standardised @ yamnet.class_words.mixtures(part.names).T
        ),
        "earful-small, names": logits @ names.weights.T + names.offsets,
    }


def main() -> None:
    """Measure both parts of the demo and write the numbers."""
    demo = DemoCorpus.find()
    yamnet = load_yamnet(device="cpu")
    small = load_small(device="cpu")
    tiny = load_embedder("earful-tiny", device="cpu")
    assert isinstance(tiny, TextEmbedder)
    report: dict[str, Any] = {"found": N_FOUND}
    parts = {
        "sounds": Part(demo.sounds),
        "unseen": Part(demo.sounds.parent / "unseen" / "examples", demo.queries),
    }
    for title, part in parts.items():
        told = {
            name: part.measure(scores) for name, scores in arms(yamnet, tiny, small, part).items()
        }
        report[title] = {**part.about(), "arms": told}
        print(title, report[title]["chance"])
        for name, row in told.items():
            print(f"  {name:<36}", *(f"{key} {value}" for key, value in row.items()))
    keep("words", report)


if __name__ == "__main__":
    main()
