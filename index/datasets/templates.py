"""Cells of rows: looked up, put into templates, compared."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from earful.errors import CorpusError
from earful.wording import listed


def fill(template: str, row: Mapping[str, Any], where: str) -> str:
    """Put columns into a template such as ``audio/{fold}/{name}``.

    Raises:
        CorpusError: It names a column that the row lacks, or one that its format does not fit;
            the message begins with the row.

    >>> fill("{a:03d}/{b}.wav", {"a": 7, "b": "x"}, "t:1")
    '007/x.wav'
    """
    parts: list[str] = []
    for text, name, spec, _ in string.Formatter().parse(template):
        parts.append(text)
        if name is None:
            continue
        value = column(row, name, where)
        try:
            parts.append(format("" if value is None else value, spec or ""))
        except (ValueError, TypeError) as error:
            raise CorpusError(
                f"{where}: {name} {value!r} does not fit {template!r} ({error})"
            ) from error
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
    value = column(row, str(plain.pop("column", "")), where)
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


def column(row: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a cell.

    Raises:
        CorpusError: The row lacks the column; the message begins with the row.
    """
    if name not in row:
        raise CorpusError(f"{where}: has no column {name!r}; found {listed(row)}")
    return row[name]
