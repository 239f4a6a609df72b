"""PSDS: how many events are found at each rate of false ones, without a threshold.

The polyphonic sound detection score (C. Bilen et al., ICASSP 2020), computed at every score that
occurs (J. Ebbers, R. Serizel and R. Haeb-Umbach, ICASSP 2022), without cross-triggers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.rag.scan.metrics.matching import Span

MOST_THRESHOLDS: Final = 2000
"""Of a label in a recording; where more scores differ, so many quantiles stand for them."""
_DECIMALS: Final = 6

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptScores:
    """Scores of one recording, as ``scan --keep-scores`` keeps them.

    Attributes:
        labels: Of the rows.
        scores: Shape ``(n_labels, n_windows)``.
        step_s: Seconds for which each window stands.
        first_s: Where the stretch of the first window begins, in seconds.
    """

    labels: tuple[str, ...]
    scores: NDArray[np.floating]
    step_s: float
    first_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PsdsSettings:
    """What counts as found, and what false events cost.

    Attributes:
        detection_share: Share of a found event that lies in true ones, at least; else it is
            false.
        truth_share: Share of a true event that such found ones cover, at least; else it is
            missed.
        spread_weight: How many standard deviations among labels are taken off the mean.
        most_false_per_hour: Rate of false events up to which the area is taken.
    """

    detection_share: float = 0.7
    truth_share: float = 0.7
    spread_weight: float = 1.0
    most_false_per_hour: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Counts of a label in a recording, at each threshold.

    Attributes:
        thresholds: Rising; events are where scores are at least as high.
        found: True events found at each.
        false: False events at each.
        n_true: True events.
        hours: Length of what was evaluated.
    """

    thresholds: Numbers
    found: NDArray[np.int64]
    false: NDArray[np.int64]
    n_true: int
    hours: float


def curve(
    scores: NDArray[np.floating],
    true: Sequence[Span],
    unknown: Sequence[Span],
    *,
    first_s: float,
    step_s: float,
    hours: float,
    settings: PsdsSettings,
) -> Curve:
    """Count a label in a recording at each of its scores.

    Args:
        scores: Shape ``(n,)``.
        true: Events of the label.
        unknown: Found events that lie in these do not count.
        first_s: Where the stretch of the first score begins, in seconds.
        step_s: Length of each stretch.
        hours: Length of the recording, or of what is evaluated of it.
        settings: What counts as found.
    """
    values = np.asarray(scores, dtype=np.float64)
    thresholds = np.unique(values)
    if thresholds.size > MOST_THRESHOLDS:
        places = np.linspace(0, thresholds.size - 1, MOST_THRESHOLDS).round().astype(np.intp)
        thresholds = thresholds[places]
    truth = np.asarray(true, dtype=np.float64).reshape(-1, 2)
    unsure = np.asarray(unknown, dtype=np.float64).reshape(-1, 2)
    found = np.zeros(thresholds.size, dtype=np.int64)
    false = np.zeros(thresholds.size, dtype=np.int64)
    for number, threshold in enumerate(thresholds):
        above = np.concatenate([[False], values >= threshold, [False]])
        changes = np.flatnonzero(above[1:] != above[:-1]) * step_s + first_s
        spans = changes.reshape(-1, 2)
        lengths = spans[:, 1] - spans[:, 0]
        least = np.round(settings.detection_share * lengths, _DECIMALS)
        shared = _shared(spans, truth)
        relevant = np.round(shared.sum(axis=1), _DECIMALS) >= least
        neutral = np.round(_shared(spans, unsure).sum(axis=1), _DECIMALS) >= least
        false[number] = int((~relevant & ~(neutral & (unsure.size > 0))).sum())
        covered = np.round(shared[relevant].sum(axis=0), _DECIMALS)
        needed = np.round(settings.truth_share * (truth[:, 1] - truth[:, 0]), _DECIMALS)
        found[number] = int((covered >= needed).sum())
    return Curve(thresholds=thresholds, found=found, false=false, n_true=len(truth), hours=hours)


def score(
    curves: Mapping[str, Sequence[Curve]], settings: PsdsSettings
) -> tuple[float, dict[str, float]]:
    """Return the score of all labels, and that of each.

    Args:
        curves: Of each label, one a recording.
        settings: What false events cost.
    """
    staircases = {
        label: _staircase(own) for label, own in curves.items() if any(each.n_true for each in own)
    }
    most = settings.most_false_per_hour
    if not staircases:
        return 0.0, {}
    rates = np.unique(np.concatenate([[0.0], *(rates for rates, _ in staircases.values())]))
    rates = rates[rates <= most]
    by_label = {label: _at(rates, *stairs) for label, stairs in staircases.items()}
    table = np.stack(list(by_label.values()))
    combined = np.maximum(table.mean(axis=0) - settings.spread_weight * table.std(axis=0), 0.0)
    return _area(rates, combined, most), {
        label: _area(rates, found, most) for label, found in by_label.items()
    }


def _shared(spans: NDArray[np.floating], others: NDArray[np.floating]) -> Numbers:
    """Return the seconds that every two stretches share, shape ``(n, m)``."""
    ends = np.minimum(spans[:, 1, None], others[None, :, 1])
    starts = np.maximum(spans[:, 0, None], others[None, :, 0])
    return np.asarray(np.maximum(ends - starts, 0.0))


def _staircase(curves: Sequence[Curve]) -> tuple[Numbers, Numbers]:
    """Return false events an hour, rising, and the best share found at each."""
    n_true = sum(own.n_true for own in curves)
    hours = sum(own.hours for own in curves)
    thresholds = np.unique(np.concatenate([own.thresholds for own in curves]))[::-1]
    found = np.zeros(thresholds.size)
    false = np.zeros(thresholds.size)
    for own in curves:
        # Above its highest score a recording has no event.
        place = np.searchsorted(own.thresholds, thresholds)
        inside = place < own.thresholds.size
        found[inside] += own.found[place[inside]]
        false[inside] += own.false[place[inside]]
    rates, shares = false / hours, found / n_true
    order = np.lexsort((shares, rates))
    rates, shares = rates[order], np.maximum.accumulate(shares[order])
    last = np.append(np.flatnonzero(np.diff(rates) > 0), rates.size - 1)
    return rates[last], shares[last]


def _at(rates: Numbers, own_rates: Numbers, shares: Numbers) -> Numbers:
    place = np.searchsorted(own_rates, rates, side="right") - 1
    return np.asarray(np.where(place >= 0, shares[np.maximum(place, 0)], 0.0))


def _area(rates: Numbers, shares: Numbers, most: float) -> float:
    widths = np.diff(np.append(rates, most))
    return float((widths * shares).sum() / most)
