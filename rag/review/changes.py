"""Progress of a review, and what a label or a fit changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from earful.read_only import ReadOnlyDict
from earful.values import short_repr

if TYPE_CHECKING:
    from earful.index.labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionOfRandom:
    """Share of events that are right, of those that were drawn at random.

    Attributes:
        n: Events that were drawn and judged.
        n_right: Of them, those that are what the detector said.
        low: Lower end of the 95 % interval of Wilson (1927).
        high: Upper end.
    """

    n: int
    n_right: int
    low: float
    high: float

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a review is.

    Attributes:
        n_items: Items that there are: events, and all of which something was said.
        n_peaks: Peaks below the threshold of which nothing was said yet; they are asked about,
            too, and count as items from then on.
        n_reviewed: Items of which more was said than skip.
        by_label: How often each label was said: ``positive``, ``negative`` and ``unknown``.
        n_skipped: Items of which nothing was said but skip.
        n_disputed: Items that reviewers contradict each other about.
        precision: By label, of the events that were drawn at random.
        is_fitting: Whether a detector is being fitted.
    """

    n_items: int
    n_reviewed: int
    by_label: Mapping[str, Mapping[str, int]] = field(default_factory=ReadOnlyDict, hash=False)
    n_skipped: int = 0
    n_disputed: int = 0
    n_peaks: int = 0
    precision: Mapping[str, PrecisionOfRandom] = field(default_factory=ReadOnlyDict, hash=False)
    is_fitting: bool = False

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "n_items": self.n_items,
            "n_peaks": self.n_peaks,
            "n_reviewed": self.n_reviewed,
            "by_label": {label: dict(counts) for label, counts in self.by_label.items()},
            "n_skipped": self.n_skipped,
            "n_disputed": self.n_disputed,
            "precision": {label: one.to_dict() for label, one in self.precision.items()},
            "is_fitting": self.is_fitting,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a label changed.

    Attributes:
        text: One short line, such as ``"wren: 15 yes, 3 no"``.
        label: The label that changed.
        n_positive: Items that are this label by now.
        n_negative: Items that are not.
        is_disputed: Whether reviewers contradict each other about the item.
        refit_due: Whether so many labels came since its detector was fitted that it should be
            again.
    """

    text: str
    label: str
    n_positive: int
    n_negative: int
    is_disputed: bool = False
    refit_due: bool = False

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A label as it was written, and what it changed.

    Attributes:
        label: With its number.
        changed: What it changed.
    """

    label: Label
    changed: Change

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """What a detector finds after it was fitted again.

    Attributes:
        scan: Name of the scan's folder.
        label: Whose detector.
        n_positive: Items that are this label, by reviewers.
        n_negative: Items that are not.
        n_events_before: Events before.
        n_events_after: Events now.
        text: One short line, such as ``"wren: 14 yes, 3 no; 212 → 187 events"``.
        seconds: How long it took.
        notes: What a reader should know.
    """

    scan: str
    label: str
    n_positive: int
    n_negative: int
    n_events_before: int
    n_events_after: int
    text: str
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self) | {"notes": list(self.notes)}
