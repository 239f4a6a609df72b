"""Charts of a report about confidence: how often it is right, and what abstaining gains."""

from __future__ import annotations

import numpy as np

from earful.html import Axis, Point, Series, across, upwards
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.metrics import Reliability
from earful.rag.evaluation.scores import Scorecard
from earful.wording import counted

FEWEST_IN_A_BIN = 5

_Chart = tuple[list[Series], Axis, Axis]


def reliability_chart(card: Scorecard) -> _Chart:
    """Return the best arms' share of right answers by confidence, with the axes."""
    curves: list[Series] = []
    for arm in charted_arms(card):
        bins = card.reliability_of(arm)
        points = [
            Point(
                x=confidence,
                y=accuracy,
                title=f"{arm.name}: {counted(int(n), 'answer')} of {confidence:.1%} confidence, "
                f"{accuracy:.1%} right",
                size=0.6 + 1.2 * (n / len(card.items)) ** 0.5,
            )
            for n, confidence, accuracy in _merged(bins)
        ]
        curves.append(Series(name=f"{arm.name}, off by {bins.ece:.1%}", points=points))
    ends = [Point(x=end, y=end) for end in (0.0, 1.0)]
    ideal = Series(name="as often right as it says", points=ends, has_dots=False, is_reference=True)
    x = across(title="confidence", is_share=True)
    return [*curves, ideal], x, upwards(title="share right", is_share=True)


def risk_chart(card: Scorecard) -> _Chart:
    """Return the best arms' share of wrong answers by the share answered, with the axes."""
    curves: list[Series] = []
    for arm in charted_arms(card):
        risk = card.risk_coverage_of(arm)
        places = zip(risk.coverage.tolist(), risk.risk.tolist(), strict=True)
        # The first few say nothing: one of two is half.
        fewest = FEWEST_IN_A_BIN / len(card.items)
        points = [Point(x=x, y=y) for x, y in places if x >= fewest]
        name = f"{arm.name}, {risk.area:.1%} on average"
        curves.append(Series(name=name, points=points, has_dots=False))
    most = max((point.y for one in curves for point in one.points), default=0.0)
    x = across(title="share of items answered, the surest first", is_share=True)
    y = upwards(title="share of them wrong", high=max(most, 0.05), is_share=True)
    return curves, x, y


def charted_arms(card: Scorecard) -> list[Arm]:
    """Return the best arm of each way to answer in earnest, of those that say how sure they are."""
    best = [card.best_of(how) for how in ("zero-shot", "retrieved", "blend", "vote")]
    chosen = [arm for arm in best if arm] or [card.verdict.arm]
    return [arm for arm in chosen if card.has_confidence(arm)]


def _merged(bins: Reliability) -> list[list[float]]:
    """Join bins with their neighbours until each holds enough answers to say something.

    Returns:
        Number of answers, mean confidence and share right of each.
    """
    sums = np.stack([bins.count, bins.count * bins.confidence, bins.count * bins.accuracy], axis=1)
    merged: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for own in sums[bins.count > 0]:
        if merged and merged[-1][0] < FEWEST_IN_A_BIN:
            merged[-1] = merged[-1] + own
        else:
            merged.append(own)
    if len(merged) > 1 and merged[-1][0] < FEWEST_IN_A_BIN:
        merged[-2:] = [merged[-2] + merged[-1]]
    return [[n, confidence / n, right / n] for n, confidence, right in np.array(merged).tolist()]
