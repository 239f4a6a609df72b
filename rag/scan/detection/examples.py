"""Examples of sounds: the recordings that hold them, and the windows that they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.index.annotations import Annotation
from earful.rag.scan.detection.windows import Vectors, Windows
from earful.values import short_repr
from earful.wording import quoted

_MOST_WINDOWS = 64
"""Windows of one long stretch; more say the same again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleRecording:
    """A recording, or a clip, in which somebody marked sounds.

    Attributes:
        name: As evidence names it.
        sha256: Hex SHA-256 of the file; tells whether it is the recording that is scanned.
        steps: Its steps, float16 or float32, shape ``(n, step_dim)``.
        annotations: Of this recording, in any order; positive, negative and unknown.
        complete_until_s: Before this time, in seconds, all that is not marked is known to be
            something else; 0 where that is not known.
        is_clip: Whether it is a clip by itself, such as an exemplar of an index: nothing around
            its sound tells where a detector would set its ends.
    """

    name: str
    sha256: str
    steps: NDArray[np.floating]
    annotations: Sequence[Annotation]
    complete_until_s: float = 0.0
    is_clip: bool = False

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """A stretch that somebody marked, as vectors.

    Attributes:
        name: Recording and times, for evidence.
        source: Number of its recording.
        annotation: What was marked.
        vector: Mean of its windows at unit length, float32, shape ``(dim,)``.
        windows: Its windows, at most 64, float32, shape ``(n, dim)``.
    """

    name: str
    source: int
    annotation: Annotation
    vector: NDArray[np.float32]
    windows: Vectors

    __repr__ = short_repr


class ExampleSet:
    """All that was marked in some recordings, by label.

    Args:
        recordings: That hold examples.
        windows: How recordings are cut.

    Raises:
        CorpusError: There is no positive example, or one lies outside its recording; the
            message names its row.

    Attributes:
        recordings: As given.
        windows: As given.
    """

    def __init__(self, recordings: Sequence[ExampleRecording], windows: Windows) -> None:
        self.recordings = tuple(recordings)
        self.windows = windows
        self._examples = [
            example
            for source, recording in enumerate(self.recordings)
            for example in _examples_of(source, recording, windows)
        ]
        if not self.labels:
            raise CorpusError("no positive example: expected one or more of each label")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels with a positive example, sorted."""
        marked = (example.annotation for example in self._examples)
        return tuple(sorted({one.label for one in marked if one.polarity == "positive"}))

    def positives(self, label: str) -> list[Example]:
        """Return the examples of a label, in the order of the recordings and of time."""
        return self._of(label, "positive")

    def negatives(self, label: str) -> list[Example]:
        """Return what is known not to be a label: its negatives, and examples of other labels.

        What overlaps a positive or an unknown of the label itself is left out.
        """
        neutral = self._neutral(label)
        found = self._of(label, "negative")
        for other in self.labels:
            if other == label:
                continue
            for example in self.positives(other):
                mine = example.annotation
                if not any(
                    one.source == example.source
                    and one.annotation.start_s < mine.end_s
                    and mine.start_s < one.annotation.end_s
                    for one in neutral
                ):
                    found.append(example)
        return found

    def spans_to_avoid(self, label: str, source: int) -> list[tuple[float, float]]:
        """Return where a label may sound in a recording: its positives and unknowns."""
        return [
            (example.annotation.start_s, example.annotation.end_s)
            for example in self._neutral(label)
            if example.source == source
        ]

    def source_of(self, sha256: str) -> int | None:
        """Return the number of the recording with a digest, ``None`` if it holds no example."""
        for source, recording in enumerate(self.recordings):
            if recording.sha256 == sha256 and not recording.is_clip:
                return source
        return None

    def _of(self, label: str, polarity: str) -> list[Example]:
        return [
            example
            for example in self._examples
            if example.annotation.label == label and example.annotation.polarity == polarity
        ]

    def _neutral(self, label: str) -> list[Example]:
        return self._of(label, "positive") + self._of(label, "unknown")


def _examples_of(source: int, recording: ExampleRecording, windows: Windows) -> Iterable[Example]:
    end_s = len(recording.steps) * windows.step_s
    for one in sorted(recording.annotations, key=lambda one: (one.start_s, one.end_s, one.label)):
        if one.start_s >= end_s:
            raise CorpusError(
                f"{one.where or quoted(one.label)}: start_s={one.start_s:g} lies after the end of "
                f"{quoted(recording.name)} at {end_s:.2f} s; expected a stretch inside it"
            )
        rows = windows.rows_within(one.start_s, one.end_s, windows.count(recording.steps))
        if rows.size > _MOST_WINDOWS:
            rows = rows[np.linspace(0, rows.size - 1, _MOST_WINDOWS).round().astype(np.intp)]
        own = windows.vectors_at(recording.steps, rows)
        mean = own.mean(axis=0, dtype=np.float64)
        length = np.linalg.norm(mean)
        whole = recording.is_clip and len(recording.annotations) == 1
        yield Example(
            name=recording.name if whole else f"{recording.name} {one.start_s:.3f}-{one.end_s:.3f}",
            source=source,
            annotation=one,
            vector=(mean / length if length > 0 else mean).astype(np.float32),
            windows=own,
        )
