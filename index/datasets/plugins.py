"""Plug-ins: the few steps of a declaration that are code.

They aggregate the rows of several annotators and read odd formats. A plug-in makes a row of a
row, or of several that share some columns; a row that cannot be read it leaves to its caller.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset
from earful.index.datasets.readers import OnFault, PlacedRow, RawRow, read_text
from earful.index.datasets.row_faults import RowError
from earful.index.datasets.templates import cell, fill
from earful.wording import unknown_name

_PLACEHOLDER = re.compile(r"<[^<>]*>")

RowPlugin = Callable[[str, RawRow, Mapping[str, Any], Path], RawRow]
"""Makes a row of a row; its place, the options and the data set's folder are given."""


@dataclass(frozen=True, slots=True)
class GroupPlugin:
    """Plug-in for the rows that share the columns named by the option ``by``.

    Attributes:
        check: Makes one row of a group ready, or refuses it; the others still count.
        join: Makes a row of a group; ``None`` leaves the group out.
    """

    check: Callable[[str, RawRow, Mapping[str, Any]], RawRow]
    join: Callable[[list[RawRow], Mapping[str, Any]], RawRow | None]


def run_plugin(
    dataset: Dataset,
    name: str,
    rows: Iterator[PlacedRow],
    options: Mapping[str, Any],
    root: Path,
    on_fault: OnFault,
) -> Iterator[PlacedRow]:
    """Apply a plug-in to rows.

    Raises:
        CorpusError: There is no plug-in of that name.
    """
    plugin = _PLUGINS.get(name)
    if plugin is None:
        fault = unknown_name("plug-in", name, tuple(_PLUGINS))
        raise CorpusError(f"dataset {dataset.name!r}: {fault}")
    if isinstance(plugin, GroupPlugin):
        return _grouped(plugin, rows, options, on_fault)
    return each_made(rows, lambda where, row: [plugin(where, row, options, root)], on_fault)


def each_made(
    rows: Iterable[PlacedRow],
    make: Callable[[str, RawRow], Iterable[RawRow]],
    on_fault: OnFault,
) -> Iterator[PlacedRow]:
    """Yield what is made of each row, any number of rows; one that cannot be read is a fault."""
    for where, row in rows:
        try:
            made = list(make(where, row))
        except RowError as error:
            on_fault(error)
            continue
        for one in made:
            yield where, one


def _grouped(
    plugin: GroupPlugin, rows: Iterator[PlacedRow], options: Mapping[str, Any], on_fault: OnFault
) -> Iterator[PlacedRow]:
    """Group rows by columns; the place of a group is that of its first row."""
    groups: dict[tuple[Any, ...], tuple[str, list[RawRow]]] = {}
    for where, row in rows:
        try:
            key = tuple(cell(row, name, where) for name in options["by"])
            ready = plugin.check(where, row, options)
        except RowError as error:
            on_fault(error)
            continue
        groups.setdefault(key, (where, []))[1].append(ready)
    for where, group in groups.values():
        made = plugin.join(group, options)
        if made is not None:
            yield where, made


# --- several rows become one ---------------------------------------------------------------


def _check_vote(where: str, row: RawRow, options: Mapping[str, Any]) -> RawRow:
    return {**row, options["column"]: str(cell(row, options["column"], where)).strip()}


def _vote(group: list[RawRow], options: Mapping[str, Any]) -> RawRow:
    """Aggregate the rows of several annotators by majority.

    ``by``: columns that name what was annotated; ``column``: each annotator's answer. The
    row keeps the most frequent answer, the first among equals; ``votes`` are all answers,
    ``agreement`` is the share of the kept one, ``n_votes`` their number.
    """
    answered = options["column"]
    votes = [row[answered] for row in group]
    counts = Counter(vote.lower() for vote in votes)
    most = counts.most_common(1)[0][1]
    answer = next(vote for vote in votes if counts[vote.lower()] == most)
    return {
        **group[0],
        answered: answer,
        "votes": votes,
        "agreement": most / len(votes),
        "n_votes": len(votes),
    }


def _check_presence(where: str, row: RawRow, options: Mapping[str, Any]) -> RawRow:
    annotator = str(cell(row, options["annotator"], where)).strip()
    cell(row, options["split"], where)
    if not re.fullmatch(r"[+-]?\d+", annotator):
        name = options["annotator"]
        raise RowError(where, f"{name} is {annotator!r}; expected a whole number")
    return row


def _presence(group: list[RawRow], options: Mapping[str, Any]) -> RawRow | None:
    """Read labels from one column a label, whose cells mean present, absent or not judged.

    ``by``: columns that name the recording; ``pattern``: matches the columns, its group is
    the label; ``annotator``: column that has the value ``truth`` in agreed rows; ``agreed``:
    splits in which only agreed rows count, by ``split``. In other splits the union counts.
    """
    pattern = re.compile(options["pattern"])
    annotator, truth = options["annotator"], str(options["truth"])
    agreed = group[0][options["split"]] in options["agreed"]
    counted = [row for row in group if not agreed or str(row[annotator]).strip() == truth]
    if not agreed:
        # Agreed rows of a training recording repeat the annotators' answers.
        counted = [row for row in group if int(str(row[annotator])) > 0] or group
    labels: dict[str, None] = {}
    for row in counted:
        for name, value in row.items():
            found = pattern.fullmatch(name)
            if found and str(value).strip() == "1":
                labels[found.group(1)] = None
    return {**group[0], "labels": list(labels), "n_votes": len(counted)} if counted else None


def _check_event(where: str, row: RawRow, options: Mapping[str, Any]) -> RawRow:
    ready = dict(row)
    for name in (options["start"], options["end"]):
        try:
            ready[name] = float(cell(row, name, where))
        except (TypeError, ValueError) as error:
            raise RowError(where, f"{name} is {row[name]!r}; expected seconds") from error
    cell(row, options["label"], where)
    return ready


def _group_events(group: list[RawRow], options: Mapping[str, Any]) -> RawRow:
    """Group the events of a clip into one row, ordered by their start.

    ``by``: columns that name the clip; ``start``, ``end``, ``label``: columns of an event.
    The row gets ``labels``, each once, and ``events``, as JSON.
    """
    start, end, label = options["start"], options["end"], options["label"]
    events = sorted(
        ((row[start], row[end], row[label]) for row in group), key=lambda event: event[:2]
    )
    as_json = json.dumps([{"start_s": a, "end_s": b, "label": what} for a, b, what in events])
    labels = list(dict.fromkeys(what for _, _, what in events))
    return {**group[0], "labels": labels, "events": as_json, "n_events": len(events)}


# --- a row becomes another -----------------------------------------------------------------


def _fill_template(where: str, row: RawRow, options: Mapping[str, Any], _root: Path) -> RawRow:
    """Fill the placeholders of a text with a list of values, from left to right.

    ``text``: column with placeholders such as ``<Object>``; ``values``: column with the list.
    """
    text = options["text"]
    items = cell(row, options["values"], where)
    template = str(cell(row, text, where))
    n_places = len(_PLACEHOLDER.findall(template))
    if not isinstance(items, list):
        raise RowError(where, f"{options['values']} is {items!r}; expected a list")
    if n_places != len(items):
        found = f"{n_places} placeholders and {len(items)} values {items}"
        raise RowError(where, f"{template!r} has {found}")
    first, *others = _PLACEHOLDER.split(template)
    filled = first + "".join(f"{value}{after}" for value, after in zip(items, others, strict=True))
    return {**row, text: filled}


def _sidecar_pairs(where: str, row: RawRow, options: Mapping[str, Any], root: Path) -> RawRow:
    """Read a file beside each recording with a key, a comma and a value on each line.

    ``path``: template of the file; ``take``: keys that become columns, empty where missing.
    """
    relative = fill(options["path"], row, where)
    path = root / relative
    if os.path.isabs(relative) or ".." in Path(relative).parts or not path.is_file():
        raise RowError(where, f"{path} is not there; expected a file with a key and a value a line")
    try:
        lines = read_text(path).splitlines()
    except CorpusError as error:
        raise RowError(where, str(error)) from error
    pairs = dict(
        (key.strip(), value.strip()) for key, _, value in (line.partition(",") for line in lines)
    )
    return {**row, **{key: pairs.get(key, "") for key in options["take"]}}


def _codes(where: str, row: RawRow, options: Mapping[str, Any], _root: Path) -> RawRow:
    """Translate one-letter codes into words.

    ``column``: column with the codes; ``into``: column for the list of words; ``map``: code
    to word; ``drop``: codes without a word.
    """
    known: Mapping[str, str] = options["map"]
    codes = str(cell(row, options["column"], where))
    for code in codes:
        if code not in known and code not in options["drop"]:
            raise RowError(where, f"code {code!r} in {codes!r}: expected {', '.join(known)}")
    return {**row, options["into"]: [known[code] for code in codes if code in known]}


def _unpack(where: str, row: RawRow, options: Mapping[str, Any], _root: Path) -> RawRow:
    """Turn a list into columns: ``column`` holds the list, ``into`` names as many columns."""
    found = cell(row, options["column"], where)
    names = options["into"]
    if not isinstance(found, list) or len(found) != len(names):
        raise RowError(where, f"{options['column']} is {found!r}; expected a list of {len(names)}")
    return {**row, **dict(zip(names, found, strict=True))}


def _tag_groups(where: str, row: RawRow, options: Mapping[str, Any], _root: Path) -> RawRow:
    """Split tags such as ``genre---rock`` into category and tag.

    ``column``: column with the list; ``separator``: between the two; ``into``: column for the
    tags without categories; ``groups``: category to the column for its tags.
    """
    groups: Mapping[str, str] = options["groups"]
    tags: list[str] = []
    found: dict[str, list[str]] = {name: [] for name in groups.values()}
    for text in cell(row, options["column"], where):
        if not text.strip():
            continue
        category, separator, tag = text.strip().partition(options["separator"])
        if not separator or category not in groups:
            expected = f"expected {' or '.join(groups)}, {options['separator']} and a name"
            raise RowError(where, f"tag {text.strip()!r}: {expected}")
        tags.append(tag)
        found[groups[category]].append(tag)
    return {**row, **found, options["into"]: tags}


_PLUGINS: dict[str, RowPlugin | GroupPlugin] = {
    "vote": GroupPlugin(_check_vote, _vote),
    "presence": GroupPlugin(_check_presence, _presence),
    "group_events": GroupPlugin(_check_event, _group_events),
    "fill_template": _fill_template,
    "sidecar_pairs": _sidecar_pairs,
    "codes": _codes,
    "unpack": _unpack,
    "tag_groups": _tag_groups,
}
