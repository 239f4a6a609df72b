"""The sizes of a model, read back from the JSON that they were written to."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from earful.errors import ModelError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_fields(values: object, like: DataclassInstance, what: str) -> dict[str, Any]:
    """Return a table's fields, each of the type that it has in an example.

    Args:
        values: What JSON held.
        like: An example; a field that is a dataclass itself is left as it was found.
        what: What to call the table in errors.

    Returns:
        The fields of ``like``; lists have become tuples.

    Raises:
        ModelError: A field is missing, unknown or of the wrong type.
    """
    if not isinstance(values, dict):
        raise ModelError(f"{what}: found {type(values).__name__}, want a table")
    wanted = {each.name: getattr(like, each.name) for each in fields(like)}
    if wanted.keys() != values.keys():
        missing = sorted(wanted.keys() - values.keys())
        unknown = sorted(map(str, values.keys() - wanted.keys()))
        raise ModelError(f"{what}: missing {missing}, unknown {unknown}")
    checked: dict[str, Any] = {}
    for name, example in wanted.items():
        found = values[name]
        if isinstance(example, tuple):
            if not isinstance(found, list) or not all(type(part) is int for part in found):
                raise ModelError(f"{what}: {name} is {found!r}, want a list of int")
            found = tuple(found)
        elif not is_dataclass(example) and type(found) is not type(example):
            raise ModelError(f"{what}: {name} is {found!r}, want {type(example).__name__}")
        checked[name] = found
    return checked
