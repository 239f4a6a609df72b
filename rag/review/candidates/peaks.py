"""Peaks: places where a score is high, and no event is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earful.values import short_repr

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A place where a score is high.

    Attributes:
        start_s: Where it begins, in seconds.
        end_s: Where it ends; a window or more.
        score: At its highest.
    """

    start_s: float
    end_s: float
    score: float

    __repr__ = short_repr


def find_peaks(
    scores: NDArray[np.floating],
    *,
    lowest: float,
    window_s: float,
    step_s: float,
    end_s: float,
    events: Sequence[Span] = (),
) -> list[Peak]:
    """Find peaks that are no events.

    What is closer to an event, or to a higher peak, than one window is no peak of its own.

    Args:
        scores: Of consecutive windows, shape ``(n,)``; window ``i`` begins at ``i * step_s``.
        lowest: Score from which a peak is one.
        window_s: Length of a window.
        step_s: From one window to the next.
        end_s: End of the recording.
        events: Stretches of the events.

    Returns:
        Peaks by time.

    >>> scores = np.array([0, 0, 0.4, 0, 0, 0, 0.9, 0, 0])
    >>> [peak.score for peak in find_peaks(scores, lowest=0.3, window_s=1, step_s=1, end_s=9)]
    [0.4, 0.9]
    """
    n = len(scores)
    width = max(1, round(window_s / step_s))
    free = np.asarray(scores) >= lowest
    for start_s, stop_s in events:
        # Middles of windows nearer than one window.
        first = int(np.floor((start_s - window_s) / step_s - width / 2)) + 1
        stop = int(np.ceil((stop_s + window_s) / step_s - width / 2))
        free[max(0, first) : max(0, stop)] = False
    padded = np.concatenate([[-np.inf], scores, [-np.inf]])
    tops = np.flatnonzero(free & (padded[1:-1] >= padded[:-2]) & (padded[1:-1] >= padded[2:]))
    found: list[Peak] = []
    for top in tops[np.argsort(-np.asarray(scores)[tops], kind="stable")].tolist():
        if not free[top]:
            continue
        floor = max(lowest, float(scores[top]) / 2)
        first = last = top
        while first > max(0, top - width) and free[first - 1] and scores[first - 1] >= floor:
            first -= 1
        while last < min(n - 1, top + width) and free[last + 1] and scores[last + 1] >= floor:
            last += 1
        free[max(0, top - width + 1) : top + width] = False
        middle = (top + width / 2) * step_s
        start_s = min((first + width / 2 - 0.5) * step_s, middle - window_s / 2)
        stop_s = max((last + width / 2 + 0.5) * step_s, middle + window_s / 2)
        start_s, stop_s = max(0.0, start_s), min(end_s, stop_s)
        if stop_s > start_s:
            found.append(Peak(start_s=start_s, end_s=stop_s, score=float(scores[top])))
    return sorted(found, key=lambda one: one.start_s)
