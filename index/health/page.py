"""Health page: the result of a health check as one HTML file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from earful.errors import IndexFolderError
from earful.html import (
    Axis,
    Bar,
    Cell,
    Page,
    draw_bars,
    draw_boxes,
)
from earful.index.health.check import Health, segments
from earful.index.health.findings import Finding, counted_kind
from earful.index.index import Index
from earful.wording import counted

_MOST_SHOWN = 60
_MOST_NEIGHBOURS = 3
_MOST_FIRST = 5
_SEVERITIES = ((0.7, "high"), (0.4, "medium"), (0.0, "low"))
_MOST_HUB_BARS = 30
# Below this share of correct answers, a vote against a label means little.
_TRUSTED = 0.8


def write_health_page(health: Health, index: Index, path: Path) -> None:
    """Write the result of a health check as a page.

    Args:
        health: From ``check_health``.
        index: The index that was checked, for the players.
        path: HTML file.

    Raises:
        IndexFolderError: The page cannot be written.
    """
    page = Page(f"Health of {index.path.name}")
    page.verdict(summary(health), [counted_kind(n, kind) for kind, n in health.n_of.items()])
    if caveat := doubt(health):
        page.text(f"Mind: {caveat}.")
    _first(page, health)
    _findings(page, health, index)
    _labels(page, health)
    _neighbourhood(page, health)
    if health.durations:
        _durations(page, health)
    try:
        page.write(path)
    except OSError as error:
        raise IndexFolderError(f"{path}: cannot be written ({error.strerror})") from error


def summary(health: Health) -> str:
    """Summarise the health of an index in one line."""
    findings = counted(sum(health.n_of.values()), "finding")
    rows = counted(health.n, "row")
    if not health.n_asked:
        return f"{rows}, none of which can be asked about; {findings}"
    return (
        f"{rows}; asked about each as if it were new, "
        f"{counted(health.limits.k, 'neighbour answers', 'neighbours answer')} "
        f"{health.accuracy:.1%} of {health.n_asked} right; {findings}"
    )


def doubt(health: Health) -> str:
    """Say what a reader may be wrong about; empty for nothing.

    Suspected labels may be the embedder's fault, and what needs the recordings was not looked for
    where they were not read.
    """
    doubts: list[str] = []
    if health.n_of.get("label") and health.accuracy < _TRUSTED:
        doubts.append(
            f"neighbours answer {health.accuracy:.0%} right here, so that many of the suspected "
            "labels will be the embedder's mistakes"
        )
    if not health.audio_read:
        doubts.append(
            "no recording was read, so near-duplicates, silence, clipping and durations are not "
            "known"
        )
    return "; ".join(doubts)


def _first(page: Page, health: Health) -> None:
    """Say what to do first: the worst finding of each kind, with the step that mends it."""
    worst: dict[str, Finding] = {}
    for finding in health.findings:
        worst.setdefault(finding.kind, finding)
    steps = [
        f"{', '.join(one.ids[:3])}: {one.what}. Next: {one.next}."
        + (f" Then {more}." if (more := _others(health, one)) else "")
        for one in list(worst.values())[:_MOST_FIRST]
    ]
    if steps:
        page.verdict("Do this first", steps, is_urgent=True)


def _others(health: Health, finding: Finding) -> str:
    n = health.n_of[finding.kind] - 1
    return f"{n:,} more like it" if n else ""


def _labels(page: Page, health: Health) -> None:
    if not health.labels:
        return
    page.section("Labels")
    rows: list[list[str | float | Cell]] = [
        [
            label.label,
            label.n,
            label.n_groups,
            Cell("", "-1") if np.isnan(label.accuracy) else Cell.share(label.accuracy),
            ", ".join(f"{other} ({n})" for other, n in label.taken_for),
        ]
        for label in health.labels
    ]
    columns = ["label", "rows", "groups", "answered right", "taken for"]
    page.table(columns, rows, name="table-labels")
    shown = [label for label in health.labels if not np.isnan(label.accuracy)][:_MOST_SHOWN]
    page.chart(
        "plot-labels",
        draw_bars(
            [
                Bar(
                    name=label.label,
                    value=label.accuracy,
                    note=f"of {counted(label.n, 'row')}",
                )
                for label in shown
            ],
            Axis(title="answered right by others", is_share=True),
        ),
        f"{counted(len(shown), 'label')}, the worst first.",
    )


def _neighbourhood(page: Page, health: Health) -> None:
    page.section("Hubs")
    most = int(health.occurrence.max())
    edges = np.unique(np.linspace(0, most + 1, min(most + 1, _MOST_HUB_BARS) + 1).astype(int))
    counts = np.histogram(health.occurrence, bins=edges)[0]
    names = [
        f"{low}" if high - low == 1 else f"{low} to {high - 1}"
        for low, high in itertools.pairwise(edges.tolist())
    ]
    bars = [
        Bar(name=f"{name} times", value=float(n))
        for name, n in zip(names, counts.tolist(), strict=True)
        if n
    ]
    page.chart(
        "plot-hubs",
        draw_bars(bars, Axis(title="rows", high=float(counts.max()))),
        "How often a row is among the nearest of another. "
        f"Skewness {health.skewness:.2f}; above 1 a few rows are everybody's neighbours.",
    )


def _durations(page: Page, health: Health) -> None:
    page.section("Durations")
    boxes = [
        (label, kept)
        for label, seconds in sorted(health.durations.items())
        if (kept := [value for value in seconds if value > 0])
    ][:_MOST_SHOWN]
    if not boxes:
        page.text("No recording lasts.")
        return
    everything = [value for _, seconds in boxes for value in seconds]
    axis = Axis(title="seconds", low=min(everything) * 0.9, high=max(everything) * 1.1, is_log=True)
    page.chart(
        "plot-durations",
        draw_boxes(boxes, axis),
        "The middle half of each label's recordings; the line is from the shortest to the longest.",
    )


def _findings(page: Page, health: Health, index: Index) -> None:
    page.section("Findings")
    if not health.findings:
        page.text("There is none.")
        return
    segment_of = segments(index)
    rows: list[list[str | float | Cell]] = [
        [
            one.kind,
            Cell(_severity(one), repr(one.severity)),
            ", ".join(one.ids[:3]) + (" …" if len(one.ids) > 3 else ""),
            one.what,
            one.next,
            _players(page, one, segment_of),
        ]
        for one in health.findings[:_MOST_SHOWN]
    ]
    columns = ["kind", "severity", "rows", "found", "what to do", "listen: itself, then others"]
    page.table(columns, rows, name="table-findings")
    if len(health.findings) > _MOST_SHOWN:
        more = counted(sum(health.n_of.values()) - _MOST_SHOWN, "finding is", "findings are")
        page.text(f"{more} not shown here; `earful index health --json` lists them.")


def _severity(finding: Finding) -> str:
    return next(word for least, word in _SEVERITIES if finding.severity >= least)


def _players(
    page: Page, finding: Finding, segment_of: dict[str, tuple[Path, float, float | None]]
) -> Cell:
    if finding.kind == "unreadable":
        return Cell("")
    ids = [*finding.ids[:2], *finding.neighbours[:_MOST_NEIGHBOURS]]
    return Cell("".join(f"<div>{page.player(*segment_of[id_]).markup}</div>" for id_ in ids))
