"""Events: stretches where scores are above a threshold, joined, corrected and measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """How far a detector's ends lie from the true ones, in seconds.

    Attributes:
        start_s: Its beginnings less the true ones; below 0 where it hears a sound early.
        end_s: Its ends less the true ones; above 0 where it hears a sound too long.
    """

    start_s: float = 0.0
    end_s: float = 0.0


EXACT: Final = Edges()


def spans_above(
    scores: NDArray[np.floating], threshold: float, *, step_s: float, first_s: float
) -> list[Span]:
    """Return the stretches whose windows score above a threshold.

    Args:
        scores: Of consecutive windows, shape ``(n,)``.
        threshold: Above it.
        step_s: Seconds from window to window; each stands for so long around its middle.
        first_s: Middle of the first window, in seconds.

    >>> spans_above(np.array([0.0, 1.0, 1.0, 0.0]), 0.5, step_s=1.0, first_s=0.5)
    [(1.0, 3.0)]
    """
    above = np.concatenate([[False], np.asarray(scores) > threshold, [False]])
    changes = np.flatnonzero(above[1:] != above[:-1])
    times = first_s + (changes - 0.5) * step_s
    return [(float(start), float(end)) for start, end in times.reshape(-1, 2)]


def join_spans(spans: Sequence[Span], join_s: float) -> list[Span]:
    """Close gaps of at most ``join_s`` seconds between stretches in order of time.

    >>> join_spans([(0.0, 1.0), (1.2, 2.0), (5.0, 6.0)], 0.5)
    [(0.0, 2.0), (5.0, 6.0)]
    """
    joined: list[Span] = []
    for start_s, end_s in spans:
        # Times are sums of steps, which differ in their last bits.
        if joined and start_s - joined[-1][1] <= join_s + 1e-9:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def correct_edges(spans: Sequence[Span], edges: Edges, duration_s: float) -> list[Span]:
    """Move ends by the error that a detector makes; nothing is left of what vanishes.

    Args:
        spans: In order of time.
        edges: The error.
        duration_s: Length of the recording, which stretches stay inside of.
    """
    moved = [
        (max(0.0, start_s - edges.start_s), min(duration_s, end_s - edges.end_s))
        for start_s, end_s in spans
    ]
    return join_spans([(start_s, end_s) for start_s, end_s in moved if end_s > start_s], 0.0)


def limit_lengths(spans: Sequence[Span], min_s: float, max_s: float | None) -> list[Span]:
    """Drop stretches shorter than ``min_s``, and cut those longer than ``max_s`` in equal parts.

    >>> limit_lengths([(0.0, 0.1), (1.0, 3.0)], 0.2, 1.0)
    [(1.0, 2.0), (2.0, 3.0)]
    """
    kept: list[Span] = []
    for start_s, end_s in spans:
        length_s = end_s - start_s
        if length_s < min_s - 1e-9:
            continue
        n_parts = 1 if max_s is None else max(1, math.ceil(length_s / max_s - 1e-9))
        cuts = [start_s + length_s * part / n_parts for part in range(n_parts)] + [end_s]
        kept.extend(itertools.pairwise(cuts))
    return kept


def measure_edges(found: Sequence[Span], true: Sequence[Span]) -> list[Edges]:
    """Return by how much each true stretch was missed at its ends, by the one that fits best.

    True stretches that nothing overlaps are left out.
    """
    errors: list[Edges] = []
    for start_s, end_s in true:
        overlaps = [
            (min(end_s, other_end) - max(start_s, other_start), other_start, other_end)
            for other_start, other_end in found
        ]
        best = max(overlaps, default=(0.0, 0.0, 0.0))
        if best[0] > 0:
            errors.append(Edges(start_s=best[1] - start_s, end_s=best[2] - end_s))
    return errors


def median_edges(errors: Sequence[Edges]) -> Edges:
    """Return the median of each end; zero without any."""
    if not errors:
        return EXACT
    return Edges(
        start_s=float(median([error.start_s for error in errors])),
        end_s=float(median([error.end_s for error in errors])),
    )


def median(values: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Return the median along an axis of one value or more, none of them NaN.

    ``np.median`` finds the same, and imports NumPy's masked arrays.

    >>> float(median([3, 1, 2, 10]))
    2.5
    """
    found = np.asarray(values)
    n = found.shape[axis]
    middle = [(n - 1) // 2, n // 2]
    found = np.partition(found, middle, axis=axis)
    return np.asarray(np.take(found, middle, axis=axis).mean(axis=axis))
