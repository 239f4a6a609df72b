"""Steps from a publisher's files to rows: parse, join, look up, run plug-ins, filter, explode.

Every step is data of a declaration, and their order is fixed: cells are parsed, tables
joined, codes looked up, plug-ins run, conditions checked, lists exploded into rows.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Dataset, Join, Lookup, Source
from earful.index.datasets.plugins import each_made, run_plugin
from earful.index.datasets.readers import (
    PlacedRow,
    RawRow,
    files_to_read,
    find_files,
    pointer_files,
    read_source,
    source_name,
)
from earful.index.datasets.row_faults import BadCell, RowError, RowFaults
from earful.index.datasets.templates import cell, meets

_TRUE, _FALSE = {"true", "1", "yes", "t"}, {"false", "0", "no", "f", ""}


def read_rows(
    dataset: Dataset, root: Path, sources: Sequence[Source], faults: RowFaults
) -> Iterator[PlacedRow]:
    """Read the rows of sources, and apply every step of the declaration.

    Args:
        dataset: The declaration.
        root: Folder that the files' names start from.
        sources: Of the declaration.
        faults: Takes the rows that cannot be read.

    Raises:
        CorpusError: A file is missing or broken, or the declaration has a mistake.
    """
    rows = _read_joined(dataset, root, sources, faults)
    for lookup in dataset.lookups:
        rows = _look_up(rows, lookup, root, faults)
    for name, options in dataset.steps:
        rows = run_plugin(dataset, name, rows, options, root, faults.pass_over)
    rows = each_made(rows, partial(_kept, dataset.where), faults.pass_over)
    if dataset.explode:
        rows = each_made(rows, partial(_explode, dataset.explode), faults.pass_over)
    return rows


def _kept(conditions: Sequence[Mapping[str, Any]], where: str, row: RawRow) -> list[RawRow]:
    return [row] if all(meets(row, condition, where) for condition in conditions) else []


# --- parse and join ------------------------------------------------------------------------


def _read(root: Path, source: Source, faults: RowFaults) -> Iterator[PlacedRow]:
    """Read a source, and count its rows and those that cannot be read."""
    name = source_name(root, source)
    faults.begin(name, lambda: files_to_read(root, source))

    def on_fault(error: RowError) -> None:
        faults.count_row(name)
        faults.pass_over(error)

    for where, row in read_source(root, source, on_fault):
        faults.count_row(name)
        yield where, row


def _read_joined(
    dataset: Dataset, root: Path, sources: Sequence[Source], faults: RowFaults
) -> Iterator[PlacedRow]:
    tables = [_read_join(dataset, root, join, faults) for join in dataset.joins]
    rows = chain.from_iterable(_read(root, source, faults) for source in sources)
    return each_made(rows, partial(_parse_and_join, dataset, tables), faults.pass_over)


def _parse_and_join(
    dataset: Dataset, tables: Sequence[Mapping[str, RawRow]], where: str, row: RawRow
) -> list[RawRow]:
    # Parsed twice: before the joins, for their keys, and with the columns they add.
    parsed: set[str] = set()
    _parse(dataset, row, where, parsed)
    for join, table in zip(dataset.joins, tables, strict=True):
        key = str(cell(row, join.left, where))
        found = table.get(key)
        if found is None and join.required:
            files = " or ".join(join.source.files)
            raise RowError(where, f"{join.left} {key!r} has no row in {files}")
        for name in join.take:
            if found is not None or name not in row:
                row[name] = "" if found is None else found.get(name, "")
        _parse(dataset, row, where, parsed)
    for name in dataset.parse:
        if name not in parsed:
            cell(row, name, where)
    return [row]


def _read_join(dataset: Dataset, root: Path, join: Join, faults: RowFaults) -> dict[str, RawRow]:
    """Read the table of a join, by its key; empty where it may be missing and is."""
    files = find_files(root, join.source)
    if join.source.optional and (not files or pointer_files(root, join.source)):
        return {}
    found: dict[str, RawRow] = {}
    for where, row in _read(root, join.source, faults):
        try:
            if join.right in dataset.parse:
                _parse(dataset, row, where, set(), only=join.right)
            found.setdefault(str(cell(row, join.right, where)), row)
        except RowError as error:
            faults.pass_over(error)
    return found


def _look_up(
    rows: Iterator[PlacedRow], lookup: Lookup, root: Path, faults: RowFaults
) -> Iterator[PlacedRow]:
    """Replace the codes of a column by their meanings."""
    meaning: dict[str, Any] = {}
    for where, row in _read(root, lookup.source, faults):
        try:
            meaning[str(cell(row, lookup.key, where)).strip()] = cell(row, lookup.value, where)
        except RowError as error:
            faults.pass_over(error)

    def translated(where: str, row: RawRow) -> list[RawRow]:
        codes = cell(row, lookup.column, where)
        code_list = codes if isinstance(codes, list) else [codes]
        for code in code_list:
            if str(code) not in meaning:
                known = f"none of the {len(meaning)} codes of {' or '.join(lookup.source.files)}"
                raise RowError(where, f"{lookup.column} {code!r} is {known}")
        meanings = [meaning[str(code)] for code in code_list]
        return [{**row, lookup.column: meanings if isinstance(codes, list) else meanings[0]}]

    return each_made(rows, translated, faults.pass_over)


def _parse(dataset: Dataset, row: RawRow, where: str, parsed: set[str], *, only: str = "") -> None:
    """Parse the columns that are there and not parsed yet, in the declaration's order.

    A cell that cannot be parsed becomes a ``BadCell``: a row is only lost where it is needed.
    """
    for name, operations in dataset.parse.items():
        if name in parsed or (only and name != only):
            continue
        if name not in row and not _can_make_column(operations, row):
            continue
        value = row.get(name)
        for operation in operations if isinstance(operations, list) else [operations]:
            value = _apply(operation, value, row, name, where)
            if isinstance(value, BadCell):
                break
        row[name] = value
        parsed.add(name)


def _making_operation(operations: Any) -> Mapping[str, Any]:
    """Return the first operation if it makes a column; empty if it needs one."""
    first = operations[0] if isinstance(operations, list) else operations
    makes = isinstance(first, dict) and {"copy", "default", "first", "digest"} & first.keys()
    return first if makes else {}


def _can_make_column(operations: Any, row: Mapping[str, Any]) -> bool:
    first = _making_operation(operations)
    if "copy" in first:
        return first["copy"] in row
    if "first" in first:
        return any(name in row for name in first["first"])
    return bool(first) and "map" not in first


def _apply(operation: Any, value: Any, row: RawRow, name: str, where: str) -> Any:
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
            "literal": _literal,
            "milliseconds": lambda x: round(float(x) * 1000),
            "seconds": lambda x: float(x) / 1000,
            "strip": lambda x: x.strip() if isinstance(x, str) else x,
            "lower": lambda x: x.lower() if isinstance(x, str) else x,
            "chars": lambda x: list(str(x).strip()),
            "list": lambda x: x if isinstance(x, list) else [x] if x else [],
        }
        if kind not in simple:
            raise CorpusError(
                f"{where}: parse {operation!r}: expected {', '.join(simple)} or split:"
            )
        return simple[kind](value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        fault = f"{name} {_shortened(value)} is not {operation!r} ({_first_line(error)})"
        bad = BadCell("" if value is None else str(value), fault)
        if isinstance(operation, dict) and "regex" in operation:
            row.update(dict.fromkeys(re.compile(operation["regex"]).groupindex, bad))
        return bad


def _apply_table(operation: Mapping[str, Any], value: Any, row: RawRow, where: str) -> Any:
    if "copy" in operation:
        return row[operation["copy"]]
    if "first" in operation:
        return next((row[name] for name in operation["first"] if row.get(name)), "")
    if "digest" in operation:
        for name in operation["digest"]:
            if isinstance(row.get(name), BadCell):
                return row[name]
        texts = json.dumps([str(row.get(name, "")) for name in operation["digest"]])
        return hashlib.sha256(texts.encode("ascii")).hexdigest()[:12]
    if "default" in operation and "map" not in operation:
        return operation["default"] if value is None else value
    if "prefix" in operation:
        return f"{operation['prefix']}{value}"
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
    raise CorpusError(
        f"{where}: parse {dict(operation)}: expected copy, first, digest, default, prefix, "
        "pad, replace, regex or map"
    )


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
    raise ValueError(f"expected one of {', '.join(table)}")


def _literal(value: Any) -> Any:
    """Read a Python literal of a list; an empty cell is an empty list."""
    if not isinstance(value, str):
        return value or []
    return ast.literal_eval(value.strip()) if value.strip() else []


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("expected true or false")


# --- explode -------------------------------------------------------------------------------


def _explode(options: Mapping[str, Any], where: str, row: RawRow) -> Iterator[RawRow]:
    """Make one row for each of several columns, or for each item of a list.

    ``columns`` or ``column``: holds the items; ``into``: column for the item; the row's
    ``number`` counts from 1. Empty items make no row. Items that are objects become columns.
    """
    into = options.get("into", "item")
    if "columns" in options:
        items = [cell(row, name, where) for name in options["columns"]]
    else:
        found = cell(row, options["column"], where)
        items = found if isinstance(found, list) else [found]
    for number, item in enumerate(items, 1):
        if item is None or item == "":
            continue
        more = dict(item) if isinstance(item, dict) else {into: item}
        yield {**row, **more, "number": number}


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
