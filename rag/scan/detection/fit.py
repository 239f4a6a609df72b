"""Fit a detector: which kind, how it misses ends, and what its scores are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan import ScanSettings
from earful.rag.scan.detection.calibration import fit_calibration
from earful.rag.scan.detection.detector import Detector, Kind
from earful.rag.scan.detection.events import (
    Edges,
    Span,
    join_spans,
    measure_edges,
    median_edges,
    spans_above,
)
from earful.rag.scan.detection.examples import Example, ExampleSet
from earful.rag.scan.detection.neighbours import nearest
from earful.rag.scan.detection.scoring import (
    Backgrounds,
    Scale,
    Scorer,
    make_scorer,
    raw_scores,
    sample_of,
    scale_of,
)
from earful.rag.scan.detection.windows import Vectors, Windows

FEWEST_REVIEWED: Final = 20
"""Marked stretches from which on ``auto`` compares both kinds."""
SHARE_OF_SHORTEST: Final = 0.3
"""Shorter events than this share of the shortest example are dropped."""
_MOST_FOLDS: Final = 20
_AROUND_S: Final = 3.0

Numbers = NDArray[np.float32]


def fit_detector(label: str, examples: ExampleSet, settings: ScanSettings) -> Detector:
    """Fit the detector of a label that has a positive example."""
    positives, negatives = examples.positives(label), examples.negatives(label)
    places = list(_places(label, examples, settings))
    n_reviewed = sum(len(place.reviewed) for place in places)
    kind: Kind = "probe" if settings.detector == "probe" else "neighbours"
    notes: list[str] = []
    if len(positives) == 1:
        notes.append(f"1 example of {label}: the threshold is a guess; mark five")
    trials: dict[Kind, tuple[list[float], list[bool]]] = {}
    if n_reviewed >= FEWEST_REVIEWED:
        kinds: tuple[Kind, ...] = ("neighbours", "probe")
        for each in kinds if settings.detector == "auto" else (kind,):
            trials[each] = _reviewed_scores(each, places, positives, negatives)
    if settings.detector == "auto":
        precisions = {each: average_precision(*found) for each, found in trials.items()}
        if precisions.get("probe", 0.0) > precisions.get("neighbours", 0.0):
            kind = "probe"
        if precisions:
            notes.append(
                f"{label}: {kind}, by average precisions over {n_reviewed} marked stretches of "
                + ", ".join(f"{value:.2f} ({each})" for each, value in precisions.items())
            )
    own = Detector(
        label=label,
        kind=kind,
        examples=tuple(positives),
        negatives=tuple(negatives),
        threshold=settings.thresholds.get(label, settings.threshold),
        min_s=_least_length_s(positives, settings),
        calibration=fit_calibration(*trials[kind]) if kind in trials else None,
        notes=tuple(notes),
    )
    return replace(own, edges=_edges(own, places, settings.join_s))


def average_precision(scores: Sequence[float], is_positive: Sequence[bool]) -> float:
    """Return the average precision of a ranking; 0 without a positive.

    Ties count as if what is not positive came first.

    >>> average_precision([0.9, 0.8, 0.7], [True, False, True])
    0.8333333333333333
    """
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], is_positive[row]))
    right = np.array([is_positive[row] for row in order], dtype=np.bool_)
    if not right.any():
        return 0.0
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precisions[right].mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    """A recording in which a label was marked."""

    label: str
    source: int
    examples: ExampleSet
    settings: ScanSettings

    @property
    def windows(self) -> Windows:
        return self.examples.windows

    @cached_property
    def reviewed(self) -> list[Example]:
        """Stretches of this recording that somebody judged for this label."""
        found = [*self.examples.positives(self.label), *self.examples.negatives(self.label)]
        return [
            one for one in found if one.source == self.source and one.annotation.label == self.label
        ]

    @cached_property
    def background(self) -> Vectors:
        recording = self.examples.recordings[self.source]
        return Backgrounds(self.examples, self.settings, recording.steps, recording.sha256).of(
            self.label
        )

    @cached_property
    def sample(self) -> Vectors:
        """Windows of the whole recording, for the median of its scores."""
        steps = self.examples.recordings[self.source].steps
        return sample_of(self.examples, steps, self.settings.seed)

    @cached_property
    def near(self) -> Numbers:
        """Similarities of these windows to the nearest of the background, whatever the examples."""
        return nearest(self.sample, self.background)

    def scale(self, scorer: Scorer) -> Scale:
        """Return the scale of a scorer that was made with the background of this place."""
        return scale_of(scorer, scorer.scores(self.sample, self.near))

    def around(self, example: Example) -> tuple[float, Vectors]:
        """Return the middle of the first window around an example, and vectors of all."""
        steps = self.examples.recordings[self.source].steps
        rows = self.windows.rows_within(
            max(0.0, example.annotation.start_s - _AROUND_S),
            example.annotation.end_s + _AROUND_S,
            self.windows.count(steps),
        )
        return self.windows.centre_s(int(rows[0])), self.windows.vectors_at(steps, rows)


def _places(label: str, examples: ExampleSet, settings: ScanSettings) -> Iterator[_Place]:
    for source, recording in enumerate(examples.recordings):
        place = _Place(label=label, source=source, examples=examples, settings=settings)
        if not recording.is_clip and place.reviewed:
            yield place


def _reviewed_scores(
    kind: Kind, places: Sequence[_Place], positives: list[Example], negatives: list[Example]
) -> tuple[list[float], list[bool]]:
    """Return the score of each reviewed stretch by a scorer made without it, and its truth."""
    scores: list[float] = []
    truths: list[bool] = []
    for place in places:
        n_folds = min(len(place.reviewed), _MOST_FOLDS)
        for fold in range(n_folds):
            held_out = place.reviewed[fold::n_folds]
            without = {id(example) for example in held_out}
            kept = [one for one in positives if id(one) not in without]
            if not kept:
                continue
            others = [one for one in negatives if id(one) not in without]
            scorer = make_scorer(kind, kept, others, place.background)
            scale = place.scale(scorer)
            for example in held_out:
                scores.append(float(scale.apply(raw_scores(scorer, example.windows)).max()))
                truths.append(example.annotation.polarity == "positive")
    return scores, truths


def _edges(own: Detector, places: Sequence[_Place], join_s: float) -> Edges:
    """Return the median error that a detector makes at the ends of its examples."""
    errors: list[Edges] = []
    for place in places:
        scorer = make_scorer(own.kind, own.examples, own.negatives, place.background)
        scale = place.scale(scorer)
        for example in own.examples:
            if example.source != place.source:
                continue
            first_s, vectors = place.around(example)
            scores = scale.apply(raw_scores(scorer, vectors))
            found = join_spans(
                spans_above(scores, own.threshold, step_s=place.windows.step_s, first_s=first_s),
                join_s,
            )
            true: Span = (example.annotation.start_s, example.annotation.end_s)
            errors += measure_edges(found, [true])
    return median_edges(errors)


def _least_length_s(positives: Sequence[Example], settings: ScanSettings) -> float:
    if settings.min_s is not None:
        return settings.min_s
    lengths = (one.annotation.end_s - one.annotation.start_s for one in positives)
    return SHARE_OF_SHORTEST * min(lengths)
