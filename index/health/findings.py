"""Findings of a health check, and the thresholds they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from earful.plain import plain_fields
from earful.values import short_repr
from earful.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """Thresholds of a health check.

    Attributes:
        k: Number of neighbours that answer for a row.
        near_duplicate: Cosine similarity from which two rows are compared by their signals, beside
            the 32 nearest of each; at 1 none are.
        least_exemplars: A label with fewer exemplars is an orphan.
        hub: A row that is a neighbour this many times as often as the average is a hub.
        disagreement: Share of the neighbours' weight, in [0, 1], for another label from which
            a label is suspected.
        silent_dbfs: A frame of 20 ms below this level, relative to full scale, is silent.
        silent_share: Share of silent frames from which a recording is silent.
        clipped_share: Share of samples at full scale from which a recording is clipped.
        outlier: Robust z-score, by the median absolute deviation of log durations within a
            label, from which a duration is an outlier.
    """

    k: int = 5
    near_duplicate: float = 0.97
    least_exemplars: int = 3
    hub: float = 5.0
    disagreement: float = 0.6
    silent_dbfs: float = -60.0
    silent_share: float = 0.9
    clipped_share: float = 0.001
    outlier: float = 4.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k={self.k}: expected 1 or more")
        if not 0.0 < self.near_duplicate <= 1.0:
            raise ValueError(f"near_duplicate={self.near_duplicate}: expected a number in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a health check.

    Attributes:
        kind: Such as ``"label"`` or ``"silence"``.
        ids: Ids of the rows concerned.
        what: What was found.
        next: What to do about it.
        severity: For sorting; greater is worse.
        neighbours: Ids of the rows that contradict a label, nearest first.
    """

    kind: str
    ids: tuple[str, ...]
    what: str
    next: str
    severity: float
    neighbours: tuple[str, ...] = ()


_KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "label": ("suspected label", "suspected labels"),
        "copy": ("recording twice", "recordings twice"),
        "contradiction": ("contradiction of two rows", "contradictions of two rows"),
        "near-duplicate": ("near-duplicate", "near-duplicates"),
        "orphan": ("label of few exemplars", "labels of few exemplars"),
        "unlabelled": ("row without a label", "rows without a label"),
        "hub": ("hub", "hubs"),
        "silence": ("silent recording", "silent recordings"),
        "clipping": ("clipped recording", "clipped recordings"),
        "duration": ("odd duration", "odd durations"),
        "unreadable": ("unreadable recording", "unreadable recordings"),
    }
)


def counted_kind(n: int, kind: str) -> str:
    """Return how many findings of a kind there are, in words.

    >>> counted_kind(54, "label"), counted_kind(1, "copy")
    ('54 suspected labels', '1 recording twice')
    """
    return counted(n, *_KINDS.get(kind, (kind, f"{kind}s")))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHealth:
    """Health of one label.

    Attributes:
        label: Its name.
        n: Rows that have it.
        n_groups: Recordings, sites or speakers that these rows come from.
        accuracy: Share of its rows whose neighbours answer with it; NaN when no row has any.
        taken_for: Labels that its rows are mistaken for, with counts, most frequent first.
        n_denied: Rows that say that it is not there.
    """

    label: str
    n: int
    n_groups: int
    accuracy: float
    taken_for: tuple[tuple[str, int], ...]
    n_denied: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; ``n_denied`` where there are any."""
        plain = plain_fields(self, digits=6, without=() if self.n_denied else ("n_denied",))
        return plain | {"taken_for": dict(self.taken_for)}
