"""Scanning: one scan as it goes on, from examples to the rows of its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import earful
from earful.errors import CorpusError, ScanError
from earful.index.annotations import Annotation, Event, RecordingRow, event_id
from earful.index.recordings import EncodedRecording, KeptRecording, StepStore
from earful.model import StepEmbedder
from earful.model.encoders import event_band_hz
from earful.rag.scan.clock import Clocks, moment_at
from earful.rag.scan.detection import Detectors, ExampleRecording, FoundEvent, fit_detectors, median
from earful.rag.scan.events import LabelSummary
from earful.rag.scan.examples import (
    GatheredExamples,
    MarkedRecording,
    digest_marks,
    narrow_clips,
)
from earful.rag.scan.part import ScanPart
from earful.rag.scan.settings import ScanSettings
from earful.wording import quoted

_CLIPPED_SHARE = 0.01
_RATE_SHARE = 0.1
# Steps of an example that are kept in memory; of a longer recording they are read when needed.
_SHORT_STEPS = 4096

Steps = NDArray[np.float16]
WriteScores = Callable[[str, NDArray[np.floating]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    """A recording with examples whose steps are kept."""

    key: str
    name: str
    kept: KeptRecording
    annotations: tuple[Annotation, ...]
    complete_until_s: float
    is_clip: bool


@dataclass(kw_only=True)
class Scanning:
    """A scan as it goes on.

    Attributes:
        store: Kept steps.
        embedder: As the steps were heard: not slowed.
        gathered: The examples.
        settings: How windows are scored; its lengths are as heard.
        slow: How many times slower recordings were heard.
        part: Where events count.
        clocks: Times and sites.
        on_scores: Takes the scores of each recording.
        rows: A row for each recording that is done.
        events: All events so far.
        detectors: Those that all recordings share; ``None`` before they are fitted.
        notes: What a reader should know of the scan.
    """

    store: StepStore
    embedder: StepEmbedder
    gathered: GatheredExamples
    settings: ScanSettings
    slow: float
    part: ScanPart
    clocks: Clocks
    on_scores: WriteScores | None = None
    rows: list[RecordingRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_path = {one.path: one for one in self.gathered.marked}
        self._marked: dict[str, _Marked] = {}
        self._failed: dict[str, str] = {}
        self.detectors: Detectors | None = None
        self._kinds: dict[str, set[str]] = defaultdict(set)
        self._label_notes: dict[str, dict[str, None]] = defaultdict(dict)
        self._highest: dict[str, float] = {}
        self._n_own_gaps = 0
        self._scanned_s = 0.0
        self._scores: dict[str, Any] = {"labels": {}}
        self.notes = [*self.gathered.notes, *self.clocks.notes, *self.notes]

    @property
    def annotations(self) -> list[Annotation]:
        """All that was used as examples."""
        return [one for marked in self._marked.values() for one in marked.annotations]

    # --- examples ----------------------------------------------------------------------------

    def add_marked(self, one: EncodedRecording) -> None:
        """Take the steps of a recording that holds examples.

        Raises:
            CorpusError: An example lies outside of it.
        """
        marked = self._by_path[one.path]
        if one.kept is None:
            why = one.failed or one.skipped
            self._failed[one.path] = why
            self.notes.append(f"{one.path}: {why}; its examples are left out")
            return
        own = self._of(marked, one.key, one.kept)
        before = self._marked.get(one.key)
        if before is not None:  # the same content under two names
            own = replace(
                before,
                annotations=before.annotations + own.annotations,
                complete_until_s=max(before.complete_until_s, own.complete_until_s),
                is_clip=before.is_clip and own.is_clip,
            )
        self._marked[one.key] = own

    def _of(self, marked: MarkedRecording, key: str, kept: KeptRecording) -> _Marked:
        duration_s = kept.duration_s or 0.0
        annotations = marked.marks(duration_s)
        for one in annotations:
            if one.start_s >= duration_s:
                raise CorpusError(
                    f"{one.where or quoted(one.label)}: start_s={one.start_s:g} lies after the "
                    f"end of {quoted(marked.name)} at {duration_s:.2f} s; expected a stretch "
                    "inside it"
                )
        return _Marked(
            key=key,
            name=marked.name,
            kept=kept,
            annotations=tuple(replace(one, recording=marked.name) for one in annotations),
            complete_until_s=marked.complete_until_s,
            is_clip=marked.is_clip,
        )

    def fit(self) -> None:
        """Fit the detectors that all recordings share.

        Raises:
            CorpusError: A label has no example left.
        """
        there = {
            one.label
            for marked in self._marked.values()
            for one in marked.annotations
            if one.polarity == "positive"
        }
        for label in self.gathered.labels:
            if label not in there and self._failed:
                path, why = next(iter(self._failed.items()))
                raise CorpusError(
                    f"label {quoted(label)} has no example left: {path}: {why}; give others"
                )
        if not self.gathered.whole_clips:
            clips = {key: one.annotations for key, one in self._marked.items() if one.is_clip}
            narrowed, notes = narrow_clips(clips, self.store.overview, self.store.settings.step_s)
            for key, own in narrowed.items():
                # From here on it is as if somebody had marked them: what is around tells the ends.
                self._marked[key] = replace(self._marked[key], annotations=own, is_clip=False)
            self.notes += notes
        if not self.gathered.each_by_itself:
            self.detectors = self._fit(list(self._marked.values()), self.gathered.labels)
        elif unknown := set(self.settings.thresholds) - there:
            raise CorpusError(
                f"threshold of {quoted(min(unknown))}: not a label of this scan; expected one of "
                f"{', '.join(sorted(there))}"
            )

    def _fit(self, marked: Sequence[_Marked], labels: Sequence[str]) -> Detectors:
        thresholds = {k: v for k, v in self.settings.thresholds.items() if k in labels}
        if not self.gathered.each_by_itself:
            thresholds = dict(self.settings.thresholds)
        fitted = fit_detectors(
            [self._example(one) for one in marked],
            self.embedder,
            replace(self.settings, thresholds=thresholds),
            labels=labels,
        )
        for label, detector in fitted.items():
            self._kinds[label].add(detector.kind)
            self._label_notes[label] |= dict.fromkeys(detector.notes)
        return fitted

    def _example(self, marked: _Marked) -> ExampleRecording:
        slow = self.slow
        return ExampleRecording(
            name=marked.name,
            sha256=marked.kept.sha256,
            steps=self._steps(marked.key),
            annotations=[
                replace(one, start_s=one.start_s * slow, end_s=one.end_s * slow)
                for one in marked.annotations
            ],
            complete_until_s=marked.complete_until_s * slow,
            is_clip=marked.is_clip,
        )

    def _steps(self, key: str) -> Steps:
        """Return steps to be sliced; those of a long recording are read slice by slice."""
        steps = self.store.open_steps(key)
        if len(steps) <= _SHORT_STEPS:
            return steps[:]
        return cast("Steps", steps)

    # --- recordings --------------------------------------------------------------------------

    def scan(self, one: EncodedRecording) -> tuple[RecordingRow, tuple[Event, ...]]:
        """Find the events of a recording, and add its row."""
        row, events = self._scan(one)
        row = replace(row, n_events=len(events))
        self.rows.append(row)
        self.events += events
        return row, events

    def _scan(self, one: EncodedRecording) -> tuple[RecordingRow, tuple[Event, ...]]:
        row = self._row(one)
        if one.kept is None or row.status in ("failed", "skipped"):
            return row, ()
        detectors = self.detectors
        marked = self._marked.get(one.key)
        if self.gathered.each_by_itself:
            if marked is None:
                return replace(
                    row, status="skipped", reason="the reference marks no event in it"
                ), ()
            labels = sorted({x.label for x in marked.annotations if x.polarity == "positive"})
            detectors = self._fit([marked], labels)
        if detectors is None:
            raise RuntimeError("nothing was fitted: call fit first")
        duration_s = one.kept.duration_s or 0.0
        spans = self.part.spans(row.starts_at, duration_s, time_expansion=row.time_expansion)
        if not spans and duration_s:
            return replace(row, status="skipped", reason=self.part.why_outside(duration_s)), ()
        try:
            found = detectors.detect(
                self._steps(one.key),
                sha256=one.kept.sha256,
                duration_s=duration_s * self.slow,
            )
        except (OSError, ScanError) as error:
            reason = f"its kept steps cannot be read: {error}; see `earful recordings verify`"
            return replace(row, status="failed", reason=reason), ()
        if self.on_scores is not None:
            self.on_scores(one.kept.sha256, found.scores)
            self._scores["labels"][one.kept.sha256] = list(found.labels)
            # A window stands for a step around its middle.
            self._scores["step_s"] = found.step_s / self.slow
            self._scores["first_s"] = (found.window_s - found.step_s) / 2 / self.slow
        for label, scores in zip(found.labels, found.scores, strict=True):
            best = float(scores.max(initial=-np.inf))
            self._highest[label] = max(self._highest.get(label, -np.inf), best)
        self._scanned_s += sum(end_s - start_s for start_s, end_s in spans) / row.time_expansion
        self._n_own_gaps += marked is not None and marked.complete_until_s > 0
        notes = row.notes
        if duration_s * self.slow < found.window_s:
            notes = (*notes, f"shorter than a window of {found.window_s / self.slow:.2f} s")
        inside = [
            event
            for event in found.events
            if any(
                start_s <= (event.start_s + event.end_s) / 2 / self.slow < end_s
                for start_s, end_s in spans
            )
        ]
        # Most recordings of a night have no event, and nothing more is read of them.
        bands = self._bands(one.key, inside) if inside else []
        return replace(row, notes=notes), tuple(
            self._event(one, row, event, band) for event, band in zip(inside, bands, strict=True)
        )

    def _bands(self, key: str, events: Sequence[FoundEvent]) -> list[tuple[float, float] | None]:
        """Return the band in which each event is above the background of its recording."""
        levels = self.store.overview(key)
        background = median(levels, axis=0).astype(np.uint8)
        rate = round(self.embedder.steps_rate * self.slow)
        # Lengths of steps are as heard, and so are the times of these events.
        step_s = self.embedder.step_samples / self.embedder.steps_rate
        return [
            event_band_hz(
                levels[int(event.start_s / step_s) : int(event.end_s / step_s) + 1],
                background,
                rate,
            )
            for event in events
        ]

    def _event(
        self,
        one: EncodedRecording,
        row: RecordingRow,
        found: FoundEvent,
        band: tuple[float, float] | None,
    ) -> Event:
        sha256 = "" if one.kept is None else one.kept.sha256
        start_s = round(found.start_s / self.slow, 3)
        end_s = max(round(found.end_s / self.slow, 3), start_s + 0.001)
        metadata = self.clocks.of(one.path)
        return Event(
            event_id=event_id(sha256, found.label, start_s, end_s),
            recording=one.path,
            recording_sha256=sha256,
            start_s=start_s,
            end_s=end_s,
            label=found.label,
            score=round(found.score, 4),
            margin=None if found.margin is None else round(found.margin, 4),
            probability=None if found.probability is None else round(found.probability, 4),
            n_reviewed=found.n_reviewed,
            starts_at=moment_at(metadata, start_s),
            site=row.site,
            latitude=row.latitude,
            longitude=row.longitude,
            nearest_example=found.nearest_example,
            similarity=round(found.similarity, 4),
            low_hz=None if band is None else round(band[0], 1),
            high_hz=None if band is None else round(band[1], 1),
        )

    def _row(self, one: EncodedRecording) -> RecordingRow:
        """Return what is known of a recording before its events."""
        if one.skipped or one.failed:
            return RecordingRow(
                recording=one.path,
                status="skipped" if one.skipped else "failed",
                reason=one.skipped or one.failed,
                bytes=one.bytes,
            )
        kept = one.kept
        if kept is None:
            raise RuntimeError(f"{one.path}: neither kept, nor failed, nor skipped")
        metadata = self.clocks.of(one.path)
        status, reason = ("cut short", kept.cut_short) if kept.cut_short else ("ok", "")
        if one.same_as:
            status, reason = "skipped", f"has the same content as {one.same_as}, which is scanned"
        return RecordingRow(
            recording=one.path,
            sha256=kept.sha256,
            status=cast("Any", status),
            reason=reason,
            duration_s=kept.duration_s,
            sample_rate=kept.sample_rate,
            channels=kept.channels,
            bytes=one.bytes,
            starts_at=metadata.starts_at,
            time_source=metadata.time_source,
            site=metadata.site,
            latitude=metadata.latitude,
            longitude=metadata.longitude,
            device=metadata.device,
            n_steps=kept.n_steps,
            notes=tuple([*self._audio_notes(kept), *kept.notes, *metadata.notes]),
            extra=metadata.extra,
            time_expansion=metadata.time_expansion,
        )

    def _audio_notes(self, kept: KeptRecording) -> Iterable[str]:
        levels = kept.levels
        if not levels.peak:
            yield "digital silence"
        if levels.n and levels.n_clipped > _CLIPPED_SHARE * levels.n:
            yield f"{levels.n_clipped / levels.n:.1%} of its samples are clipped"
        if levels.n_not_finite:
            yield f"{levels.n_not_finite:,} of its samples are no numbers and count as silence"
        rates = {one.kept.sample_rate for one in self._marked.values()} - {kept.sample_rate}
        own = kept.sample_rate or 0
        heard = self.embedder.steps_rate * self.slow
        for rate in sorted(rate for rate in rates if rate):
            lower, higher = min(rate, own), max(rate, own)
            if lower < heard and higher > (1 + _RATE_SHARE) * lower:
                yield (
                    f"is sampled at {own} Hz, examples at {rate} Hz: bands that one of them lacks "
                    "are silence there"
                )
                break

    # --- the whole ---------------------------------------------------------------------------

    def summaries(self) -> list[LabelSummary]:
        """Return a line for each label."""
        n_examples: dict[str, int] = defaultdict(int)
        for one in self.annotations:
            n_examples[one.label] += one.polarity == "positive"
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            found[event.label].append(event)
        random = f"{self.settings.n_background}/recording"
        n_read = sum(row.was_read for row in self.rows)
        background = random if not self._n_own_gaps else f"gaps, {random}"
        if self._n_own_gaps and self._n_own_gaps == n_read:
            background = "gaps"
        hours = self._scanned_s / 3600
        return [
            LabelSummary(
                label=label,
                n_examples=n_examples[label],
                detector=min(self._kinds[label]) if len(self._kinds[label]) == 1 else "",
                background=background,
                threshold=self.settings.thresholds.get(label, self.settings.threshold),
                n_events=len(found[label]),
                n_recordings=len({event.recording for event in found[label]}),
                per_hour=round(len(found[label]) / hours, 3) if hours else 0.0,
                notes=(*self._label_notes[label], *self._near_misses(label, len(found[label]))),
            )
            for label in self.gathered.labels
        ]

    def _near_misses(self, label: str, n_events: int) -> Iterable[str]:
        """Say how near a label came that was not found."""
        threshold = self.settings.thresholds.get(label, self.settings.threshold)
        highest = self._highest.get(label, -np.inf)
        if not n_events and 0 < highest <= threshold:
            yield (
                f"{label}: the highest score was {highest:.2f}, and the threshold is "
                f"{threshold:g}; a lower --threshold lists what came nearest"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return what decided the events, and counts, as plain JSON values."""
        statuses = [row.status for row in self.rows]
        return {
            "earful": earful.__version__,
            "steps": self.store.settings.to_dict(),
            "examples_sha256": digest_marks(
                (marked.kept.sha256, one)
                for marked in self._marked.values()
                for one in marked.annotations
            ),
            "labels": [one.to_dict() for one in self.summaries()],
            "counts": {
                "recordings": len(self.rows),
                **{status: statuses.count(status) for status in sorted(set(statuses))},
                "events": len(self.events),
                "scanned_s": round(self._scanned_s, 3),
            },
            "notes": list(self.notes),
            **({"scores": self._scores} if self._scores["labels"] else {}),
        }
