"""Detectors: where sounds are in recordings, from examples of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.model import StepEmbedder
from earful.rag.scan import ScanSettings
from earful.rag.scan.detection.detector import Detection, Detector, DoubtfulExample, FoundEvent
from earful.rag.scan.detection.events import (
    Span,
    correct_edges,
    join_spans,
    limit_lengths,
    spans_above,
)
from earful.rag.scan.detection.examples import ExampleRecording, ExampleSet
from earful.rag.scan.detection.fit import fit_detector
from earful.rag.scan.detection.neighbours import nearest
from earful.rag.scan.detection.scoring import (
    FEWEST_WINDOWS,
    Backgrounds,
    make_scorer,
    raw_scores,
    sample_of,
    scale_of,
    score_windows,
)
from earful.rag.scan.detection.windows import Steps, Windows
from earful.wording import known_names, quoted

_FEWEST_COMPARED = 3
"""Examples from which on one that is unlike the others can be told."""

Numbers = NDArray[np.float32]


class Detectors(Mapping[str, Detector]):
    """Detectors of some labels, which share the windows of a recording.

    Args:
        detectors: By label.
        examples: That they were fitted on.
        settings: Likewise.
    """

    def __init__(
        self, detectors: Sequence[Detector], examples: ExampleSet, settings: ScanSettings
    ) -> None:
        self._by_label = {detector.label: detector for detector in detectors}
        self._examples, self._settings = examples, settings

    def __getitem__(self, label: str) -> Detector:
        return self._by_label[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_label)

    def __len__(self) -> int:
        return len(self._by_label)

    def __repr__(self) -> str:
        return f"Detectors({', '.join(f'{d.label!r}: {d.kind}' for d in self.values())})"

    def detect(self, steps: Steps, *, sha256: str, duration_s: float | None = None) -> Detection:
        """Find the sounds in a recording.

        Args:
            steps: Of the recording, float16 or float32, shape ``(n, step_dim)``; may be mapped
                from a file, and is read in blocks.
            sha256: Of the recording; it decides the random windows, and tells whether it is one
                that holds examples.
            duration_s: Length of the recording; ``None`` for that of its steps.

        Returns:
            Its events and scores; none where there are no steps.
        """
        windows = self._examples.windows
        labels = tuple(self._by_label)
        end_s = len(steps) * windows.step_s if duration_s is None else duration_s
        scores = self._scores(steps, sha256)
        events = [
            event
            for row, label in enumerate(labels if len(steps) else ())
            for event in self._events(self._by_label[label], row, scores, steps, end_s)
        ]
        return Detection(
            labels=labels,
            events=tuple(sorted(events, key=lambda one: (one.start_s, one.end_s, one.label))),
            scores=scores,
            window_s=windows.length * windows.step_s,
            step_s=windows.step_s,
        )

    def doubtful(self) -> list[DoubtfulExample]:
        """Return the examples that resemble something else more than the other examples.

        That is the background of its recording, by the mean of the ten nearest windows, or the
        negatives of its label, by the nearest. Where most examples of a label do, it tells
        nothing, and where there are fewer than three, either.

        Returns:
            By how much they do, most first; an example once.
        """
        found: list[DoubtfulExample] = []
        for own in self.values():
            if len(own.examples) >= _FEWEST_COMPARED:
                found += self._doubtful(own)
        return sorted(found, key=lambda one: -one.excess)

    def _doubtful(self, own: Detector) -> Iterator[DoubtfulExample]:
        vectors = np.stack([one.vector for one in own.examples])
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -np.inf)
        others = similar.max(axis=1)
        background = np.full(len(vectors), -np.inf, dtype=np.float32)
        sources = np.array([one.source for one in own.examples])
        for source in set(sources.tolist()):
            recording = self._examples.recordings[source]
            if recording.is_clip:
                continue
            around = Backgrounds(
                self._examples, self._settings, recording.steps, recording.sha256
            ).of(own.label)
            if len(around):
                rows = sources == source
                background[rows] = nearest(vectors[rows], around).mean(axis=1)
        negatives = np.full(len(vectors), -np.inf, dtype=np.float32)
        if own.negatives:
            denied = np.stack([one.vector for one in own.negatives])
            negatives = (vectors @ denied.T).max(axis=1)
        over_background, over_negatives = background - others, negatives - others
        # Where a typical example does, its calls are many, or the sounds too much alike.
        if np.median(over_background) >= 0:
            over_background[:] = -np.inf
        if np.median(over_negatives) >= 0:
            over_negatives[:] = -np.inf
        for row, example in enumerate(own.examples):
            excess = max(float(over_background[row]), float(over_negatives[row]))
            if excess > 0:
                yield DoubtfulExample(
                    example=example,
                    # What somebody said no to says more than what surrounds it.
                    resembles="negatives" if over_negatives[row] > 0 else "background",
                    excess=excess,
                )

    def _scores(self, steps: Steps, sha256: str) -> Numbers:
        """Return the scores of all labels and windows, at the recording's scale."""
        examples, settings = self._examples, self._settings
        if not len(steps):
            return np.zeros((len(self), 0), dtype=np.float32)
        borrowed = self._background_of_short(steps, sha256)
        backgrounds = (
            Backgrounds(examples, settings, steps, sha256)
            if borrowed is None
            else Backgrounds(examples, settings, borrowed.steps, borrowed.sha256)
        )
        scorers = [
            make_scorer(own.kind, own.examples, own.negatives, backgrounds.of(label))
            for label, own in self._by_label.items()
        ]
        scores = score_windows(examples, steps, scorers)
        sample = sample_of(examples, borrowed.steps, settings.seed) if borrowed else None
        for row, scorer in enumerate(scorers):
            raw = scores[row] if sample is None else raw_scores(scorer, sample)
            scores[row] = scale_of(scorer, raw).apply(scores[row])
        return scores

    def _background_of_short(self, steps: Steps, sha256: str) -> ExampleRecording | None:
        """Return the recording whose background counts for one too short to have its own."""
        examples = self._examples
        if (
            examples.windows.count(steps) >= FEWEST_WINDOWS
            or examples.source_of(sha256) is not None
        ):
            return None
        whole = [
            one
            for one in examples.recordings
            if not one.is_clip and examples.windows.count(one.steps) >= FEWEST_WINDOWS
        ]
        return max(whole, key=lambda one: len(one.steps), default=None)

    def _events(
        self, own: Detector, row: int, scores: Numbers, steps: Steps, end_s: float
    ) -> Iterator[FoundEvent]:
        windows, settings = self._examples.windows, self._settings
        found = _raw_spans(scores[row], own.threshold, settings.join_s, windows)
        spans = limit_lengths(correct_edges(found, own.edges, end_s), own.min_s, settings.max_s)
        within = [windows.rows_within(*span, scores.shape[1]) for span in spans]
        peaks = np.array([rows[np.argmax(scores[row, rows])] for rows in within], dtype=np.intp)
        examples = np.stack([example.vector for example in own.examples])
        similarities = windows.vectors_at(steps, peaks) @ examples.T
        for (start_s, stop_s), peak, similar in zip(spans, peaks, similarities, strict=True):
            best = int(np.argmax(similar))
            score = float(scores[row, peak])
            others = np.delete(scores[:, peak], row)
            fitted = own.calibration
            yield FoundEvent(
                label=own.label,
                start_s=start_s,
                end_s=stop_s,
                score=score,
                margin=score - float(others.max()) if others.size else None,
                nearest_example=own.examples[best].name,
                similarity=float(similar[best]),
                probability=fitted.probability(score) if fitted else None,
                n_reviewed=fitted.n_reviewed if fitted else None,
            )


def fit_detectors(
    recordings: Sequence[ExampleRecording],
    embedder: StepEmbedder,
    settings: ScanSettings | None = None,
    *,
    labels: Sequence[str] | None = None,
) -> Detectors:
    """Fit a detector for each label with a positive example.

    Args:
        recordings: Recordings and clips that hold examples, with their steps.
        embedder: That made the steps.
        settings: How windows are scored; ``None`` for the defaults.
        labels: To detect; ``None`` for all. The others' examples count as something else.

    Raises:
        CorpusError: A label has no positive example, an example lies outside its recording, or
            a threshold names a label that is not detected.
    """
    settings = settings or ScanSettings()
    examples = ExampleSet(recordings, Windows(embedder, settings.window_s))
    wanted = examples.labels if labels is None else tuple(dict.fromkeys(labels))
    for label in wanted:
        if label not in examples.labels:
            raise CorpusError(
                f"label {quoted(label)} has no example; give --examples, an --index that holds "
                f"it, or drop it; {known_names(label, examples.labels)}"
            )
    for label in settings.thresholds:
        if label not in wanted:
            raise CorpusError(
                f"threshold of {quoted(label)}: not a label of this scan; "
                f"{known_names(label, wanted)}"
            )
    return Detectors(
        [fit_detector(label, examples, settings) for label in wanted], examples, settings
    )


def _raw_spans(scores: Numbers, threshold: float, join_s: float, windows: Windows) -> list[Span]:
    """Return joined stretches above a threshold, their ends not corrected yet."""
    above = spans_above(scores, threshold, step_s=windows.step_s, first_s=windows.centre_s(0))
    return join_spans(above, join_s)
