"""ScanSource: a scan's events and peaks as candidates, with where each can be heard."""

from __future__ import annotations

import csv
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError, ModelError, ScanError, ScanMismatchError
from earful.index.annotations import Annotation, RecordingRow, read_annotations
from earful.index.labels import JOURNAL_FILE, Label, LabelJournal, journal_path
from earful.model import StepEmbedder
from earful.rag.review import NearestExample, ReviewSettings
from earful.rag.review.candidates.candidate import ByPlace, Candidate, is_same_sound
from earful.rag.review.candidates.fitting import Fitting, settings_of
from earful.rag.review.candidates.kept_steps import KeptSteps
from earful.rag.review.candidates.source import Found, Place
from earful.rag.scan import Events, Example, find_recording
from earful.values import short_repr
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index import Index

_EXAMPLES = "examples.csv"
_SAME_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Examples:
    """Examples of a label.

    Attributes:
        names: As evidence names them.
        vectors: Unit rows, float32, shape ``(n, dim)``.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]

    __repr__ = short_repr


class ScanSource:
    """A scan under review.

    Args:
        folder: That the scan wrote.
        settings: Of the review.
        embedder: That made the kept steps; ``None`` to load it when it is needed.

    Attributes:
        name: Name of the folder.
        folder: The folder.
        events: As the scan wrote them.
        labels: That were looked for.
        candidates: The events.
        detector: 16 hex digits that name the detectors.

    Raises:
        ScanError: The folder is missing, was not finished, is damaged, foreign or newer.
        CorpusError: A row of a table is broken.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        settings: ReviewSettings,
        *,
        embedder: StepEmbedder | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        self.events = Events.open(folder)
        self.labels = self.events.labels
        self.detector = str(self.events.scan.get("examples_sha256", ""))[:16]
        self._settings, self._embedder = settings, embedder
        self._guard = threading.Lock()
        self._steps: KeptSteps | None = None
        self._fitting: Fitting | None = None
        self._notes: tuple[str, ...] = ()
        self._fault = ""
        self._rows: dict[str, RecordingRow] = {}
        for row in self.events.recordings:
            self._rows[row.recording] = row
            if row.sha256 and row.was_read:
                self._rows.setdefault(row.sha256, row)
        self._paths: dict[str, Path] = {}
        steps = self.events.scan.get("steps", {})
        self._slow = float(steps.get("slow", 1.0)) if isinstance(steps, Mapping) else 1.0
        examples = self._read_examples()
        # What evidence may call an example, and where it is.
        self._named: dict[str, Annotation] = {}
        for one in examples:
            self._named.setdefault(one.recording, one)
        for one in examples:
            self._named[self._name_of(one)] = one
        self._examples: dict[str, _Examples] = {}
        self._known = ByPlace(self._known_of(self._without_reviewed(examples)))
        self._given = examples
        thresholds = {one.label: one.threshold for one in self.events.summaries}
        self.candidates = tuple(
            self._marked(Candidate.of_event(event, thresholds.get(event.label, 0.0)))
            for event in self.events
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        fault = (self._fault,) if self._fault else ()
        return (*fault, *self._notes)

    def require_encoder_of(self, index: Index) -> None:
        """Refuse an index whose rows another encoder made than the steps of the scan.

        Raises:
            ScanMismatchError: It is one.
        """
        steps = self.events.scan.get("steps", {}).get("fingerprint", {})
        own = index.fingerprint
        made_by = (steps.get("name"), steps.get("weights_sha256"))
        if steps and made_by != (own.name, own.weights_sha256):
            raise ScanMismatchError(
                f"{self.folder}: was scanned with embedder {quoted(steps.get('name'))}, but the "
                f"index {index.path} was built with {quoted(own.name)}; what is labelled in the "
                "one cannot go into the other; give an index of the same embedder"
            )

    def place(self, candidate: Candidate) -> Place:
        """Return the file of a candidate."""
        row = self._rows.get(candidate.recording) or self._rows.get(candidate.recording_sha256)
        path = self._path(candidate.recording)
        return Place(
            path=path,
            is_there=path.is_file(),
            duration_s=None if row is None else row.duration_s,
            sample_rate=None if row is None else row.sample_rate,
        )

    def detailed(self, candidate: Candidate) -> Candidate:
        """Return a candidate with what takes time to tell: the example it resembles most."""
        own = self._examples.get(candidate.guess)
        if candidate.nearest_example or own is None:
            return candidate
        vector = self.vector(candidate)
        if vector is None:
            return candidate
        similar = own.vectors @ vector
        best = int(np.argmax(similar))
        return replace(
            candidate,
            nearest_example=own.names[best],
            similarity=round(float(similar[best]), 4),
        )

    def nearest(self, candidate: Candidate) -> NearestExample | None:
        """Return the example that a candidate resembles most; ``None`` when unknown."""
        example = self._named.get(candidate.nearest_example)
        if example is None:
            return None
        row = self._rows.get(example.recording)
        path = self._path(example.recording)
        return NearestExample(
            name=candidate.nearest_example,
            source=path if path.is_file() else None,
            recording_sha256="" if row is None else row.sha256,
            start_s=example.start_s,
            end_s=example.end_s,
            similarity=candidate.similarity,
        )

    def vector(self, candidate: Candidate) -> NDArray[np.float32] | None:
        """Return the vector of a candidate at unit length; ``None`` when unknown."""
        steps = self._steps
        key = None if steps is None else steps.key(candidate.recording_sha256)
        if steps is None or key is None:
            return None
        try:
            return steps.stretch_vector(key, candidate.start_s, candidate.end_s)
        except (OSError, ScanError):
            return None

    def find(self, labels: Sequence[str], said: Sequence[Label]) -> Found | None:
        """Fit detectors with what reviewers said, and find what they find.

        Returns:
            ``None`` where nothing can be fitted; ``notes`` say why.
        """
        with self._guard:
            try:
                fitting = self._open()
                found = fitting.find(labels or self.labels, said)
            except (CorpusError, ScanError, ModelError) as error:
                self._fault = f"no detector can be fitted again: {error}"
                return None
            self._fault, self._notes = "", found.notes
            self.detector = found.detector
            for label, own in found.examples.items():
                self._take(label, own)
        return replace(found, candidates=tuple(self._marked(one) for one in found.candidates))

    def _open(self) -> Fitting:
        if self._fitting is None:
            steps = KeptSteps(
                self.folder, embedder=self._embedder, window_s=settings_of(self.events).window_s
            )
            self._fitting = Fitting(self.events, self._given, steps, self._settings)
            self._steps = steps
        return self._fitting

    def _take(self, label: str, examples: Sequence[Example]) -> None:
        """Keep the examples of a label as evidence."""
        for one in examples:
            marked = one.annotation
            self._named[one.name] = replace(
                marked, start_s=marked.start_s / self._slow, end_s=marked.end_s / self._slow
            )
        self._examples[label] = _Examples(
            names=tuple(one.name for one in examples),
            vectors=np.stack([one.vector for one in examples]),
        )

    def _path(self, recording: str) -> Path:
        path = self._paths.get(recording)
        # What is gone may have been put back, here or beside the scan.
        if path is None or not path.is_file():
            path = self._paths[recording] = find_recording(recording, self.folder)
        return path

    def _marked(self, candidate: Candidate) -> Candidate:
        """Return a candidate as an example where it is one of the scan."""
        known = self._known.overlapping(candidate)
        if candidate.kind == "event" and any(is_same_sound(candidate, one) for one in known):
            return replace(candidate, kind="example")
        return candidate

    def _known_of(self, examples: Iterable[Annotation]) -> Iterable[Candidate]:
        for one in examples:
            row = self._rows.get(one.recording)
            if row is not None and one.polarity == "positive":
                yield Candidate(
                    item="",
                    recording=row.recording,
                    recording_sha256=row.sha256,
                    start_s=one.start_s,
                    end_s=one.end_s,
                    guess=one.label,
                    kind="said",
                )

    def _without_reviewed(self, examples: Sequence[Annotation]) -> list[Annotation]:
        """Leave out examples that the journal of this scan gave: others are asked about them."""
        lines = {
            one.seq: one
            for one in LabelJournal(journal_path(self.folder)).read()
            if isinstance(one, Label)
        }
        if not lines or not examples:
            return list(examples)
        own: dict[str, list[Label]] = defaultdict(list)
        with (self.folder / _EXAMPLES).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path, _, seq = (row.get("origin") or "").rpartition(":")
                label = lines.get(int(seq)) if seq.isdecimal() else None
                # The scan may have been moved since: its path may be another by now.
                if label is not None and Path(path).name == JOURNAL_FILE:
                    own[row["recording"]].append(label)
        return [
            one
            for one in examples
            if not any(_is_of(one, label) for label in own.get(one.recording, ()))
        ]

    def _name_of(self, one: Annotation) -> str:
        """Return what evidence calls an example; its times are as it was heard."""
        start_s, end_s = one.start_s * self._slow, one.end_s * self._slow
        return f"{one.recording} {start_s:.3f}-{end_s:.3f}"

    def _read_examples(self) -> list[Annotation]:
        path = self.folder / _EXAMPLES
        return list(read_annotations([path])) if path.is_file() else []


def _is_of(example: Annotation, label: Label) -> bool:
    """Whether an example is what a reviewer said; tables round its times."""
    return (
        example.label == label.label
        and abs(example.start_s - label.start_s) < _SAME_S
        and abs(example.end_s - label.end_s) < _SAME_S
    )
