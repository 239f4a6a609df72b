"""Health check of an index: suspected labels, copies, hubs, silence, outliers.

Labels, hubs and equal copies are computed from what is stored: each row is treated as a new
query, and answered by its nearest neighbours of other recordings and groups. For
near-duplicates, silence, clipping and durations the recordings are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.index.health.audio import find_audio_faults
from earful.index.health.findings import Finding, HealthLimits, LabelHealth
from earful.index.health.near_duplicates import find_near_duplicates
from earful.index.health.vectors import (
    check_labels,
    find_contradictions,
    find_copies,
    find_hubs,
    find_neighbours,
    find_orphans,
    skewness,
)
from earful.index.index import Index
from earful.plain import plain_fields
from earful.values import short_repr

_MOST_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Health:
    """Result of a health check.

    >>> import earful
    >>> health = earful.check_health(earful.Index.open("sounds.index"), audio=False)
    >>> health.n, health.accuracy, [label.label for label in health.labels]
    (15, 1.0, ['dog', 'rain', 'siren'])

    Attributes:
        n: Rows of the index.
        accuracy: Share of labelled rows that their neighbours answer correctly.
        n_asked: Rows that could be answered by neighbours.
        labels: Health of each label, worst first.
        findings: Worst first, at most a thousand of a kind.
        n_of: Number of findings by kind.
        skewness: Skewness of how often rows are neighbours; above 1 a few rows are neighbours
            of almost all others (Radovanovic et al., JMLR 2010).
        occurrence: How often each row that answers is a neighbour, by row.
        durations: Seconds of the rows of each label, of the audio that was read.
        limits: Thresholds of the findings.
        audio_read: Whether recordings were read.
    """

    n: int
    accuracy: float
    n_asked: int
    labels: tuple[LabelHealth, ...]
    findings: tuple[Finding, ...]
    n_of: Mapping[str, int] = field(hash=False)
    skewness: float
    occurrence: NDArray[np.intp]
    durations: Mapping[str, tuple[float, ...]] = field(hash=False)
    limits: HealthLimits
    audio_read: bool

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return plain_fields(self, digits=6, without=("occurrence", "durations"))


def check_health(
    index: Index,
    *,
    limits: HealthLimits = HealthLimits(),
    audio: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Health:
    """Check the health of an index.

    Args:
        index: An index with at least one row.
        limits: Thresholds of the findings.
        audio: Whether to read the recordings, for near-duplicates, silence, clipping and durations.
        progress: Called with the number of recordings read and the number of all.

    Raises:
        IndexFolderError: The index is damaged.
        ValueError: It has no rows that answer.
    """
    every = index.vectors()
    if why := index.why_empty():
        raise ValueError(f"{index.path}: {why}")
    # Rows that only say what is not there answer nothing, and are no copies of one that does.
    answers = np.array([not exemplar.is_negative for exemplar in every.exemplars])
    rows = every if answers.all() else every.subset(np.flatnonzero(answers))
    # What the vectors show.
    neighbours = find_neighbours(rows, limits)
    findings = find_copies(rows) + find_contradictions(every)
    labels, accuracy, n_asked, suspects = check_labels(rows, neighbours, limits)
    findings += suspects
    findings += find_orphans(rows, limits)
    occurrence = np.bincount(neighbours.found[neighbours.found >= 0], minlength=len(rows))
    findings += find_hubs(rows, occurrence, limits)
    # What the recordings show.
    durations: dict[str, list[float]] = {}
    if audio:
        findings += find_near_duplicates(
            rows, neighbours.proposed, neighbours.proposed_similarity, progress
        )
        findings += find_audio_faults(every, limits, durations, progress)
    kinds = Counter(finding.kind for finding in findings)
    findings.sort(key=lambda one: (-one.severity, one.kind, one.ids))
    denied = Counter(label for one in every.exemplars for label in one.not_labels)
    return Health(
        n=len(every),
        accuracy=accuracy,
        n_asked=n_asked,
        labels=tuple(replace(one, n_denied=denied[one.label]) for one in labels),
        findings=_capped(findings),
        n_of=dict(kinds.most_common()),
        skewness=skewness(occurrence),
        occurrence=occurrence,
        durations={label: tuple(seconds) for label, seconds in durations.items()},
        limits=limits,
        audio_read=audio,
    )


def _capped(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    kept: Counter[str] = Counter()
    found: list[Finding] = []
    for finding in findings:
        kept[finding.kind] += 1
        if kept[finding.kind] <= _MOST_LISTED:
            found.append(finding)
    return tuple(found)


def segments(index: Index) -> dict[str, tuple[Path, float, float | None]]:
    """Return the audio file, start and end in seconds of each row, by id."""
    rows = index.vectors()
    return {
        exemplar.id: (path, exemplar.start_s, exemplar.end_s)
        for exemplar, path in zip(rows.exemplars, rows.paths, strict=True)
    }
