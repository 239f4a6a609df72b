"""Map of an index: its vectors in two dimensions, as a page to look at and to listen to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError, MissingExtraError
from earful.html import Axis, Page, Point, Series, draw_key, draw_map
from earful.index.index import Index
from earful.wording import counted

Method = Literal["pca", "umap"]
ColorBy = Literal["label", "group", "split"]

METHODS: tuple[Method, ...] = get_args(Method)
COLOR_BY: tuple[ColorBy, ...] = get_args(ColorBy)

_MOST_POINTS = 20_000
# More are drawn by plotly, which takes four megabytes and the graphics card.
_MOST_DRAWN = 2_000
_MOST_COLOURS = 40
_SEED = 0
_HOVER = "%{customdata[1]}<br>group %{customdata[2]}<br>%{customdata[3]}<extra></extra>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexMap:
    """Positions of an index's rows in a plane.

    Attributes:
        ids: Ids of the rows that are shown.
        points: Their positions, float64, shape ``(n, 2)``.
        method: The method that computed them.
        explained: Share of the variance that each axis of ``pca`` keeps; empty for ``umap``.
        n_left_out: Rows that are not shown because there are too many.
    """

    ids: tuple[str, ...]
    points: NDArray[np.float64]
    method: Method
    explained: tuple[float, ...]
    n_left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "method": self.method,
            "explained": [round(share, 6) for share in self.explained],
            "n_left_out": self.n_left_out,
            "points": [
                {"id": id_, "x": round(float(x), 6), "y": round(float(y), 6)}
                for id_, (x, y) in zip(self.ids, self.points, strict=True)
            ],
        }


def map_index(index: Index, *, method: Method = "pca") -> IndexMap:
    """Compute positions of an index's rows in a plane.

    ``pca`` keeps the two directions of the greatest variance: distances are true, but most
    of the variance is lost. ``umap`` keeps neighbourhoods (McInnes et al., arXiv 1802.03426):
    distances between clusters and their sizes mean nothing.

    Raises:
        MissingExtraError: ``umap`` is not installed.
        ValueError: The method is unknown, or there are fewer than three rows.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected {' or '.join(METHODS)}")
    rows = index.vectors()
    n = len(rows)
    if n < 3:
        raise ValueError(f"{index.path} holds {n} rows; a map needs three or more")
    shown = np.arange(n)
    if n > _MOST_POINTS:
        shown = np.sort(np.random.default_rng(_SEED).permutation(n)[:_MOST_POINTS])
    vectors = rows.vectors[shown].astype(np.float64)
    explained: tuple[float, ...] = ()
    if method == "pca":
        points, explained = _pca(vectors)
    else:
        points = _umap(vectors)
    return IndexMap(
        ids=tuple(rows.exemplars[row].id for row in shown.tolist()),
        points=points,
        method=method,
        explained=explained,
        n_left_out=n - len(shown),
    )


def write_map_page(
    found: IndexMap,
    index: Index,
    path: Path,
    *,
    color_by: ColorBy = "label",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the map as a page: hover to read, click to listen.

    Recordings are embedded in the file up to its budget; the others are named only.

    Args:
        found: From ``map_index``.
        index: The index it shows.
        path: HTML file.
        color_by: What the colours stand for; beyond forty values the rarer ones share one.
        progress: Called with the number of recordings read and the number of all.

    Raises:
        IndexFolderError: The page cannot be written.
        ValueError: ``color_by`` is unknown.
    """
    if color_by not in COLOR_BY:
        raise ValueError(f"color_by={color_by!r}: expected {', '.join(COLOR_BY)}")
    rows = index.vectors()
    row_of = {exemplar.id: row for row, exemplar in enumerate(rows.exemplars)}
    page = Page(f"Map of {index.path.name}")
    # What the map shows, and how far it can be trusted.
    shown = counted(len(found.ids), "row")
    if found.method == "pca":
        shares = " and ".join(f"{share:.0%}" for share in found.explained)
        page.text(
            f"{shown} by the two directions of greatest variance, which keep "
            f"{shares} of it. Near on the map may still be far apart."
        )
    else:
        page.text(
            f"{shown} by UMAP. Neighbours are kept; distances between clusters and "
            "their sizes mean nothing."
        )
    if found.n_left_out:
        left_out = counted(found.n_left_out, "row is", "rows are")
        page.text(f"{left_out} left out, drawn at random.")
    # The points by colour, and a player for each.
    players: dict[str, str] = {}
    named: dict[str, list[int]] = {}
    for place, id_ in enumerate(found.ids):
        exemplar = rows.exemplars[row_of[id_]]
        value = {
            "label": " + ".join(exemplar.labels) or exemplar.answer[:40] or "(none)",
            "group": exemplar.group or "(none)",
            "split": exemplar.split or "(none)",
        }[color_by]
        named.setdefault(value, []).append(place)
        if progress is not None:
            progress(place, len(found.ids))
        source = page.audio_source(rows.paths[row_of[id_]], exemplar.start_s, exemplar.end_s)
        if source:
            players[id_] = source
    frequent = sorted(named, key=lambda value: (-len(named[value]), value))
    clouds = {value: named[value] for value in sorted(frequent[:_MOST_COLOURS])}
    if others := [place for value in frequent[_MOST_COLOURS:] for place in named[value]]:
        clouds[f"(the other {len(frequent) - _MOST_COLOURS})"] = sorted(others)
    if len(found.ids) <= _MOST_DRAWN:
        _draw(page, found, index, clouds, players)
    else:
        _plot(page, found, index, clouds, players)
    try:
        page.write(path)
    except OSError as error:
        raise IndexFolderError(f"{path}: cannot be written ({error.strerror})") from error


def _draw(
    page: Page,
    found: IndexMap,
    index: Index,
    clouds: dict[str, list[int]],
    players: dict[str, str],
) -> None:
    """Draw the points into the page, each value with its colour, its shape and its name."""
    titles = _titles(found, index)
    series = [
        Series(
            name=name,
            points=[
                Point(
                    x=float(found.points[place, 0]),
                    y=float(found.points[place, 1]),
                    title=titles[place],
                    id=found.ids[place],
                )
                for place in places
            ],
        )
        for name, places in clouds.items()
    ]
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    x, y = (Axis(low=float(low[axis]), high=float(high[axis]), is_silent=True) for axis in range(2))
    key = draw_key([(name, len(places)) for name, places in clouds.items()])
    page.chart(
        "plot-map",
        key + draw_map(series, x, y),
        "Point at a mark to read it, click it to listen; click a name above to hide its marks.",
        players=players,
    )


def _titles(found: IndexMap, index: Index) -> list[str]:
    """Return what each point says: its labels, id, group and file."""
    rows = index.vectors()
    row_of = {exemplar.id: row for row, exemplar in enumerate(rows.exemplars)}
    titles: list[str] = []
    for id_ in found.ids:
        exemplar = rows.exemplars[row_of[id_]]
        labels = " + ".join(exemplar.labels) or exemplar.answer or "(no label)"
        file = os.fspath(exemplar.audio)
        lines = [labels, id_, f"group {exemplar.group}" if exemplar.group else ""]
        titles.append("\n".join(filter(None, [*lines, file if file != id_ else ""])))
    return titles


def _plot(
    page: Page,
    found: IndexMap,
    index: Index,
    clouds: dict[str, list[int]],
    players: dict[str, str],
) -> None:
    """Let plotly draw very many points."""
    page.plot(
        "plot-map",
        [_trace(found, index, name, places) for name, places in clouds.items()],
        {
            "xaxis": {"zeroline": False},
            "yaxis": {"zeroline": False, "scaleanchor": "x"},
            "hovermode": "closest",
            "legend": {"itemsizing": "constant"},
        },
        "Hover to read, click a point to listen, click the legend to hide.",
        height=720,
        players=players,
    )


def _trace(found: IndexMap, index: Index, name: str, places: list[int]) -> dict[str, Any]:
    rows = index.vectors()
    row_of = {exemplar.id: row for row, exemplar in enumerate(rows.exemplars)}
    texts: list[list[str]] = []
    for place in places:
        exemplar = rows.exemplars[row_of[found.ids[place]]]
        labels = " + ".join(exemplar.labels) or exemplar.answer
        texts.append([exemplar.id, labels, exemplar.group, os.fspath(exemplar.audio)])
    return {
        "type": "scattergl",
        "mode": "markers",
        "name": _plain(name),
        "x": [round(float(found.points[place, 0]), 5) for place in places],
        "y": [round(float(found.points[place, 1]), 5) for place in places],
        "customdata": [[id_, *map(_plain, others)] for id_, *others in texts],
        "hovertemplate": _HOVER,
        "marker": {"size": 7, "opacity": 0.8},
    }


def _plain(text: str) -> str:
    """Keep plotly from reading a label as markup: it interprets a few tags of its own."""
    return text.replace("<", "\u2039").replace(">", "\u203a")


def _pca(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    centred = vectors - vectors.mean(axis=0)
    # This square is dim by dim, however many rows there are, and has the same directions.
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    # The sign of an axis is arbitrary: make its largest component positive.
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, [0, 1]])
    total = max(float(values.sum()), 1e-12)
    return centred @ axes, tuple(float(value) / total for value in values[::-1][:2])


def _umap(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        import umap
    except ImportError as error:
        raise MissingExtraError(
            "method 'umap' needs the extra map: pip install 'earful[map]'; or take pca"
        ) from error
    neighbours = min(15, len(vectors) - 1)
    mapper = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=_SEED, n_jobs=1)
    return np.asarray(mapper.fit_transform(vectors), dtype=np.float64)
