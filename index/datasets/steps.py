"""What happens to rows between a publisher's files and exemplars: parse, join, vote, filter.

Every step is data of a declaration, applied in one order: cells are parsed, tables joined,
plug-ins run, conditions kept, lists unfolded into rows.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset, Join, Source
from earful.index.datasets.readers import Placed, Raw, read_source

_TRUE, _FALSE = {"true", "1", "yes", "t"}, {"false", "0", "no", "f", ""}
_PLACEHOLDER = re.compile(r"<[^<>]*>")


def rows_of(dataset: Dataset, root: Path, sources: Sequence[Source]) -> Iterator[Placed]:
    """Read sources and apply every step up to the audio.

    Raises:
        CorpusError: A file is missing or broken, or a row lacks a column; the message
            begins with the row.
    """
    rows = _joined(dataset, root, sources)
    for name, options in dataset.steps:
        rows = _plugin(dataset, name)(rows, options)
    kept = (
        (where, row)
        for where, row in rows
        if all(holds(condition, row, where) for condition in dataset.where)
    )
    return _exploded(kept, dataset.explode) if dataset.explode else kept


def fill(template: str, row: Mapping[str, Any], where: str) -> str:
    """Put columns into a template such as ``audio/{fold}/{name}``.

    Raises:
        CorpusError: It names a column that the row lacks; the message begins with the row.

    >>> fill("{a:03d}/{b}.wav", {"a": 7, "b": "x"}, "t:1")
    '007/x.wav'
    """
    parts: list[str] = []
    for text, name, spec, _ in string.Formatter().parse(template):
        parts.append(text)
        if name is None:
            continue
        value = _column(row, name, where)
        parts.append(format("" if value is None else value, spec or ""))
    return "".join(parts)


def holds(condition: Mapping[str, Any], row: Mapping[str, Any], where: str) -> bool:
    """Say whether a row meets a condition.

    Args:
        condition: ``column`` with ``equals``, ``in``, ``not_in``, ``not_empty`` or ``matches``.
        row: Its columns.
        where: Its place.

    Raises:
        CorpusError: The row lacks the column, or the condition is of no known kind.
    """
    plain = dict(condition)
    value = _column(row, str(plain.pop("column", "")), where)
    for kind, wanted in plain.items():
        if kind == "equals":
            met = value == wanted
        elif kind == "in":
            met = value in wanted
        elif kind == "not_in":
            met = value not in wanted
        elif kind == "not_empty":
            met = bool(value) == wanted
        elif kind == "matches":
            met = re.search(wanted, str(value)) is not None
        else:
            raise CorpusError(
                f"condition {dict(condition)}: no kind {kind!r}; want equals, in, not_in, "
                "not_empty or matches"
            )
        if not met:
            return False
    return True


def _column(row: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in row:
        found = ", ".join(list(map(str, row))[:30])
        raise CorpusError(f"{where}: has no column {name!r}; found {found}")
    return row[name]


# --- parse and join ------------------------------------------------------------------------


def _joined(dataset: Dataset, root: Path, sources: Sequence[Source]) -> Iterator[Placed]:
    tables = [_lookup(dataset, root, join) for join in dataset.joins]
    for source in sources:
        for where, row in read_source(root, source):
            parsed: set[str] = set()
            _parse(dataset, row, where, parsed)
            for join, table in zip(dataset.joins, tables, strict=True):
                key = str(_column(row, join.left, where))
                found = table.get(key)
                if found is None and join.required:
                    files = " or ".join(join.source.files)
                    raise CorpusError(f"{where}: {join.left} {key!r} has no row in {files}")
                for name in join.take:
                    row[name] = "" if found is None else found.get(name, "")
                _parse(dataset, row, where, parsed)
            missing = [name for name in dataset.parse if name not in parsed]
            if missing and not _creates(dataset.parse[missing[0]]):
                _column(row, missing[0], where)
            yield where, row


def _lookup(dataset: Dataset, root: Path, join: Join) -> dict[str, Raw]:
    try:
        rows = list(read_source(root, join.source))
    except CorpusError:
        if join.source.optional:
            return {}
        raise
    found: dict[str, Raw] = {}
    for where, row in rows:
        parsed: set[str] = set()
        if join.right in dataset.parse:
            _parse(dataset, row, where, parsed, only=join.right)
        found.setdefault(str(_column(row, join.right, where)), row)
    return found


def _parse(dataset: Dataset, row: Raw, where: str, parsed: set[str], *, only: str = "") -> None:
    """Parse the columns that are there and were not yet, in the declaration's order."""
    for name, operations in dataset.parse.items():
        if name in parsed or (only and name != only):
            continue
        if name not in row:
            copied = _copied(operations)
            if copied is None or copied not in row:
                continue
        value = row.get(name)
        for operation in operations if isinstance(operations, list) else [operations]:
            value = _apply(operation, value, row, name, where)
        row[name] = value
        parsed.add(name)


def _creates(operations: Any) -> bool:
    return _copied(operations) is not None


def _copied(operations: Any) -> str | None:
    """Return the column that a new one begins as, if its first operation is a copy."""
    first = operations[0] if isinstance(operations, list) else operations
    return first.get("copy") if isinstance(first, dict) else None


def _apply(operation: Any, value: Any, row: Raw, name: str, where: str) -> Any:
    try:
        if isinstance(operation, dict):
            return _apply_table(operation, value, row, where)
        kind, _, argument = str(operation).partition(":")
        if kind == "split":
            return [part.strip() for part in str(value or "").split(argument) if part.strip()]
        simple: dict[str, Callable[[Any], Any]] = {
            "int": lambda x: int(str(x).strip()),
            "float": lambda x: float(str(x).strip()),
            "bool": _boolean,
            "json": lambda x: json.loads(x) if isinstance(x, str) else x,
            "literal": lambda x: (
                ast.literal_eval(x.strip()) if isinstance(x, str) and x else x or []
            ),
            "strip": lambda x: x.strip() if isinstance(x, str) else x,
            "lower": lambda x: x.lower() if isinstance(x, str) else x,
            "chars": lambda x: list(str(x).strip()),
            "list": lambda x: x if isinstance(x, list) else [x] if x else [],
        }
        if kind not in simple:
            raise CorpusError(f"{where}: parse {operation!r}; want {', '.join(simple)} or split:")
        return simple[kind](value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise CorpusError(
            f"{where}: {name} {_shortened(value)} is not {operation!r} ({_first_line(error)})"
        ) from error


def _apply_table(operation: Mapping[str, Any], value: Any, row: Raw, where: str) -> Any:
    if "copy" in operation:
        return row[operation["copy"]]
    if "pad" in operation:
        return str(value).strip().zfill(operation["pad"])
    if "replace" in operation:
        old, new = operation["replace"]
        if isinstance(value, list):
            return [str(one).replace(old, new) for one in value]
        return str(value).replace(old, new)
    if "regex" in operation:
        found = re.search(operation["regex"], str(value))
        if found is None:
            raise ValueError(f"does not match {operation['regex']}")
        row.update(found.groupdict())
        return value
    if "map" in operation:
        if isinstance(value, list):
            mapped = [_mapped(operation, one) for one in value]
            return [one for one in mapped if one is not None]
        return _mapped(operation, value)
    raise CorpusError(f"{where}: parse {dict(operation)}; want copy, pad, replace, regex or map")


def _mapped(operation: Mapping[str, Any], value: Any) -> Any:
    table: Mapping[str, Any] = operation["map"]
    if str(value) in table:
        return table[str(value)]
    if operation.get("drop"):
        return None
    if "default" in operation:
        return operation["default"]
    if operation.get("keep"):
        return value
    raise ValueError(f"known are {', '.join(table)}")


def _literal(value: Any) -> Any:
    """Read a list as Python writes it; an empty cell is an empty list."""
    if not isinstance(value, str):
        return value or []
    return ast.literal_eval(value.strip()) if value.strip() else []


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("want true or false")


# --- plug-ins ------------------------------------------------------------------------------


def _plugin(
    dataset: Dataset, name: str
) -> Callable[[Iterator[Placed], Mapping[str, Any]], Iterator[Placed]]:
    plugins = {
        "vote": _vote,
        "presence": _presence,
        "group_events": _group_events,
        "fill_template": _fill_template,
    }
    if name not in plugins:
        raise CorpusError(
            f"dataset {dataset.name!r}: no plug-in {name!r}; known: {', '.join(plugins)}"
        )
    return plugins[name]


def _vote(rows: Iterator[Placed], options: Mapping[str, Any]) -> Iterator[Placed]:
    """Bring the rows of several annotators together.

    ``by``: columns that name what was annotated; ``column``: what each said. The row keeps
    the answer of most, the first among equals; ``votes`` are all, ``agreement`` the share
    of that answer, ``n_votes`` how many there are.
    """
    column = options["column"]
    for where, together in _grouped(rows, options["by"]):
        votes = [str(_column(row, column, where)).strip() for row in together]
        counts = Counter(vote.lower() for vote in votes)
        most = counts.most_common(1)[0][1]
        answer = next(vote for vote in votes if counts[vote.lower()] == most)
        yield (
            where,
            {
                **together[0],
                column: answer,
                "votes": votes,
                "agreement": most / len(votes),
                "n_votes": len(votes),
            },
        )


def _presence(rows: Iterator[Placed], options: Mapping[str, Any]) -> Iterator[Placed]:
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
            for column, cell in row.items():
                found = pattern.fullmatch(column)
                if found and str(cell).strip() == "1":
                    labels[found.group(1)] = None
        if counted:
            yield where, {**together[0], "labels": list(labels), "n_votes": len(counted)}


def _group_events(rows: Iterator[Placed], options: Mapping[str, Any]) -> Iterator[Placed]:
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


def _fill_template(rows: Iterator[Placed], options: Mapping[str, Any]) -> Iterator[Placed]:
    """Put a list of values in the places of a text, from left to right.

    ``text``: column with places such as ``<Object>``; ``values``: column with the list.
    """
    text, values = options["text"], options["values"]
    for where, row in rows:
        waiting = list(_column(row, values, where))
        asked = str(_column(row, text, where))
        n_places = len(_PLACEHOLDER.findall(asked))
        if n_places != len(waiting):
            raise CorpusError(
                f"{where}: {asked!r} has {n_places} places and {len(waiting)} values {waiting}"
            )
        for value in waiting:
            asked = _PLACEHOLDER.sub(lambda _, value=value: str(value), asked, count=1)
        yield where, {**row, text: asked}


def _grouped(rows: Iterator[Placed], by: Sequence[str]) -> Iterator[tuple[str, list[Raw]]]:
    together: dict[tuple[Any, ...], tuple[str, list[Raw]]] = {}
    for where, row in rows:
        key = tuple(_column(row, name, where) for name in by)
        together.setdefault(key, (where, []))[1].append(row)
    yield from together.values()


# --- explode -------------------------------------------------------------------------------


def _exploded(rows: Iterator[Placed], options: Mapping[str, Any]) -> Iterator[Placed]:
    """Make a row of each of several columns, or of each item of a list.

    ``columns`` or ``column``; ``into``: where the item goes; the row's ``number`` counts
    from 1. Empty items make no row. Items that are objects become columns.
    """
    into = options.get("into", "item")
    for where, row in rows:
        if "columns" in options:
            items = [_column(row, name, where) for name in options["columns"]]
        else:
            found = _column(row, options["column"], where)
            items = found if isinstance(found, list) else [found]
        for number, item in enumerate(items, 1):
            if item is None or item == "":
                continue
            more = dict(item) if isinstance(item, dict) else {into: item}
            yield where, {**row, **more, "number": number}


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
