"""Health page: the result of a health check as one HTML file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earful.errors import IndexFolderError
from earful.html import Cell, Page
from earful.index.health.check import Health, segments
from earful.index.health.findings import Finding
from earful.index.index import Index

_MOST_SHOWN = 60
_MOST_NEIGHBOURS = 3
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
    page.text(summary(health), is_verdict=True)
    page.items([f"{n} {kind}" for kind, n in health.n_of.items()])
    if caveat := doubt(health):
        page.text(f"Mind: {caveat}.")
    _labels(page, health)
    _neighbourhood(page, health)
    if health.durations:
        _durations(page, health)
    _findings(page, health, index)
    try:
        page.write(path)
    except OSError as error:
        raise IndexFolderError(f"{path}: cannot be written ({error.strerror})") from error


def summary(health: Health) -> str:
    """Summarise the health of an index in one line."""
    n = sum(health.n_of.values())
    if not health.n_asked:
        return f"{health.n} rows, none of which can be asked about; {n} findings"
    return (
        f"{health.n} rows; asked about each as if it were new, {health.limits.k} neighbours answer "
        f"{health.accuracy:.1%} of {health.n_asked} right; {n} findings"
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


def _labels(page: Page, health: Health) -> None:
    if not health.labels:
        return
    page.section("Labels")
    rows: list[list[str | float | Cell]] = [
        [
            label.label,
            label.n,
            label.n_groups,
            "" if np.isnan(label.accuracy) else f"{label.accuracy:.3f}",
            ", ".join(f"{other} ({n})" for other, n in label.taken_for),
        ]
        for label in health.labels
    ]
    columns = ["label", "rows", "groups", "answered right", "taken for"]
    page.table(columns, rows, name="table-labels")
    shown = [label for label in health.labels if not np.isnan(label.accuracy)][:_MOST_SHOWN]
    page.plot(
        "plot-labels",
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [label.label for label in shown],
                "x": [round(label.accuracy, 4) for label in shown],
            }
        ],
        {
            "xaxis": {"title": {"text": "answered right by others"}, "range": [0, 1]},
            "yaxis": {"automargin": True, "type": "category"},
        },
        f"The {len(shown)} labels answered worst.",
        height=90 + 20 * len(shown),
    )


def _neighbourhood(page: Page, health: Health) -> None:
    page.section("Hubs")
    page.plot(
        "plot-hubs",
        [{"type": "histogram", "x": health.occurrence.tolist()}],
        {
            "xaxis": {"title": {"text": "how often a row is a neighbour"}},
            "yaxis": {"title": {"text": "rows"}, "type": "log"},
        },
        f"Skewness {health.skewness:.2f}; above 1 a few rows are everybody's neighbours.",
    )


def _durations(page: Page, health: Health) -> None:
    page.section("Durations")
    page.plot(
        "plot-durations",
        [
            {
                "type": "box",
                "name": label,
                "x": [round(x, 3) for x in seconds],
                "boxpoints": "outliers",
            }
            for label, seconds in list(health.durations.items())[:_MOST_SHOWN]
        ],
        {
            "xaxis": {"title": {"text": "seconds"}, "type": "log"},
            "yaxis": {"automargin": True, "type": "category"},
            "showlegend": False,
        },
        height=90 + 22 * min(len(health.durations), _MOST_SHOWN),
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
            one.severity,
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
        page.text(f"{len(health.findings) - _MOST_SHOWN} more are in the JSON.")


def _players(
    page: Page, finding: Finding, segment_of: dict[str, tuple[Path, float, float | None]]
) -> Cell:
    if finding.kind == "unreadable":
        return Cell("")
    ids = [*finding.ids[:2], *finding.neighbours[:_MOST_NEIGHBOURS]]
    return Cell("".join(f"<div>{page.player(*segment_of[id_]).markup}</div>" for id_ in ids))
