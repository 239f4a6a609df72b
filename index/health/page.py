"""Health page: the result of a health check as one HTML file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from earful.errors import IndexFolderError
from earful.html import Axis, Page
from earful.index.health.check import Health, segments
from earful.index.health.findings import Finding, counted_kind
from earful.index.index import Index
from earful.wording import counted

_MOST_OF_A_KIND = 15
_MOST_NEIGHBOURS = 3
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
    by_kind: dict[str, list[Finding]] = {}
    for one in health.findings:
        by_kind.setdefault(one.kind, []).append(one)
    shown = {kind: found[:_MOST_OF_A_KIND] for kind, found in by_kind.items()}
    place_of = segments(index)
    for one in itertools.chain.from_iterable(shown.values()):
        for id_ in _played(one):
            page.add_sound(id_, *place_of[id_])
    try:
        page.write(
            path,
            "health_page.html",
            health=health,
            headline=_headline(health),
            caveat=doubt(health),
            shown=shown,
            played=_played,
            counted_kind=counted_kind,
            labels_of={
                one.id: " + ".join(one.labels) or ("" if one.answer else one.said)
                for one in index.vectors().exemplars
            },
            denied=any(one.n_denied for one in health.labels),
            durations=_durations(health),
            hubs=_hubs(health),
        )
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
        f"{health.accuracy:.1%} of {health.n_asked:,} right; {findings}"
    )


def doubt(health: Health) -> str:
    """Name what a reader may be wrong about; empty for nothing.

    Suspected labels may be the embedder's fault, and what needs the recordings was not looked for
    where they were not read.
    """
    doubts: list[str] = []
    if health.n_of.get("label") and health.accuracy < _TRUSTED:
        doubts.append(
            f"neighbours answer {health.accuracy:.1%} right here, so that many of the suspected "
            "labels will be the embedder's mistakes"
        )
    if not health.audio_read:
        doubts.append(
            "no recording was read, so near-duplicates, silence, clipping and durations are not "
            "known"
        )
    return "; ".join(doubts)


def _headline(health: Health) -> str:
    """Return what to do first, and the number that says how urgent it is."""
    asked = f"neighbours answer {health.accuracy:.1%} of {counted(health.n_asked, 'row')} right"
    if not health.n_asked:
        asked = f"{counted(health.n, 'row')}, none of which can be asked about"
    if not health.findings:
        return f"Nothing to mend: {asked}"
    kind = health.findings[0].kind
    return f"Begin with {counted_kind(health.n_of[kind], kind)}: {asked}"


def _played(finding: Finding) -> list[str]:
    """Return the ids of the recordings to listen to: the finding's own, then its neighbours."""
    if finding.kind == "unreadable":
        return []
    return [*finding.ids[:2], *finding.neighbours[:_MOST_NEIGHBOURS]]


def _durations(health: Health) -> dict[str, tuple[list[float], list[float]]]:
    """Return each label's least, quartiles and greatest seconds, and their places in percent."""
    kept = {
        label: np.quantile([value for value in seconds if value > 0], [0, 0.25, 0.5, 0.75, 1])
        for label, seconds in health.durations.items()
        if any(value > 0 for value in seconds)
    }
    ends = [end for cuts in kept.values() for end in (cuts[0], cuts[-1])]
    axis = Axis(start=0, end=100, low=min(ends, default=1), high=max(ends, default=1), is_log=True)
    return {label: (cuts.tolist(), [*map(axis.at, cuts)]) for label, cuts in kept.items()}


def _hubs(health: Health) -> list[tuple[str, int]]:
    """Return how many rows are a neighbour how often, in at most thirty steps."""
    most = int(health.occurrence.max())
    edges = np.unique(np.linspace(0, most + 1, min(most + 1, _MOST_HUB_BARS) + 1).astype(int))
    counts = np.histogram(health.occurrence, bins=edges)[0].tolist()
    return [
        (f"{low:,}" if high - low == 1 else f"{low:,} to {high - 1:,}", n)
        for (low, high), n in zip(itertools.pairwise(edges.tolist()), counts, strict=True)
        if n
    ]
