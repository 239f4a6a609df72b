"""MarkedRecording: a recording with what is marked in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from earful.errors import CorpusError
from earful.index.annotations import Annotation, Polarity
from earful.values import short_repr
from earful.wording import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStretch:
    """A stretch of an exemplar that may last to the end of its file.

    Attributes:
        start_s: Where it begins, in seconds.
        end_s: Where it ends; ``None`` for the end of the file.
        labels: What sounds there.
        where: The row it came from.
        not_labels: What does not sound there.
    """

    start_s: float
    end_s: float | None
    labels: tuple[str, ...]
    where: str
    not_labels: tuple[str, ...] = ()

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedRecording:
    """A recording that holds examples.

    Attributes:
        path: The recording.
        name: As evidence names it.
        annotations: What is marked in it.
        stretches: Exemplars in it.
        complete_until_s: See ``ExampleSources``.
    """

    path: str
    name: str
    annotations: tuple[Annotation, ...] = ()
    stretches: tuple[OpenStretch, ...] = ()
    complete_until_s: float = 0.0

    __repr__ = short_repr

    @property
    def is_clip(self) -> bool:
        """Whether it is one exemplar and nothing else."""
        whole = [one for one in self.stretches if one.start_s == 0 and one.end_s is None]
        return not self.annotations and len(whole) == len(self.stretches) == 1

    def marks(self, duration_s: float) -> list[Annotation]:
        """Return all that is marked.

        Args:
            duration_s: Length of the recording, in seconds.

        Raises:
            CorpusError: An exemplar lies outside of it; the message names its row.
        """
        found = list(self.annotations)
        for one in self.stretches:
            end_s = duration_s if one.end_s is None else one.end_s
            if one.start_s >= duration_s:
                raise CorpusError(
                    f"{one.where}: start_s={one.start_s:g} lies after the end of "
                    f"{quoted(self.name)} at {duration_s:.2f} s; expected a stretch inside it"
                )
            polarities: dict[Polarity, tuple[str, ...]]
            polarities = {"positive": one.labels, "negative": one.not_labels}
            found += [
                Annotation(
                    recording=self.name,
                    start_s=one.start_s,
                    end_s=end_s,
                    label=label,
                    polarity=polarity,
                    where=one.where,
                )
                for polarity, labels in polarities.items()
                for label in labels
            ]
        return found


def digest_marks(marks: Iterable[tuple[str, Annotation]]) -> str:
    """Return hex SHA-256 of what is marked, in any order.

    Args:
        marks: Each with the SHA-256 of the content that it lies in.
    """
    lines = sorted(
        json.dumps(
            {
                "sha256": sha256,
                "start_s": one.start_s,
                "end_s": one.end_s,
                "label": one.label,
                "polarity": one.polarity,
            },
            sort_keys=True,
        )
        for sha256, one in marks
    )
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()
