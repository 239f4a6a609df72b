"""Scores of a recording's windows: 0 is its background, 1 a typical example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan import ScanSettings
from earful.rag.scan.detection.background import gap_rows, random_rows
from earful.rag.scan.detection.detector import Kind
from earful.rag.scan.detection.events import median
from earful.rag.scan.detection.examples import Example, ExampleSet
from earful.rag.scan.detection.neighbours import Neighbours, nearest
from earful.rag.scan.detection.probe import Probe
from earful.rag.scan.detection.windows import Steps, Vectors

LEAST_SPREAD: Final = 0.02
"""Least distance of examples from the background: where both sound alike, no score is huge."""

FEWEST_WINDOWS: Final = 100
"""A shorter recording has no background to speak of: that of an example's recording counts."""
_SAMPLED: Final = 2000

Numbers = NDArray[np.float32]


class Scorer(Protocol):
    """Scores of one label in one recording."""

    background: Vectors

    def scores(self, vectors: Vectors, near: Numbers) -> Numbers:
        """Return a score a window; ``near`` are similarities to the nearest background."""
        ...

    def held_out(self) -> Numbers:
        """Return each example's score by the others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How raw scores of a recording become comparable with those of others.

    Attributes:
        background: Raw score that becomes 0.
        example: Raw score that becomes 1.
    """

    background: float
    example: float

    def apply(self, raw: Numbers) -> Numbers:
        """Return scores at this scale, float32, of the same shape."""
        spread = max(self.example - self.background, LEAST_SPREAD)
        scaled: Numbers = (raw - np.float32(self.background)) / np.float32(spread)
        return scaled


class Backgrounds:
    """Background of one recording, the same arrays for labels that have the same.

    Args:
        examples: All that was marked.
        settings: How to draw.
        steps: Of the recording.
        sha256: Of the recording.
    """

    def __init__(
        self, examples: ExampleSet, settings: ScanSettings, steps: Steps, sha256: str
    ) -> None:
        self.source = examples.source_of(sha256)
        self._examples, self._settings = examples, settings
        self._steps, self._sha256 = steps, sha256
        self._made: dict[tuple[tuple[float, float], ...], Vectors] = {}

    def of(self, label: str) -> Vectors:
        """Return the windows that a label is held against, float32, shape ``(n, dim)``.

        Gaps between examples where all before the last are marked, else random windows.
        """
        spans = self._examples.spans_to_avoid(label, self.source) if self.source is not None else []
        key = tuple(spans)
        if key not in self._made:
            rows = self._rows(spans)
            self._made[key] = self._examples.windows.vectors_at(self._steps, rows)
        return self._made[key]

    def _rows(self, spans: list[tuple[float, float]]) -> NDArray[np.intp]:
        windows, settings = self._examples.windows, self._settings
        n_windows = windows.count(self._steps)
        if self.source is not None:
            until_s = self._examples.recordings[self.source].complete_until_s
            rows = gap_rows(windows, n_windows, spans, until_s, seed=settings.seed)
            if rows.size:
                return rows
        return random_rows(
            windows,
            n_windows,
            spans,
            n=settings.n_background,
            sha256=self._sha256,
            seed=settings.seed,
        )


def make_scorer(
    kind: Kind, positives: Sequence[Example], negatives: Sequence[Example], background: Vectors
) -> Scorer:
    """Make the scorer of a label from its examples and what is something else."""
    own = np.concatenate([background[:0], *(example.windows for example in negatives)])
    if kind == "probe":
        return Probe([example.windows for example in positives], background, own)
    return Neighbours(np.stack([example.vector for example in positives]), background, own)


def score_windows(examples: ExampleSet, steps: Steps, scorers: Sequence[Scorer]) -> Numbers:
    """Return raw scores, float32, shape ``(n_scorers, n_windows)``, a block at a time."""
    windows = examples.windows
    raw = np.empty((len(scorers), windows.count(steps)), dtype=np.float32)
    for first, vectors in windows.blocks(steps):
        near: dict[int, Numbers] = {}
        for row, scorer in enumerate(scorers):
            shared = scorer.background
            if id(shared) not in near:
                near[id(shared)] = nearest(vectors, shared)
            raw[row, first : first + len(vectors)] = scorer.scores(vectors, near[id(shared)])
    return raw


def sample_of(examples: ExampleSet, steps: Steps, seed: int) -> Vectors:
    """Return windows of a whole recording, at most 2000 drawn at random, for a median."""
    rows = np.arange(examples.windows.count(steps), dtype=np.intp)
    if rows.size > _SAMPLED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLED, replace=False))
    return examples.windows.vectors_at(steps, rows)


def raw_scores(scorer: Scorer, vectors: Vectors) -> Numbers:
    """Return the raw scores of some windows, float32, shape ``(n,)``."""
    return scorer.scores(vectors, nearest(vectors, scorer.background))


def scale_of(scorer: Scorer, raw: Numbers) -> Scale:
    """Return the scale of a label in a recording.

    Args:
        scorer: Of the label.
        raw: Its scores of all windows or of a sample, shape ``(n,)``.
    """
    return Scale(background=float(median(raw)), example=float(median(scorer.held_out())))
