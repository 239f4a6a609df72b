"""Detector and what it hears: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan.detection.calibration import Calibration
from earful.rag.scan.detection.events import EXACT, Edges
from earful.rag.scan.detection.examples import Example
from earful.values import short_repr

Kind = Literal["neighbours", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detector:
    """How one label is detected.

    Attributes:
        label: Name of the sound.
        kind: ``"neighbours"`` or ``"probe"``.
        examples: Positive ones.
        negatives: Stretches known to be something else.
        threshold: Events are where the score is above it.
        edges: By how much it misses the ends of the examples.
        min_s: Shorter events are dropped.
        calibration: Of scores to probabilities; ``None`` with too few reviewed stretches.
        notes: What a reader should know of it.
    """

    label: str
    kind: Kind
    examples: tuple[Example, ...]
    negatives: tuple[Example, ...]
    threshold: float
    edges: Edges = EXACT
    min_s: float = 0.0
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """A stretch in which a detector heard its sound.

    Attributes:
        label: Name of the sound.
        start_s: Where it begins, in seconds.
        end_s: Where it ends (exclusive), in seconds.
        score: Its highest score: 0 is the recording's background, 1 a typical example. No
            probability.
        margin: Distance to the best other label at that moment; ``None`` with a single label.
        nearest_example: Name of the example that this moment resembles most.
        similarity: Cosine of the two.
        probability: ``None`` with fewer than ten reviewed stretches of either kind.
        n_reviewed: How many it stands on; ``None`` without one.
    """

    label: str
    start_s: float
    end_s: float
    score: float
    margin: float | None
    nearest_example: str
    similarity: float
    probability: float | None = None
    n_reviewed: int | None = None

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoubtfulExample:
    """A positive example that resembles something else more than the other examples.

    Attributes:
        example: The example; its label is the annotation's.
        resembles: ``"background"`` of its recording, or ``"negatives"`` of its label.
        excess: By how much cosines to that are above the highest to another example.
    """

    example: Example
    resembles: Literal["background", "negatives"]
    excess: float

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """What detectors heard in one recording.

    Attributes:
        labels: Of the rows of ``scores``.
        events: By time, then label.
        scores: Of every label and window, float32, shape ``(n_labels, n_windows)``; 0 is the
            recording's background, 1 a typical example.
        window_s: Length of a window in seconds; window ``i`` begins at ``i * step_s``.
        step_s: Seconds from one window to the next.
    """

    labels: tuple[str, ...]
    events: tuple[FoundEvent, ...]
    scores: NDArray[np.float32]
    window_s: float
    step_s: float

    __repr__ = short_repr
