"""Records from JSON, JSON Lines and YAML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source
from earful.index.datasets.readers.sources import OnFault, Options, PlacedRow, first_file
from earful.index.datasets.readers.yaml_data import read_yaml
from earful.index.datasets.row_faults import RowError

_MAX_LINE = 1 << 24
# Annotations of published sets nest four or five deep.
_MAX_DEPTH = 100
# What ijson parses before we see any of it: each event holds the path to its place, so a piece
# bounds what a file that nests deeply takes.
_READ_BYTES = 1 << 12
_Event = tuple[str, str, Any]


def read_records(root: Path, source: Source, on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read the objects of JSON, JSON Lines or YAML.

    Options: ``at`` (dotted path of the list), ``key`` (the list is an object, and its keys
    become this column), ``pick`` (column to a dotted path inside an object). JSON is read
    as a stream, however long the list is, and 100 levels deep at most.
    """
    path = first_file(root, source)
    options = Options(path, source)
    at, key = options.get("at", ""), options.get("key", "")
    pick: dict[str, str] = options.get("pick", {})
    options.check_all_read()
    if path.suffix == ".jsonl":
        found = _json_lines(path, on_fault)
    elif path.suffix in (".yaml", ".yml"):
        found = _yaml(path, at, key)
    else:
        found = _json(path, at, key)
    for where, value in found:
        try:
            if not isinstance(value, dict):
                raise RowError(where, f"is {type(value).__name__}; expected an object")
            row = dict(value)
            for column, keys in pick.items():
                row[column] = _follow(value, keys, where)
        except RowError as error:
            on_fault(error)
            continue
        yield where, row


def _json(path: Path, at: str, key: str) -> Iterator[tuple[str, Any]]:
    import ijson

    number = 0
    try:
        with open(path, "rb") as file:
            events = _flat_enough(ijson.parse(file, buf_size=_READ_BYTES, use_float=True))
            if key:
                for name, value in ijson.kvitems(events, at):
                    number += 1
                    yield f"{path}:{name}", _with_key(value, key, name)
            else:
                prefix = f"{at}.item" if at else "item"
                for number, value in enumerate(ijson.items(events, prefix), 1):
                    yield f"{path}:item {number}", value
    except (ijson.JSONError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path}:item {number + 1}: is not JSON ({reason})") from error
    if not number:
        raise CorpusError(f"{path}: holds no rows{f' at {at!r}' if at else ''}")


def _flat_enough(events: Iterable[_Event]) -> Iterator[_Event]:
    depth = 0
    for event in events:
        if event[1] in ("start_map", "start_array"):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError(f"it nests deeper than {_MAX_DEPTH} lists and objects")
        elif event[1] in ("end_map", "end_array"):
            depth -= 1
        yield event


def _json_lines(path: Path, on_fault: OnFault) -> Iterator[tuple[str, Any]]:
    number = 0
    with open(path, encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), ""), 1):
                where = f"{path}:{number}"
                if len(line) > _MAX_LINE:
                    raise CorpusError(
                        f"{where}: the line is longer than {_MAX_LINE} characters; "
                        "expected one object"
                    )
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as error:
                    on_fault(RowError(where, f"is not JSON ({error}); expected one object a line"))
                    continue
                yield where, value
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path}:{number + 1}: is not UTF-8; expected one object a line"
            ) from error


def _yaml(path: Path, at: str, key: str) -> Iterator[tuple[str, Any]]:
    value = read_yaml(path)
    value = _follow(value, at, str(path)) if at else value
    if key and isinstance(value, dict):
        for name, one in value.items():
            yield f"{path}:{name}", _with_key(one, key, name)
        return
    if not isinstance(value, list):
        raise CorpusError(f"{path}: holds no list{f' at {at!r}' if at else ''}")
    for number, one in enumerate(value, 1):
        yield f"{path}:item {number}", one


def _with_key(value: Any, key: str, name: Any) -> Any:
    """Return an object with its key as a column; the caller refuses any other value."""
    return {**value, key: name} if isinstance(value, dict) else value


def _follow(value: Any, keys: str, where: str) -> Any:
    """Return the value at a dotted path."""
    for name in keys.split("."):
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise RowError(where, f"has nothing at {keys!r}") from error
    return value
