"""ScanSource: a scan's events as candidates, with where each can be heard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError, ScanError
from earful.index.annotations import Annotation, RecordingRow, read_annotations
from earful.index.labels import Label
from earful.model import StepEmbedder
from earful.rag.review import NearestExample, ReviewSettings
from earful.rag.review.candidates.candidate import Candidate
from earful.rag.review.candidates.source import Found, Place
from earful.rag.scan import Events

_EXAMPLES = "examples.csv"


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
        notes: What a reader should know.

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
        self._settings, self._embedder = settings, embedder
        thresholds = {one.label: one.threshold for one in self.events.summaries}
        self.candidates = tuple(
            Candidate.of_event(event, thresholds.get(event.label, 0.0)) for event in self.events
        )
        self._rows: dict[str, RecordingRow] = {}
        for row in self.events.recordings:
            self._rows[row.recording] = row
            if row.sha256 and row.was_read:
                self._rows.setdefault(row.sha256, row)
        self._paths: dict[str, Path] = {}
        self.examples = self._read_examples()
        self._named = {name: one for one in self.examples for name in _names_of(one)}
        self.notes: tuple[str, ...] = ()

    def row(self, candidate: Candidate) -> RecordingRow | None:
        """Return what is known of a candidate's recording."""
        return self._rows.get(candidate.recording) or self._rows.get(candidate.recording_sha256)

    def place(self, candidate: Candidate) -> Place:
        """Return the file of a candidate."""
        row = self.row(candidate)
        path = self.path(candidate.recording)
        return Place(
            path=path,
            is_there=path.is_file(),
            duration_s=None if row is None else row.duration_s,
            sample_rate=None if row is None else row.sample_rate,
        )

    def path(self, recording: str) -> Path:
        """Return where a recording lies: as it was given from here, or from beside the scan."""
        if recording not in self._paths:
            given = Path(recording)
            beside = self.folder.resolve().parent / recording
            self._paths[recording] = beside if not given.exists() and beside.exists() else given
        return self._paths[recording]

    def detailed(self, candidate: Candidate) -> Candidate:
        """Return a candidate with what takes time to tell: its band and its nearest example."""
        return candidate

    def nearest(self, candidate: Candidate) -> NearestExample | None:
        """Return the example that a candidate resembles most; ``None`` when unknown."""
        example = self._named.get(candidate.nearest_example)
        if example is None:
            return None
        path = self.path(example.recording)
        row = self._rows.get(example.recording)
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
        return None

    def find(self, labels: Sequence[str], said: Sequence[Label]) -> Found | None:
        """Fit detectors with what reviewers said, and find what they find."""
        return None

    def _read_examples(self) -> list[Annotation]:
        try:
            return list(read_annotations([self.folder / _EXAMPLES]))
        except (CorpusError, ScanError):
            return []


def _names_of(example: Annotation) -> tuple[str, str]:
    """Return the names by which evidence may call an example, see ``Example``."""
    name = str(PurePath(example.recording))
    return f"{example.recording} {example.start_s:.3f}-{example.end_s:.3f}", name
