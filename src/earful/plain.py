"""Plain JSON values of results: what a ``to_dict`` returns, and digests of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isnan
from pathlib import PurePath
from typing import Any


def plain_fields(
    result: Any, *, digits: int | None = None, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the fields of a dataclass, in their order, as plain JSON values.

    Mappings become tables, tuples lists, paths text and NaN ``None``; a dataclass inside becomes
    what its own ``to_dict`` returns, or else its fields.

    Args:
        result: The dataclass's instance.
        digits: Digits that numbers are rounded to behind the point; ``None`` for all.
        without: Fields to leave out.

    >>> from dataclasses import make_dataclass
    >>> plain_fields(make_dataclass("Point", ["x", "path"])(1 / 3, PurePath("a/b")), digits=2)
    {'x': 0.33, 'path': 'a/b'}
    """
    names = [field.name for field in fields(result) if field.name not in without]
    return {name: _plain(getattr(result, name), digits) for name in names}


def json_digest(values: object) -> str:
    """Return the hex SHA-256 of plain JSON values, whatever the order of their keys.

    >>> json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
    True
    """
    encoded = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode("ascii")).hexdigest()


def _plain(value: Any, digits: int | None) -> Any:
    if isinstance(value, float):
        return None if isnan(value) else value if digits is None else round(value, digits)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(one, digits) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one, digits) for one in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return plain_fields(value, digits=digits) if is_dataclass(value) else value
