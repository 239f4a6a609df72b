"""Configuration fields: a model's sizes, read strictly from JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from earful.errors import ModelError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_fields(values: object, like: DataclassInstance, what: str) -> dict[str, Any]:
    """Check a table's fields against the types of an example, and return them.

    Args:
        values: The parsed JSON.
        like: An example; a field that is a dataclass itself is returned unchecked.
        what: Name of the table in errors.

    Returns:
        The fields of ``like``; lists have become tuples.

    Raises:
        ModelError: A field is missing, unknown or of the wrong type.
    """
    if not isinstance(values, dict):
        raise ModelError(f"{what}: expected a table, got {type(values).__name__}")
    examples = {each.name: getattr(like, each.name) for each in fields(like)}
    if examples.keys() != values.keys():
        missing = sorted(examples.keys() - values.keys())
        unknown = sorted(map(str, values.keys() - examples.keys()))
        raise ModelError(f"{what}: missing {missing}, unknown {unknown}")
    checked: dict[str, Any] = {}
    for name, example in examples.items():
        found = values[name]
        if isinstance(example, tuple):
            if not isinstance(found, list) or not all(type(part) is int for part in found):
                raise ModelError(f"{what}: {name} is {found!r}, expected a list of int")
            found = tuple(found)
        elif not is_dataclass(example) and type(found) is not type(example):
            raise ModelError(f"{what}: {name} is {found!r}, expected {type(example).__name__}")
        checked[name] = found
    return checked
