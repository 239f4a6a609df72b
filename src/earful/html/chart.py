"""Charts' numbers: where values lie along an axis, and which marks it has; templates draw them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a chart.

    Attributes:
        start: Where ``low`` lies in the drawing, in pixels.
        end: Where ``high`` lies.
        title: What its numbers are; empty for none.
        low: Its least value.
        high: Its greatest.
        is_share: Whether values are shares, to be shown in percent.
        is_log: Whether it is logarithmic; then ``low`` is above 0.
    """

    start: float
    end: float
    title: str = ""
    low: float = 0.0
    high: float = 1.0
    is_share: bool = False
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies, in pixels; values beyond an end lie at that end.

        >>> Axis(start=40, end=240).at(0.25), Axis(start=0, end=100, high=4).at(9)
        (90.0, 100.0)
        """
        low, high, value = self.low, self.high, max(min(value, self.high), self.low)
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / ((high - low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return four to eight round values of a linear axis, with their texts.

        >>> Axis(start=0, end=1, high=7).ticks()[:3]
        [(0.0, '0'), (2.0, '2'), (4.0, '4')]
        """
        rough = (self.high - self.low) / 6 or 1.0
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [n * step for n in range(first, last + 1)]
        return [(value, f"{value:.0%}" if self.is_share else f"{value:g}") for value in values]


# The axes of a line chart, as the template ``lines`` draws it.
across = partial(Axis, start=50, end=460)
upwards = partial(Axis, start=255, end=22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a line: where it lies, what it says under the pointer, its size."""

    x: float
    y: float
    title: str = ""
    size: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one name, joined by a line.

    Attributes:
        name: What the legend says.
        points: From left to right.
        has_dots: Whether the points are marked.
        is_reference: Whether it only guides the eye; such a series comes last.
    """

    name: str
    points: Sequence[Point]
    has_dots: bool = True
    is_reference: bool = False
