"""The few steps that are code: several annotators' rows brought together, and odd formats.

A plug-in takes rows, its options from the declaration, and the dataset's folder.
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
from earful.index.datasets.readers import Placed, Raw, read_text
from earful.index.datasets.templates import column, fill

_PLACEHOLDER = re.compile(r"<[^<>]*>")


Plugin = Callable[[Iterator[Placed], Mapping[str, Any], Path], Iterator[Placed]]


def find_plugin(dataset: Dataset, name: str) -> Plugin:
    """Return a plug-in by its name.

    Raises:
        CorpusError: There is none.
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


def _vote(rows: Iterator[Placed], options: Mapping[str, Any], _root: Path) -> Iterator[Placed]:
    """Bring the rows of several annotators together.

    ``by``: columns that name what was annotated; ``column``: what each said. The row keeps
    the answer of most, the first among equals; ``votes`` are all, ``agreement`` the share
    of that answer, ``n_votes`` how many there are.
    """
    said = options["column"]
    for where, together in _grouped(rows, options["by"]):
        votes = [str(column(row, said, where)).strip() for row in together]
        counts = Counter(vote.lower() for vote in votes)
        most = counts.most_common(1)[0][1]
        answer = next(vote for vote in votes if counts[vote.lower()] == most)
        yield (
            where,
            {
                **together[0],
                said: answer,
                "votes": votes,
                "agreement": most / len(votes),
                "n_votes": len(votes),
            },
        )


def _presence(rows: Iterator[Placed], options: Mapping[str, Any], _root: Path) -> Iterator[Placed]:
    """Read labels out of a column a label, whose cells say present, absent or not judged.

    ``by``: columns that name the recording; ``pattern``: of the columns, its group the
    label; ``annotator``: column, of which ``truth`` is the value of agreed rows; ``agreed``:
    splits in which only those count, by ``split``. Elsewhere the union of all counts.
    """
    pattern = re.compile(options["pattern"])
    annotator, truth = options["annotator"], str(options["truth"])
    for where, together in _grouped(rows, options["by"]):
        agreed = together[0][options["split"]] in options["agreed"]
        counted = [row for row in together if not agreed or str(row[annotator]) == truth]
        if not agreed:
            # Agreed rows of a training recording repeat what annotators said.
            counted = [row for row in together if int(str(row[annotator])) > 0] or together
        labels: dict[str, None] = {}
        for row in counted:
            for name, cell in row.items():
                found = pattern.fullmatch(name)
                if found and str(cell).strip() == "1":
                    labels[found.group(1)] = None
        if counted:
            yield where, {**together[0], "labels": list(labels), "n_votes": len(counted)}


def _group_events(
    rows: Iterator[Placed], options: Mapping[str, Any], _root: Path
) -> Iterator[Placed]:
    """Bring the events of a clip together, in the order of their beginnings.

    ``by``: columns that name the clip; ``start``, ``end``, ``label``: columns of an event.
    The row gets ``labels``, each once, and ``events``, as JSON.
    """
    start, end, label = options["start"], options["end"], options["label"]
    for where, together in _grouped(rows, options["by"]):
        events = sorted(
            ((float(row[start]), float(row[end]), row[label]) for row in together),
            key=lambda event: event[:2],
        )
        told = json.dumps([{"start_s": a, "end_s": b, "label": what} for a, b, what in events])
        labels = list(dict.fromkeys(what for _, _, what in events))
        yield where, {**together[0], "labels": labels, "events": told, "n_events": len(events)}


def _fill_template(
    rows: Iterator[Placed], options: Mapping[str, Any], _root: Path
) -> Iterator[Placed]:
    """Put a list of values in the places of a text, from left to right.

    ``text``: column with places such as ``<Object>``; ``values``: column with the list.
    """
    text, values = options["text"], options["values"]
    for where, row in rows:
        waiting = list(column(row, values, where))
        asked = str(column(row, text, where))
        n_places = len(_PLACEHOLDER.findall(asked))
        if n_places != len(waiting):
            raise CorpusError(
                f"{where}: {asked!r} has {n_places} places and {len(waiting)} values {waiting}"
            )
        first, *others = _PLACEHOLDER.split(asked)
        filled = first + "".join(
            f"{value}{after}" for value, after in zip(waiting, others, strict=True)
        )
        yield where, {**row, text: filled}


def _sidecar_pairs(
    rows: Iterator[Placed], options: Mapping[str, Any], root: Path
) -> Iterator[Placed]:
    """Read a file beside each recording that has a key and a value a line, with a comma between.

    ``path``: template of the file; ``take``: keys that become columns, empty where missing.
    """
    for where, row in rows:
        relative = fill(options["path"], row, where)
        path = root / relative
        if os.path.isabs(relative) or ".." in Path(relative).parts or not path.is_file():
            raise CorpusError(f"{where}: {path} is not there; want a key and a value a line")
        pairs = dict(
            (key.strip(), value.strip())
            for key, _, value in (line.partition(",") for line in read_text(path).splitlines())
        )
        yield where, {**row, **{key: pairs.get(key, "") for key in options["take"]}}


def _codes(rows: Iterator[Placed], options: Mapping[str, Any], _root: Path) -> Iterator[Placed]:
    """Spell one-letter codes out.

    ``column``: with the codes; ``into``: the list; ``map``: code to word; ``drop``: codes
    without one.
    """
    known: Mapping[str, str] = options["map"]
    for where, row in rows:
        codes = str(column(row, options["column"], where))
        for code in codes:
            if code not in known and code not in options["drop"]:
                raise CorpusError(f"{where}: code {code!r} in {codes!r}; want {', '.join(known)}")
        yield where, {**row, options["into"]: [known[code] for code in codes if code in known]}


def _unpack(rows: Iterator[Placed], options: Mapping[str, Any], _root: Path) -> Iterator[Placed]:
    """Make columns of a list: ``column``, and ``into``, the names of as many columns."""
    for where, row in rows:
        found = column(row, options["column"], where)
        names = options["into"]
        if not isinstance(found, list) or len(found) != len(names):
            raise CorpusError(
                f"{where}: {options['column']} is {found!r}; want a list of {len(names)}"
            )
        yield where, {**row, **dict(zip(names, found, strict=True))}


def _tag_groups(
    rows: Iterator[Placed], options: Mapping[str, Any], _root: Path
) -> Iterator[Placed]:
    """Take the category off tags such as ``genre---rock``.

    ``column``: the list; ``separator``; ``into``: the bare tags; ``groups``: category to the
    column that gets its tags.
    """
    groups: Mapping[str, str] = options["groups"]
    for where, row in rows:
        tags: list[str] = []
        found: dict[str, list[str]] = {name: [] for name in groups.values()}
        for text in column(row, options["column"], where):
            if not text.strip():
                continue
            category, separator, tag = text.strip().partition(options["separator"])
            if not separator or category not in groups:
                raise CorpusError(
                    f"{where}: tag {text.strip()!r}; want {' or '.join(groups)}, "
                    f"{options['separator']} and a name"
                )
            tags.append(tag)
            found[groups[category]].append(tag)
        yield where, {**row, **found, options["into"]: tags}


def _grouped(rows: Iterator[Placed], by: Sequence[str]) -> Iterator[tuple[str, list[Raw]]]:
    together: dict[tuple[Any, ...], tuple[str, list[Raw]]] = {}
    for where, row in rows:
        key = tuple(column(row, name, where) for name in by)
        together.setdefault(key, (where, []))[1].append(row)
    yield from together.values()
