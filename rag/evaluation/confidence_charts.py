"""Charts of a report about confidence: how often it is right, and what abstaining gains."""

from __future__ import annotations

from typing import NamedTuple

from earful.html import Axis, Cell, Page, Point, Series, draw_series
from earful.rag.evaluation.metrics import Reliability
from earful.rag.evaluation.scores import Scorecard
from earful.wording import counted

_FEWEST_IN_A_BIN = 5


def show_confidence(page: Page, card: Scorecard) -> None:
    """Add the charts of confidence to a report: is it right, what abstaining gains, how often."""
    arms = [score.arm for score in card.arms if score.arm.is_answerer]
    chosen = [
        arm
        for how in ("zero-shot", "retrieved", "blend", "vote")
        for arm in arms
        if arm == card.best_of(how)
    ]
    if not chosen:
        chosen = [card.verdict.arm]
    curves = [
        Series(
            name="says how often it is right",
            points=[Point(x=end, y=end, title="") for end in (0.0, 1.0)],
            has_dots=False,
            is_reference=True,
        )
    ]
    risks: list[Series] = []
    for arm in chosen:
        bins = card.reliability_of(arm)
        curves.append(
            Series(
                name=f"{arm.name}, off by {bins.ece:.1%}",
                points=[
                    Point(
                        x=one.confidence,
                        y=one.accuracy,
                        title=f"{arm.name}: {counted(one.n, 'answer')} of {one.confidence:.0%} "
                        f"confidence, {one.accuracy:.0%} right",
                        size=3.0 + 7.0 * (one.n / len(card.items)) ** 0.5,
                    )
                    for one in _merged(bins)
                ],
            )
        )
        risk = card.risk_coverage_of(arm)
        risks.append(
            Series(
                name=f"{arm.name}, {risk.area:.1%} on average",
                points=[
                    Point(x=float(x), y=float(y), title="")
                    for x, y in zip(risk.coverage, risk.risk, strict=True)
                ],
                has_dots=False,
            )
        )
    page.section("Confidence")
    page.chart(
        "plot-reliability",
        draw_series(
            curves,
            Axis(title="confidence", is_share=True),
            Axis(title="share right", is_share=True),
        ),
        "Above the dashed line an arm is right more often than it says. A mark stands for "
        f"{_FEWEST_IN_A_BIN} answers or more, the larger the more.",
    )
    highest = max((point.y for one in risks for point in one.points), default=0.0)
    page.chart(
        "plot-risk",
        draw_series(
            risks,
            Axis(title="share of items answered, the surest first", is_share=True),
            Axis(title="share of them wrong", high=max(highest, 0.05), is_share=True),
        ),
        "What abstaining below a confidence gains.",
    )
    _abstentions(page, card)


def _abstentions(page: Page, card: Scorecard) -> None:
    """List how often arms would have said that they are not sure."""
    rows: list[list[str | float | Cell]] = []
    for score in card.arms:
        found = card.abstention_of(score.arm)
        if found is not None:
            right = "-" if found.accuracy is None else Cell.share(found.accuracy)
            rows.append([score.arm.name, Cell.share(found.share), right])
    if rows:
        page.table(["arm", "not sure", "right of the others"], rows, name="table-abstentions")
        page.text("All other numbers are of the best guess, whether an arm was sure or not.")


class _Bin(NamedTuple):
    confidence: float
    accuracy: float
    n: int


def _merged(bins: Reliability) -> list[_Bin]:
    """Join bins with their neighbours until each holds enough answers to say something."""
    merged: list[_Bin] = []
    for confidence, accuracy, n in zip(
        bins.confidence.tolist(), bins.accuracy.tolist(), bins.count.tolist(), strict=True
    ):
        if not n:
            continue
        own = _Bin(confidence, accuracy, n)
        if merged and merged[-1].n < _FEWEST_IN_A_BIN:
            own = _joined(merged.pop(), own)
        merged.append(own)
    if len(merged) > 1 and merged[-1].n < _FEWEST_IN_A_BIN:
        last = merged.pop()
        merged.append(_joined(merged.pop(), last))
    return merged


def _joined(one: _Bin, other: _Bin) -> _Bin:
    n = one.n + other.n
    return _Bin(
        (one.confidence * one.n + other.confidence * other.n) / n,
        (one.accuracy * one.n + other.accuracy * other.n) / n,
        n,
    )
