"""Templates and conditions over a row's cells."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.row_faults import BadCell, RowError
from earful.wording import listed


def fill(template: str, row: Mapping[str, Any], where: str) -> str:
    """Fill a template such as ``audio/{fold}/{name}`` with a row's cells.

    Raises:
        RowError: It names a column that the row lacks, or a cell does not fit its format.

    >>> fill("{a:03d}/{b}.wav", {"a": 7, "b": "x"}, "t:1")
    '007/x.wav'
    """
    parts: list[str] = []
    for text, name, spec, _ in string.Formatter().parse(template):
        parts.append(text)
        if name is None:
            continue
        value = cell(row, name, where)
        try:
            parts.append(format("" if value is None else value, spec or ""))
        except (ValueError, TypeError) as error:
            raise RowError(
                where, f"{name} {value!r} does not fit {template!r} ({error})"
            ) from error
    return "".join(parts)


def meets(row: Mapping[str, Any], condition: Mapping[str, Any], where: str) -> bool:
    """Return whether a row meets a condition.

    Args:
        row: The row, column to cell.
        condition: ``column`` with ``equals``, ``in``, ``not_in``, ``not_empty`` or ``matches``.
        where: The row's place, for messages.

    Raises:
        RowError: The row lacks the column, or its cell could not be parsed.
        CorpusError: The condition is of no known kind.
    """
    plain = dict(condition)
    value = cell(row, str(plain.pop("column", "")), where)
    for kind, expected in plain.items():
        if kind == "equals":
            met = value == expected
        elif kind == "in":
            met = value in expected
        elif kind == "not_in":
            met = value not in expected
        elif kind == "not_empty":
            met = bool(value) == expected
        elif kind == "matches":
            met = re.search(expected, str(value)) is not None
        else:
            raise CorpusError(
                f"condition {dict(condition)}: no kind {kind!r}; expected equals, in, not_in, "
                "not_empty or matches"
            )
        if not met:
            return False
    return True


def cell(row: Mapping[str, Any], name: str, where: str) -> Any:
    """Return the cell of a row in a column.

    Raises:
        RowError: The row lacks the column, or its cell could not be parsed.
    """
    if name not in row:
        raise RowError(where, f"has no column {name!r}; found {listed(row)}")
    value = row[name]
    if isinstance(value, BadCell):
        raise RowError(where, value.fault)
    return value


def placeholders(template: str) -> tuple[str, ...]:
    """Return the columns that a template names.

    >>> placeholders("audio/{fold}/{name:03d}.wav")
    ('fold', 'name')
    """
    return tuple(re.findall(r"{(\w+)[^}]*}", template))
