"""Rules by which found events are right: by overlap, by their ends, or by the second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan.metrics.counts import Counts
from earful.rag.scan.metrics.matching import Span, match


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """What is compared: one label in one recording.

    Attributes:
        found: In seconds.
        true: Likewise.
        unknown: Where nobody is sure; neither right nor wrong.
        from_s: Before this time, in seconds, nothing counts.
        duration_s: Length of the recording.
    """

    found: Sequence[Span]
    true: Sequence[Span]
    unknown: Sequence[Span] = ()
    from_s: float = 0.0
    duration_s: float


class Rule(Protocol):
    """A way to count."""

    def count(self, stretches: Stretches) -> Counts:
        """Count a label in a recording."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IouRule:
    """Events match that overlap: task 5 of DCASE (few-shot bioacoustic event detection).

    What is found and matches nothing is first compared with unknown stretches in the same way;
    what matches one is neither right nor wrong.

    Attributes:
        least: Intersection over union, at least.
    """

    least: float = 0.3

    def count(self, stretches: Stretches) -> Counts:
        """Count a label in a recording."""
        return _count_matches(stretches, self._fits)

    def _fits(self, found: NDArray[np.float64], own: Span) -> NDArray[np.bool_]:
        starts, ends = found[:, 0], found[:, 1]
        shared = np.minimum(ends, own[1]) - np.maximum(starts, own[0])
        either = np.maximum(ends, own[1]) - np.minimum(starts, own[0])
        # Times are decimal: an overlap of just 0.3 counts however its floats fall.
        return np.asarray(shared >= self.least * either - 1e-9) & np.asarray(shared > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollarRule:
    """Events match whose ends are near, as in ``sed_eval``'s event-based metrics.

    Attributes:
        collar_s: Beginnings differ by at most this.
        share: Ends differ by at most the collar or this share of the true event's length.
    """

    collar_s: float = 0.2
    share: float = 0.5

    def count(self, stretches: Stretches) -> Counts:
        """Count a label in a recording."""
        return _count_matches(stretches, self._fits)

    def _fits(self, found: NDArray[np.float64], own: Span) -> NDArray[np.bool_]:
        at_end = max(self.collar_s, self.share * (own[1] - own[0]))
        near_start = np.abs(found[:, 0] - own[0]) <= self.collar_s
        return np.asarray(near_start & (np.abs(found[:, 1] - own[1]) <= at_end))


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRule:
    """Segments of a second are right or wrong, as in ``sed_eval``'s segment-based metrics.

    A segment that only an unknown stretch touches does not count.

    Attributes:
        segment_s: Length of a segment, in seconds.
    """

    segment_s: float = 1.0

    def count(self, stretches: Stretches) -> Counts:
        """Count a label in a recording."""
        n = math.ceil(stretches.duration_s / self.segment_s)
        found = self._touched(stretches.found, n)
        true = self._touched(stretches.true, n)
        counts = true | ~self._touched(stretches.unknown, n)
        counts[: math.ceil(stretches.from_s / self.segment_s)] = False
        return Counts(
            found=int((found & true & counts).sum()),
            false=int((found & ~true & counts).sum()),
            missed=int((~found & true & counts).sum()),
        )

    def _touched(self, spans: Sequence[Span], n: int) -> NDArray[np.bool_]:
        touched = np.zeros(n, dtype=np.bool_)
        for start_s, end_s in spans:
            first = math.floor(start_s / self.segment_s)
            touched[first : math.ceil(end_s / self.segment_s)] = True
        return touched


def after(spans: Sequence[Span], from_s: float) -> list[Span]:
    """Return the found stretches that count: those whose middle is not before a time."""
    return [span for span in spans if (span[0] + span[1]) / 2 >= from_s]


def _count_matches(
    stretches: Stretches, fits: Callable[[NDArray[np.float64], Span], NDArray[np.bool_]]
) -> Counts:
    found = after(stretches.found, stretches.from_s) if stretches.from_s else stretches.found
    # As the challenge does: what ends by the last example's end was given.
    true = [span for span in stretches.true if not stretches.from_s or span[1] > stretches.from_s]
    pairs = match(found, true, fits)
    rest = [span for row, span in enumerate(found) if row not in pairs]
    neutral = match(rest, stretches.unknown, fits)
    return Counts(
        found=len(pairs),
        false=len(rest) - len(neutral),
        missed=len(true) - len(pairs),
    )
