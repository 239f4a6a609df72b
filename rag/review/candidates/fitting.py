"""Fitting: a scan's detectors, from its own examples and what reviewers said."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any, Final

from earful.errors import CorpusError, ScanError
from earful.index.annotations import Annotation, RecordingRow, event_id
from earful.index.labels import Label
from earful.rag.review import ReviewSettings
from earful.rag.review.candidates.candidate import Candidate
from earful.rag.review.candidates.kept_steps import KeptSteps
from earful.rag.review.candidates.peaks import Peak, find_peaks
from earful.rag.review.candidates.source import Found
from earful.rag.scan import (
    Detection,
    Detectors,
    Events,
    Example,
    ExampleRecording,
    ScanSettings,
    fit_detectors,
    scanned_part,
)
from earful.wording import counted, listed, quoted

# Steps of examples that are in memory at once; of more they are read slice by slice.
_MOST_STEPS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marked:
    """What is marked in one recording."""

    name: str
    key: str
    annotations: tuple[Annotation, ...]
    complete_until_s: float
    is_clip: bool


@dataclass(kw_only=True)
class _Gathered:
    """What detectors found, recording by recording."""

    events: list[Candidate] = field(default_factory=list)
    peaks: list[Candidate] = field(default_factory=list)
    examples: dict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))
    unread: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)


def settings_of(events: Events) -> ScanSettings:
    """Return how a scan scored windows."""
    said = events.scan.get("settings", {})
    known = {one.name for one in fields(ScanSettings)}
    return ScanSettings(**{name: value for name, value in said.items() if name in known})


class Fitting:
    """Fits detectors of a scan as a further ``earful scan`` would, and finds what they find.

    Args:
        events: Of the scan.
        examples: That the scan was given, see ``examples.csv``.
        steps: That it kept.
        settings: Of the review.

    Attributes:
        notes: Examples whose steps are not kept.
    """

    def __init__(
        self,
        events: Events,
        examples: Sequence[Annotation],
        steps: KeptSteps,
        settings: ReviewSettings,
    ) -> None:
        self._events, self._steps, self._settings = events, steps, settings
        self._scan_settings = settings_of(events)
        self._part = scanned_part(events)
        self._sources: Mapping[str, Any] = events.scan.get("sources", {})
        self._each_by_itself = self._sources.get("first") is not None
        self._thresholds = {one.label: one.threshold for one in events.summaries}
        self._rows = {row.sha256: row for row in events.recordings if row.was_read and row.sha256}
        lost: dict[str, None] = {}
        self._own: dict[str, _Marked] = {}
        contents = {row.recording: row.sha256 for row in events.recordings if row.sha256}
        by_key: dict[str, list[Annotation]] = defaultdict(list)
        for one in examples:
            key = steps.key(contents.get(one.recording, "")) or steps.key_of_name(one.recording)
            if key is None:
                lost[one.recording] = None
            else:
                by_key[key].append(one)
        for key, own in by_key.items():
            self._own[key] = self._marked(key, own, is_scanned=own[0].recording in contents)
        self.notes: tuple[str, ...] = steps.notes
        if lost:
            self.notes = (
                *steps.notes,
                f"the kept steps of {counted(len(lost), 'recording')} with examples are not there "
                f"({listed(list(lost)[:3])}): fitted without; run the same `earful scan` again",
            )

    def find(self, labels: Sequence[str], said: Sequence[Label]) -> Found:
        """Fit the detectors of some labels, and find what they find.

        Args:
            labels: Of this scan.
            said: What counts of each item.

        Raises:
            CorpusError: Nothing is left to fit.
        """
        marked, notes = self._with_said(said)
        gathered = _Gathered()
        for detectors, rows in self._fit(labels, marked, gathered):
            for label, detector in detectors.items():
                gathered.examples[label] += detector.examples
                gathered.notes |= dict.fromkeys(detector.notes)
            for row in rows:
                self._detect(detectors, row, gathered)
        gathered.peaks.sort(key=lambda one: (one.guess, -(one.score or 0.0), one.item))
        peaks: list[Candidate] = []
        n_left_out = 0
        for label in labels:
            own = [one for one in gathered.peaks if one.guess == label]
            peaks += own[: self._settings.most_peaks]
            n_left_out += max(0, len(own) - self._settings.most_peaks)
        if n_left_out:
            notes.append(
                f"{n_left_out:,} of the lowest peaks are left out; the highest "
                f"{self._settings.most_peaks:,} of each label are shown"
            )
        if gathered.unread:
            notes.append(
                f"the kept steps of {counted(len(gathered.unread), 'recording')} are not there "
                f"({listed(gathered.unread[:3])}): their events stay as they were; run the same "
                "`earful scan` again"
            )
        return Found(
            candidates=(*gathered.events, *peaks),
            labels=tuple(labels),
            unread=frozenset(gathered.unread),
            examples={label: tuple(own) for label, own in gathered.examples.items()},
            detector=self._digest(said),
            notes=(*notes, *gathered.notes),
        )

    # --- examples ----------------------------------------------------------------------------

    def _marked(self, key: str, own: Sequence[Annotation], *, is_scanned: bool) -> _Marked:
        about = self._steps.about(key)
        duration_s = about.duration_s or 0.0
        whole = {(one.start_s, one.end_s) for one in own}
        is_clip = (
            not is_scanned
            and len(whole) == 1
            and all(start_s == 0 and end_s >= duration_s - 0.01 for start_s, end_s in whole)
        )
        until_s = self._sources.get("complete_until_s") or 0.0
        if self._each_by_itself and self._sources.get("complete_until_s") is None:
            ends: dict[str, float] = {}
            for one in own:
                if one.polarity == "positive":
                    ends[one.label] = max(ends.get(one.label, 0.0), one.end_s)
            until_s = min(ends.values(), default=0.0)
        return _Marked(
            name=own[0].recording,
            key=key,
            annotations=tuple(own),
            complete_until_s=0.0 if is_clip else until_s,
            is_clip=is_clip,
        )

    def _with_said(self, said: Sequence[Label]) -> tuple[list[_Marked], list[str]]:
        """Return what is marked, with what reviewers said, and what cannot be used of it."""
        marked = dict(self._own)
        outside = 0
        by_key: dict[str, list[Annotation]] = defaultdict(list)
        for label in said:
            row = self._rows.get(label.recording_sha256)
            key = None if row is None else self._steps.key(row.sha256)
            if row is None or key is None or label.start_s >= (row.duration_s or 0.0):
                outside += 1
                continue
            own = Annotation(
                recording=row.recording,
                start_s=label.start_s,
                end_s=min(label.end_s, max(row.duration_s or 0.0, label.start_s + 0.001)),
                label=label.label,
                polarity="unknown" if label.polarity == "skip" else label.polarity,
                where=f"label {label.seq}",
            )
            if not any(_is_same(own, one) for one in self._annotations(key)):
                by_key[key].append(own)
        for key, added in by_key.items():
            before = marked.get(key) or _Marked(
                name=added[0].recording,
                key=key,
                annotations=(),
                complete_until_s=0.0,
                is_clip=False,
            )
            marked[key] = replace(before, annotations=(*before.annotations, *added))
        notes = list(self.notes)
        if outside:
            notes.append(
                f"{counted(outside, 'label')} of recordings whose steps are not kept: fitted "
                "without; run the same `earful scan` again"
            )
        return list(marked.values()), notes

    def _annotations(self, key: str) -> Sequence[Annotation]:
        return self._own[key].annotations if key in self._own else ()

    def _example(self, marked: _Marked, *, in_memory: bool) -> ExampleRecording:
        slow = self._steps.slow
        return ExampleRecording(
            name=marked.name,
            sha256=self._steps.about(marked.key).sha256,
            steps=self._steps.steps(marked.key, in_memory=in_memory),
            annotations=[
                replace(one, start_s=one.start_s * slow, end_s=one.end_s * slow)
                for one in marked.annotations
            ],
            complete_until_s=marked.complete_until_s * slow,
            is_clip=marked.is_clip,
        )

    # --- detectors ---------------------------------------------------------------------------

    def _fit(
        self, labels: Sequence[str], marked: Sequence[_Marked], gathered: _Gathered
    ) -> Iterator[tuple[Detectors, list[RecordingRow]]]:
        """Yield detectors, and the recordings that they look at."""
        readable: list[ExampleRecording] = []
        in_memory = sum(self._steps.about(one.key).n_steps for one in marked) < _MOST_STEPS
        for one in marked:
            try:
                readable.append(self._example(one, in_memory=in_memory))
            except ScanError:
                gathered.notes[f"{one.name}: its kept steps cannot be read; fitted without"] = None
        if not self._each_by_itself:
            fitted = self._detectors(labels, readable)
            if fitted is None:
                raise CorpusError(
                    f"{listed([quoted(label) for label in labels])}: no example is left whose "
                    "steps are kept; run the same `earful scan` again"
                )
            yield fitted, list(self._rows.values())
            return
        for example in readable:
            row = self._rows.get(example.sha256)
            fitted = self._detectors(labels, [example])
            if row is not None and fitted is not None:
                yield fitted, [row]

    def _detectors(
        self, labels: Sequence[str], recordings: Sequence[ExampleRecording]
    ) -> Detectors | None:
        there = {
            one.label
            for recording in recordings
            for one in recording.annotations
            if one.polarity == "positive"
        }
        wanted = [label for label in labels if label in there]
        if not wanted:
            return None
        thresholds = {
            label: self._thresholds.get(label, self._scan_settings.threshold) for label in wanted
        }
        return fit_detectors(
            recordings,
            self._steps.embedder,
            replace(self._scan_settings, thresholds=thresholds),
            labels=wanted,
        )

    def _detect(self, detectors: Detectors, row: RecordingRow, gathered: _Gathered) -> None:
        """Add what detectors find in a recording."""
        slow = self._steps.slow
        duration_s = row.duration_s or 0.0
        try:
            key = self._steps.key(row.sha256)
            if key is None:
                raise ScanError(f"{row.recording}: nothing is kept of it")
            found = detectors.detect(
                self._steps.steps(key), sha256=row.sha256, duration_s=duration_s * slow
            )
        except (OSError, ScanError):
            gathered.unread.append(row.recording)
            return
        spans = self._part.spans(row.starts_at, duration_s, time_expansion=row.time_expansion)

        def is_inside(start_s: float, end_s: float) -> bool:
            middle = (start_s + end_s) / 2
            return any(first <= middle < last for first, last in spans)

        for event in found.events:
            if is_inside(event.start_s / slow, event.end_s / slow):
                gathered.events.append(
                    replace(
                        self._candidate(
                            row,
                            event.label,
                            Peak(start_s=event.start_s, end_s=event.end_s, score=event.score),
                            detectors,
                        ),
                        kind="event",
                        margin=None if event.margin is None else round(event.margin, 4),
                        nearest_example=event.nearest_example,
                        similarity=round(event.similarity, 4),
                    )
                )
        for number, label in enumerate(found.labels):
            gathered.peaks += [
                self._candidate(row, label, peak, detectors)
                for peak in self._peaks(found, number, duration_s * slow)
                if is_inside(peak.start_s / slow, peak.end_s / slow)
            ]

    def _peaks(self, found: Detection, number: int, end_s: float) -> list[Peak]:
        label = found.labels[number]
        return find_peaks(
            found.scores[number],
            lowest=self._settings.lowest_score,
            window_s=found.window_s,
            step_s=found.step_s,
            end_s=end_s,
            events=[(one.start_s, one.end_s) for one in found.events if one.label == label],
        )

    def _candidate(
        self, row: RecordingRow, label: str, peak: Peak, detectors: Detectors
    ) -> Candidate:
        start_s = round(peak.start_s / self._steps.slow, 3)
        end_s = max(round(peak.end_s / self._steps.slow, 3), start_s + 0.001)
        detector = detectors[label]
        curve = detector.calibration
        return Candidate(
            item=event_id(row.sha256, label, start_s, end_s),
            recording=row.recording,
            recording_sha256=row.sha256,
            start_s=start_s,
            end_s=end_s,
            guess=label,
            score=round(peak.score, 4),
            threshold=detector.threshold,
            kind="peak",
            probability=round(curve.probability(peak.score), 4) if curve else None,
            n_reviewed=curve.n_reviewed if curve else None,
            starts_at=row.starts_at and row.starts_at + timedelta(seconds=start_s),
            site=row.site,
        )

    def _digest(self, said: Sequence[Label]) -> str:
        """Return 16 hex digits that name the detectors: of the examples and what was said."""
        text = str(self._events.scan.get("examples_sha256", ""))
        lines = sorted(
            f"{one.recording_sha256} {one.start_s:.3f} {one.end_s:.3f} {one.label} {one.polarity}"
            for one in said
        )
        content = "\n".join([text, *lines]).encode("utf-8", "surrogatepass")
        return hashlib.sha256(content).hexdigest()[:16]


def _is_same(one: Annotation, other: Annotation) -> bool:
    """Whether what a reviewer said is an example of the scan already, which counts once."""
    shorter = min(one.end_s - one.start_s, other.end_s - other.start_s)
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return (
        one.label == other.label
        and one.polarity == other.polarity == "positive"
        and shared >= shorter / 2
    )
