"""Charts as SVG, drawn without a script: bars, lines, points, boxes and tables of counts.

A page with a hundred rows needs no plot library of four megabytes. Each mark has a ``<title>``,
which browsers show under the pointer. Colours are classes of ``page.css``, so that they suit a
light and a dark screen; series differ in shape or dash, too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WIDTH = 880
_CHARACTER = 6.6
_LONGEST = 40
_ROW = 24
N_COLOURS = 10
_DASHES = ("", "7 4", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: What its numbers are; empty for none.
        low: Its least value.
        high: Its greatest.
        is_share: Whether values are shares, to be shown in percent.
        is_log: Whether it is logarithmic; then ``low`` is above 0.
        is_silent: Whether it has no ticks.
    """

    title: str = ""
    low: float = 0.0
    high: float = 1.0
    is_share: bool = False
    is_log: bool = False
    is_silent: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low * 1e-9))
        return min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Return four to ten round values with their texts."""
        if self.is_silent:
            return []
        if self.is_log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**power for power in powers for m in (1, 2, 5)]
            found = [value for value in found if self.low <= value <= self.high]
            return [(value, f"{value:g}") for value in found] or [(self.low, f"{self.low:.2g}")]
        rough = (self.high - self.low) / 6 or 1.0
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        values = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [(value, f"{value:.0%}" if self.is_share else f"{value:g}") for value in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its name, value, the ends of its interval if it has one, and how it is marked."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: str = "c0"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point: where it lies, what it says under the pointer, its size, and an id to play."""

    x: float
    y: float
    title: str
    size: float = 5.0
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one name, drawn as a line, as dots, or both."""

    name: str
    points: Sequence[Point]
    has_line: bool = True
    has_dots: bool = True
    is_reference: bool = False


def draw_bars(bars: Sequence[Bar], axis: Axis) -> str:
    """Draw horizontal bars, the first on top, each with its value as text."""
    left = _names_width([bar.name for bar in bars])
    height = _ROW * len(bars) + 46
    frame = _Frame(left=left, right=70, top=6, bottom=40, height=height, x=axis, y=Axis())
    parts = [frame.x_axis()]
    for row, bar in enumerate(bars):
        top = frame.top + _ROW * row
        end, start = frame.across(bar.value), frame.across(max(axis.low, 0.0))
        value = f"{bar.value:.1%}" if axis.is_share else f"{bar.value:.3g}"
        spread = ""
        if bar.low is not None and bar.high is not None:
            low, high = frame.across(bar.low), frame.across(bar.high)
            spread = f'<path class="spread" d="M{low:.1f} {top + 12}H{high:.1f}"/>'
            end = max(end, high)
        title = f"{bar.name}: {value}{f', {bar.note}' if bar.note else ''}"
        parts.append(
            f'<g class="point"><title>{_safe(title)}</title>'
            f'<rect class="{bar.mark}" x="{start:.1f}" y="{top + 4}" height="16" '
            f'width="{max(frame.across(bar.value) - start, 1):.1f}"/>{spread}'
            f'<text x="{left - 8}" y="{top + 16}" text-anchor="end">'
            f"{_safe(_short(bar.name))}</text>"
            f'<text x="{end + 6:.1f}" y="{top + 16}" class="value">{value}</text></g>'
        )
    return _svg(height, parts)


def draw_series(series: Sequence[Series], x: Axis, y: Axis, *, height: int = 360) -> str:
    """Draw lines and points with a legend above them."""
    rows = max(math.ceil(len(series) / 3), 1) if len(series) > 1 else 0
    frame = _Frame(left=64, right=20, top=12 + 20 * rows, bottom=46, height=height, x=x, y=y)
    parts = [frame.x_axis(), frame.y_axis()]
    colour = 0
    for number, one in enumerate(series):
        mark = "reference" if one.is_reference else f"c{colour % N_COLOURS}"
        dash = _DASHES[0 if one.is_reference else colour // N_COLOURS % len(_DASHES)]
        shape = colour
        colour += not one.is_reference
        places = [(frame.across(p.x), frame.up(p.y)) for p in one.points]
        if one.has_line and places:
            line = " ".join(f"{a:.1f} {b:.1f}" for a, b in places)
            parts.append(
                f'<polyline class="line {mark}" points="{line}" stroke-dasharray="{dash}">'
                f"<title>{_safe(one.name)}</title></polyline>"
            )
        if one.has_dots:
            parts += [
                draw_shape(shape, a, b, p.size, mark, p.title)
                for p, (a, b) in zip(one.points, places, strict=True)
            ]
        if rows:
            a, b = 64 + 270 * (number % 3), 12 + 20 * (number // 3)
            parts.append(
                f'<path class="line {mark}" d="M{a} {b}h18" stroke-dasharray="{dash}"/>'
                + (draw_shape(shape, a + 9, b, 4, mark, one.name) if one.has_dots else "")
                + f'<text x="{a + 24}" y="{b + 4}">{_safe(_short(one.name))}</text>'
            )
    return _svg(height, parts)


def draw_counts(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix: the number in every cell, shaded by its share of the row."""
    left = _names_width(names)
    side = max(min((_WIDTH - left - 20) // max(len(names), 1), 44), 13)
    # Where cells are narrower than a word, the heads are written upwards.
    head = round(_names_width(names) * 0.9)
    height = head + side * len(names) + 30
    parts = [
        f'<text class="title" x="{left}" y="12">answer</text>'
        f'<text class="title" x="{left - 8}" y="{head + 4}" text-anchor="end">truth</text>'
    ]
    for column, name in enumerate(names):
        a = left + side * column + side / 2 + 4
        parts.append(
            f'<text transform="translate({a:.1f} {head + 2}) rotate(-60)">'
            f"{_safe(_short(name))}</text>"
        )
    for row, (name, own) in enumerate(zip(names, counts, strict=True)):
        top, total = head + 8 + side * row, max(sum(own), 1)
        parts.append(
            f'<text x="{left - 8}" y="{top + side / 2 + 4:.1f}" text-anchor="end">'
            f"{_safe(_short(name))}</text>"
        )
        for column, n in enumerate(own):
            a, share = left + side * column, n / total
            said = f"{name} heard as {names[column]}: {n} of {total} ({share:.0%})"
            kind = "right" if row == column else "wrong"
            place = f'x="{a}" y="{top}" width="{side - 1}" height="{side - 1}"'
            number = ""
            if n:
                strong = " strong" if share > 0.5 else ""
                number = (
                    f'<text class="count{strong}" x="{a + side / 2:.1f}" '
                    f'y="{top + side / 2 + 4:.1f}" text-anchor="middle">{n}</text>'
                )
            parts.append(
                f'<g class="point"><title>{_safe(said)}</title><rect class="cell" {place}/>'
                f'<rect class="{kind}" {place} fill-opacity="{share:.2f}"/>{number}</g>'
            )
    return _svg(height, parts, width=max(_WIDTH, left + side * len(names) + 20))


def draw_boxes(boxes: Sequence[tuple[str, Sequence[float]]], axis: Axis) -> str:
    """Draw a box of quartiles for each name, its whiskers at the least and greatest value."""
    left = _names_width([name for name, _ in boxes])
    height = _ROW * len(boxes) + 46
    frame = _Frame(left=left, right=20, top=6, bottom=40, height=height, x=axis, y=Axis())
    parts = [frame.x_axis()]
    for row, (name, values) in enumerate(boxes):
        top, ordered = frame.top + _ROW * row, sorted(values)
        cuts = [ordered[round(share * (len(ordered) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
        low, first, middle, third, high = (frame.across(value) for value in cuts)
        said = (
            f"{name}: {len(values)}, half of them {cuts[1]:.2f} to {cuts[3]:.2f}, "
            f"all {cuts[0]:.2f} to {cuts[4]:.2f}"
        )
        parts.append(
            f'<g class="box"><title>{_safe(said)}</title>'
            f'<text x="{left - 8}" y="{top + 16}" text-anchor="end">{_safe(_short(name))}</text>'
            f'<path class="spread" d="M{low:.1f} {top + 12}H{high:.1f}"/>'
            f'<rect class="c0" x="{first:.1f}" y="{top + 5}" height="14" '
            f'width="{max(third - first, 2):.1f}"/>'
            f'<path class="middle" d="M{middle:.1f} {top + 4}v16"/></g>'
        )
    return _svg(height, parts)


def draw_map(series: Sequence[Series], x: Axis, y: Axis, *, height: int = 640) -> str:
    """Draw named clouds of points: a colour and a shape each, the name at the middle of each."""
    frame = _Frame(left=10, right=10, top=10, bottom=10, height=height, x=x, y=y)
    parts: list[str] = []
    for number, one in enumerate(series):
        mark = f"c{number % N_COLOURS}"
        dots = "".join(
            draw_shape(number, frame.across(p.x), frame.up(p.y), p.size, mark, p.title, id_=p.id)
            for p in one.points
        )
        parts.append(f'<g class="cloud" data-name="{_safe(one.name)}">{dots}</g>')
    # Names come last, above all points; each where half of its points lie to every side.
    for one in series:
        across = sorted(frame.across(p.x) for p in one.points)
        up = sorted(frame.up(p.y) for p in one.points)
        a, b = across[len(across) // 2], up[len(up) // 2]
        anchor = "start" if a < _WIDTH * 0.1 else "end" if a > _WIDTH * 0.9 else "middle"
        parts.append(
            f'<text class="name" data-name="{_safe(one.name)}" x="{a:.1f}" y="{b - 8:.1f}" '
            f'text-anchor="{anchor}">{_safe(_short(one.name))}</text>'
        )
    return _svg(height, parts)


def draw_key(names: Sequence[tuple[str, int]]) -> str:
    """Draw the key of a map: a button for each name, with its mark and the number of its points."""
    buttons = [
        f'<button type="button" data-name="{_safe(name)}"><svg width="14" height="14" '
        f'viewBox="-7 -7 14 14">{draw_shape(number, 0, 0, 5, f"c{number % N_COLOURS}", name)}</svg>'
        f"{_safe(_short(name))} <small>{n}</small></button>"
        for number, (name, n) in enumerate(names)
    ]
    return f'<div class="key">{"".join(buttons)}</div>'


def draw_shape(
    number: int, x: float, y: float, size: float, mark: str, title: str, *, id_: str = ""
) -> str:
    """Draw one of six shapes around a place, with a text under the pointer."""
    # Names of one colour differ in shape: the shapes move on by one at every turn of the colours.
    draw = _SHAPES[(number + number // N_COLOURS) % len(_SHAPES)]
    named = f' data-id="{_safe(id_)}"' if id_ else ""
    return (
        f'<path class="point {mark}"{named} d="{draw(x, y, size)}">'
        f"<title>{_safe(title)}</title></path>"
    )


def _circle(x: float, y: float, r: float) -> str:
    arc = f"a{r:.1f} {r:.1f} 0 1 0"
    return f"M{x - r:.1f} {y:.1f}{arc} {2 * r:.1f} 0{arc} {-2 * r:.1f} 0z"


def _square(x: float, y: float, r: float) -> str:
    s = 0.9 * r
    return f"M{x - s:.1f} {y - s:.1f}h{2 * s:.1f}v{2 * s:.1f}h{-2 * s:.1f}z"


def _triangle(x: float, y: float, r: float) -> str:
    return f"M{x:.1f} {y - 1.2 * r:.1f}l{1.15 * r:.1f} {2 * r:.1f}h{-2.3 * r:.1f}z"


def _diamond(x: float, y: float, r: float) -> str:
    s = 1.25 * r
    return f"M{x:.1f} {y - s:.1f}l{s:.1f} {s:.1f}l{-s:.1f} {s:.1f}l{-s:.1f} {-s:.1f}z"


def _plus(x: float, y: float, r: float) -> str:
    s, w = 1.2 * r, 0.4 * r
    arm = s - w
    return (
        f"M{x - w:.1f} {y - s:.1f}h{2 * w:.1f}v{arm:.1f}h{arm:.1f}v{2 * w:.1f}h{-arm:.1f}v{arm:.1f}"
        f"h{-2 * w:.1f}v{-arm:.1f}h{-arm:.1f}v{-2 * w:.1f}h{arm:.1f}z"
    )


def _upside_down(x: float, y: float, r: float) -> str:
    return f"M{x:.1f} {y + 1.2 * r:.1f}l{1.15 * r:.1f} {-2 * r:.1f}h{-2.3 * r:.1f}z"


_SHAPES: tuple[Callable[[float, float, float], str], ...] = (
    *(_circle, _square, _triangle),
    *(_diamond, _plus, _upside_down),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The rectangle in which marks lie, in pixels, with its two axes."""

    left: float
    right: float
    top: float
    bottom: float
    height: float
    x: Axis
    y: Axis

    def across(self, value: float) -> float:
        return self.left + self.x.place(value) * (_WIDTH - self.left - self.right)

    def up(self, value: float) -> float:
        return (
            self.height - self.bottom - self.y.place(value) * (self.height - self.top - self.bottom)
        )

    def x_axis(self) -> str:
        low = self.height - self.bottom
        ticks = "".join(
            f'<path class="grid" d="M{self.across(value):.1f} {self.top}V{low}"/>'
            f'<text x="{self.across(value):.1f}" y="{low + 16}" text-anchor="middle">{text}</text>'
            for value, text in self.x.ticks()
        )
        middle = (self.left + _WIDTH - self.right) / 2
        title = f'<text class="title" x="{middle}" y="{self.height - 6}" text-anchor="middle">'
        return f"{ticks}{title}{_safe(self.x.title)}</text>"

    def y_axis(self) -> str:
        ticks = "".join(
            f'<path class="grid" d="M{self.left} {self.up(at):.1f}H{_WIDTH - self.right}"/>'
            f'<text x="{self.left - 6}" y="{self.up(at) + 4:.1f}" text-anchor="end">{text}</text>'
            for at, text in self.y.ticks()
        )
        middle = (self.top + self.height - self.bottom) / 2
        return (
            f'{ticks}<text class="title" transform="translate(14 {middle}) rotate(-90)" '
            f'text-anchor="middle">{_safe(self.y.title)}</text>'
        )


def _svg(height: float, parts: Sequence[str], *, width: float = _WIDTH) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _names_width(names: Sequence[str]) -> int:
    return round(max((len(_short(name)) for name in names), default=0) * _CHARACTER) + 20


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
