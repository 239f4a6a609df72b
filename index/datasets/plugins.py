"""Plug-ins: the few steps of a declaration that are code.

They aggregate the rows of several annotators and read odd formats. A plug-in takes rows,
its options from the declaration, and the dataset's folder.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset
from earful.index.datasets.readers import PlacedRow, RawRow, read_text
from earful.index.datasets.templates import cell, fill

_PLACEHOLDER = re.compile(r"<[^<>]*>")


Plugin = Callable[[Iterator[PlacedRow], Mapping[str, Any], Path], Iterator[PlacedRow]]


def find_plugin(dataset: Dataset, name: str) -> Plugin:
    """Return a plug-in by its name.

    Raises:
        CorpusError: There is no plug-in of that name.
    """
    plugins: dict[str, Plugin] = {
        "vote": _vote,
        "presence": _presence,
        "group_events": _group_events,
        "fill_template": _fill_template,
        "sidecar_pairs": _sidecar_pairs,
        "codes": _codes,
        "unpack": _unpack,
        "tag_groups": _tag_groups,
    }
    if name not in plugins:
        raise CorpusError(
            f"dataset {dataset.name!r}: no plug-in {name!r}; known: {', '.join(plugins)}"
        )
    return plugins[name]


def _vote(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Aggregate the rows of several annotators by majority.

    ``by``: columns that name what was annotated; ``column``: each annotator's answer. The
    row keeps the most frequent answer, the first among equals; ``votes`` are all answers,
    ``agreement`` is the share of the kept one, ``n_votes`` their number.
    """
    answered = options["column"]
    for where, group in _group_rows(rows, options["by"]):
        votes = [str(cell(row, answered, where)).strip() for row in group]
        counts = Counter(vote.lower() for vote in votes)
        most = counts.most_common(1)[0][1]
        answer = next(vote for vote in votes if counts[vote.lower()] == most)
        yield (
            where,
            {
                **group[0],
                answered: answer,
                "votes": votes,
                "agreement": most / len(votes),
                "n_votes": len(votes),
            },
        )


def _presence(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Read labels from one column a label, whose cells mean present, absent or not judged.

    ``by``: columns that name the recording; ``pattern``: matches the columns, its group is
    the label; ``annotator``: column that has the value ``truth`` in agreed rows; ``agreed``:
    splits in which only agreed rows count, by ``split``. In other splits the union counts.
    """
    pattern = re.compile(options["pattern"])
    annotator, truth = options["annotator"], str(options["truth"])
    for where, group in _group_rows(rows, options["by"]):
        agreed = group[0][options["split"]] in options["agreed"]
        counted = [row for row in group if not agreed or str(row[annotator]) == truth]
        if not agreed:
            # Agreed rows of a training recording repeat the annotators' answers.
            counted = [row for row in group if int(str(row[annotator])) > 0] or group
        labels: dict[str, None] = {}
        for row in counted:
            for name, value in row.items():
                found = pattern.fullmatch(name)
                if found and str(value).strip() == "1":
                    labels[found.group(1)] = None
        if counted:
            yield where, {**group[0], "labels": list(labels), "n_votes": len(counted)}


def _group_events(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Group the events of a clip into one row, ordered by their start.

    ``by``: columns that name the clip; ``start``, ``end``, ``label``: columns of an event.
    The row gets ``labels``, each once, and ``events``, as JSON.
    """
    start, end, label = options["start"], options["end"], options["label"]
    for where, group in _group_rows(rows, options["by"]):
        events = sorted(
            ((float(row[start]), float(row[end]), row[label]) for row in group),
            key=lambda event: event[:2],
        )
        as_json = json.dumps([{"start_s": a, "end_s": b, "label": what} for a, b, what in events])
        labels = list(dict.fromkeys(what for _, _, what in events))
        yield where, {**group[0], "labels": labels, "events": as_json, "n_events": len(events)}


def _fill_template(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Fill the placeholders of a text with a list of values, from left to right.

    ``text``: column with placeholders such as ``<Object>``; ``values``: column with the list.
    """
    text, values = options["text"], options["values"]
    for where, row in rows:
        items = list(cell(row, values, where))
        template = str(cell(row, text, where))
        n_places = len(_PLACEHOLDER.findall(template))
        if n_places != len(items):
            raise CorpusError(
                f"{where}: {template!r} has {n_places} placeholders and {len(items)} values {items}"
            )
        first, *others = _PLACEHOLDER.split(template)
        filled = first + "".join(
            f"{value}{after}" for value, after in zip(items, others, strict=True)
        )
        yield where, {**row, text: filled}


def _sidecar_pairs(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], root: Path
) -> Iterator[PlacedRow]:
    """Read a file beside each recording with a key, a comma and a value on each line.

    ``path``: template of the file; ``take``: keys that become columns, empty where missing.
    """
    for where, row in rows:
        relative = fill(options["path"], row, where)
        path = root / relative
        if os.path.isabs(relative) or ".." in Path(relative).parts or not path.is_file():
            raise CorpusError(
                f"{where}: {path} is not there; expected a file with a key and a value a line"
            )
        pairs = dict(
            (key.strip(), value.strip())
            for key, _, value in (line.partition(",") for line in read_text(path).splitlines())
        )
        yield where, {**row, **{key: pairs.get(key, "") for key in options["take"]}}


def _codes(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Translate one-letter codes into words.

    ``column``: column with the codes; ``into``: column for the list of words; ``map``: code
    to word; ``drop``: codes without a word.
    """
    known: Mapping[str, str] = options["map"]
    for where, row in rows:
        codes = str(cell(row, options["column"], where))
        for code in codes:
            if code not in known and code not in options["drop"]:
                raise CorpusError(
                    f"{where}: code {code!r} in {codes!r}: expected {', '.join(known)}"
                )
        yield where, {**row, options["into"]: [known[code] for code in codes if code in known]}


def _unpack(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Turn a list into columns: ``column`` holds the list, ``into`` names as many columns."""
    for where, row in rows:
        found = cell(row, options["column"], where)
        names = options["into"]
        if not isinstance(found, list) or len(found) != len(names):
            raise CorpusError(
                f"{where}: {options['column']} is {found!r}; expected a list of {len(names)}"
            )
        yield where, {**row, **dict(zip(names, found, strict=True))}


def _tag_groups(
    rows: Iterator[PlacedRow], options: Mapping[str, Any], _root: Path
) -> Iterator[PlacedRow]:
    """Split tags such as ``genre---rock`` into category and tag.

    ``column``: column with the list; ``separator``: between the two; ``into``: column for the
    tags without categories; ``groups``: category to the column for its tags.
    """
    groups: Mapping[str, str] = options["groups"]
    for where, row in rows:
        tags: list[str] = []
        found: dict[str, list[str]] = {name: [] for name in groups.values()}
        for text in cell(row, options["column"], where):
            if not text.strip():
                continue
            category, separator, tag = text.strip().partition(options["separator"])
            if not separator or category not in groups:
                raise CorpusError(
                    f"{where}: tag {text.strip()!r}: expected {' or '.join(groups)}, "
                    f"{options['separator']} and a name"
                )
            tags.append(tag)
            found[groups[category]].append(tag)
        yield where, {**row, **found, options["into"]: tags}


def _group_rows(rows: Iterator[PlacedRow], by: Sequence[str]) -> Iterator[tuple[str, list[RawRow]]]:
    """Group rows by columns; the place of a group is that of its first row."""
    groups: dict[tuple[Any, ...], tuple[str, list[RawRow]]] = {}
    for where, row in rows:
        key = tuple(cell(row, name, where) for name in by)
        groups.setdefault(key, (where, []))[1].append(row)
    yield from groups.values()
