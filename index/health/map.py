"""Map of an index: its vectors in two dimensions, as a page to look at and to listen to."""

from __future__ import annotations

import itertools
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError, MissingExtraError
from earful.html import Page
from earful.index.corpus import Exemplar
from earful.index.index import Index

Method = Literal["pca", "umap"]
ColorBy = Literal["label", "group", "split"]

METHODS: tuple[Method, ...] = get_args(Method)
COLOR_BY: tuple[ColorBy, ...] = get_args(ColorBy)

_MOST_POINTS = 20_000
# As many pairs of a colour and a shape can be told apart.
_MOST_COLOURS = 60
_WIDTH, _HEIGHT = 1000, 700
_MARGIN = 14
# Pixels of a name on the map: of one character, of a line; longer names are cut.
_CHARACTER = 7.2
_NAME_HEIGHT = 15
_LONGEST = 30
_SEED = 0


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
        color_by: What the colours stand for; beyond sixty values the rarer ones share one.
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
    lowest, highest = found.points.min(axis=0), found.points.max(axis=0)
    margins = np.array([_MARGIN, _MARGIN])
    scale = (np.array([_WIDTH, _HEIGHT]) - 2 * margins) / np.maximum(highest - lowest, 1e-12)
    # The second axis points upwards, and pixels count downwards.
    places = (found.points - lowest) * scale + margins
    places[:, 1] = _HEIGHT - places[:, 1]
    named: dict[str, list[_Mark]] = {}
    for place, id_ in enumerate(found.ids):
        exemplar = rows.exemplars[row_of[id_]]
        value = {
            "label": " + ".join(exemplar.labels) or exemplar.said[:40] or "(none)",
            "group": exemplar.group or "(none)",
            "split": exemplar.split or "(none)",
        }[color_by]
        x, y = places[place].round(1).tolist()
        named.setdefault(value, []).append(_Mark(id_, x, y, _title(exemplar)))
        if progress is not None:
            progress(place, len(found.ids))
        page.add_sound(id_, rows.paths[row_of[id_]], exemplar.start_s, exemplar.end_s)
    frequent = sorted(named, key=lambda value: (-len(named[value]), value))
    clouds = {value: named[value] for value in sorted(frequent[:_MOST_COLOURS])}
    if others := [mark for value in frequent[_MOST_COLOURS:] for mark in named[value]]:
        clouds[f"(the other {len(frequent) - _MOST_COLOURS})"] = others
    try:
        page.write(
            path,
            "map_page.html",
            found=found,
            color_by=color_by,
            clouds=clouds,
            names=_place_names(clouds),
            longest=_LONGEST,
            size=(_WIDTH, _HEIGHT),
        )
    except OSError as error:
        raise IndexFolderError(f"{path}: cannot be written ({error.strerror})") from error


class _Mark(NamedTuple):
    """One row on the map: its id, its place in pixels, and what it says under the pointer."""

    id: str
    x: float
    y: float
    title: str


class _Name(NamedTuple):
    """A name on the map: the middle of its points, and where its text stands, in pixels."""

    name: str
    middle: tuple[float, float]
    x: float
    y: float
    is_moved: bool


def _title(exemplar: Exemplar) -> str:
    labels = " + ".join(exemplar.labels) or exemplar.said or "(no label)"
    file = os.fspath(exemplar.audio)
    lines = [labels, exemplar.id, f"group {exemplar.group}" if exemplar.group else ""]
    return "\n".join(filter(None, [*lines, file if file != exemplar.id else ""]))


def _place_names(clouds: Mapping[str, Sequence[_Mark]]) -> list[_Name]:
    """Place each name at the median of its points, or near it where others stand already.

    The largest come first; one that finds no room nearby is left to the key.
    """
    steps = itertools.product(range(-180, 181, 30), range(-120, 121, _NAME_HEIGHT))
    offsets = sorted(steps, key=lambda step: (math.hypot(*step), step))
    taken: list[tuple[float, float, float]] = []
    placed: list[_Name] = []
    for name, marks in sorted(clouds.items(), key=lambda one: -len(one[1])):
        middle = (statistics.median(m.x for m in marks), statistics.median(m.y for m in marks))
        half = _CHARACTER / 2 * min(len(name), _LONGEST)
        for across, down in offsets:
            x, y = middle[0] + across, middle[1] + down
            inside = half <= x <= _WIDTH - half and _NAME_HEIGHT <= y <= _HEIGHT - 4
            if inside and all(
                abs(x - a) > half + other + 4 or abs(y - b) >= _NAME_HEIGHT for a, b, other in taken
            ):
                taken.append((x, y, half))
                is_moved = abs(across) + abs(down) > _NAME_HEIGHT
                placed.append(_Name(name, middle, round(x, 1), round(y, 1), is_moved))
                break
    return placed


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
