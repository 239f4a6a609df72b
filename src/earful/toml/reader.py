"""Tables of a TOML file as dataclasses, checked by pydantic; every mistake has its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import ErrorDetails, SchemaValidator, ValidationError

from earful.toml.file import TomlFile, TomlProblem
from earful.toml.lines import Key
from earful.wording import listed, quoted, unknown_name

Model = TypeVar("Model")
Schema = Mapping[str, Any]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For ``pydantic.with_config`` of the dataclasses that describe a file."""

# Enough to correct in one go; a file made to have a million mistakes is left here.
MAX_PROBLEMS = 100


class TooManyProblemsError(Exception):
    """So many mistakes were reported that the rest of the file is not read."""


class TomlReader:
    """Reads the tables of one file and collects every mistake.

    In every method ``key`` is the path of a value in the file, by which its line is found.
    """

    def __init__(self, toml: TomlFile) -> None:
        self.toml = toml
        self._found: list[tuple[int, TomlProblem]] = []

    @property
    def n_problems(self) -> int:
        """Number of mistakes so far."""
        return len(self._found)

    def problems(self) -> tuple[TomlProblem, ...]:
        """Return the mistakes so far, in the order of the file's lines."""
        return tuple(problem for _, problem in sorted(self._found, key=lambda found: found[0]))

    def report(self, what: str, *key: str | int, where: str = "") -> None:
        """Record a mistake at a key of the file.

        Args:
            what: What is wrong and what is expected.
            key: Path of the key.
            where: ``"file:line"`` to show instead, for a row of a table that the key names.

        Raises:
            TooManyProblemsError: It is mistake number ``MAX_PROBLEMS``.
        """
        line = self.toml.line(*key)
        place = where or f"{self.toml.path}:{line}"
        self._found.append((line, TomlProblem(where=place, what=what)))
        if len(self._found) >= MAX_PROBLEMS:
            raise TooManyProblemsError

    def report_type(self, value: object, expected: str, *key: str | int) -> None:
        """Record that a value is of another type than expected."""
        self.report(_wrong_type(value, expected, key), *key)

    def read(self, model: type[Model], values: object, *key: str | int) -> Model | None:
        """Read a table as a dataclass.

        Keys with a mistake are reported and left out, so that later checks of what is left
        find their mistakes in the same pass.

        Returns:
            The dataclass; ``None`` when a key is missing or wrong that has no default.
        """
        kind: Any = model  # mypy doubts that every class can be hashed
        validator = _validator(kind)
        try:
            found: Model = validator.validate_python(values)
            return found
        except ValidationError as error:
            details = error.errors(include_url=False)
        self._report_all(details, _json_schema(kind), key)
        wrong = {name for one in details for name in one["loc"][:1]}
        table = values if isinstance(values, dict) else {}
        with suppress(ValidationError):
            found = validator.validate_python({k: v for k, v in table.items() if k not in wrong})
            return found
        return None

    def _report_all(self, details: list[ErrorDetails], schema: Schema, key: Key) -> None:
        """Report pydantic's errors, those of one value once."""
        found: dict[tuple[Key, str | int], ErrorDetails] = {}
        for one in details:
            missing = one["loc"][-1] if one["type"] == "missing" else ""
            found.setdefault((self._file_key(key, one["loc"]), missing), one)
        around = {place[:n] for place, _ in found for n in range(len(place))}
        for (place, missing), one in found.items():
            # A value of two forms that is wrong inside one of them is not of the wrong type.
            if missing or place not in around or not one["type"].endswith("_type"):
                self.report(_sentence(one, schema, place), *place)

    def _file_key(self, key: Key, loc: Key) -> Key:
        """Return the key in the file of an error's place, which also names types."""
        for part in loc:
            if (*key, part) in self.toml.lines:
                key = (*key, part)
        return key


# --- pydantic's view of a dataclass ----------------------------------------------------------


@cache
def _validator(model: type[Any]) -> SchemaValidator:
    """Return what makes a dataclass of a table."""
    return SchemaValidator(_strict(TypeAdapter(model).core_schema))


@cache
def _json_schema(model: type[Any]) -> Schema:
    """Return what a table may hold, as a JSON schema with definitions in their places."""
    schema = TypeAdapter(model).json_schema()

    def put_in_place(part: Any) -> Any:
        if isinstance(part, list):
            return [put_in_place(one) for one in part]
        if isinstance(part, dict) and "$ref" in part:
            return put_in_place(schema["$defs"][part["$ref"].rpartition("/")[2]])
        return {k: put_in_place(v) for k, v in part.items()} if isinstance(part, dict) else part

    found: Schema = put_in_place({k: v for k, v in schema.items() if k != "$defs"})
    return found


def _strict(schema: Any) -> Any:
    """Return a core schema in which numbers, flags and texts are never converted.

    pydantic's own strict mode would also refuse a table for a dataclass and an array for a tuple.
    """
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    same = {name: _strict(one) for name, one in schema.items()}
    return {**same, "strict": True} if same.get("type") in ("str", "int", "float", "bool") else same


def _at(schema: Schema, loc: Key) -> list[Schema]:
    """Return what a JSON schema allows at an error's place, which also names types."""
    found = [schema]
    for part in loc:
        rest = "items" if isinstance(part, int) else "additionalProperties"
        inner = [one.get("properties", {}).get(part) or one.get(rest) for one in found]
        found = [one for one in inner if isinstance(one, dict)] or found
        found = [
            one
            for part in found
            for one in ([part] if "expected" in part else part.get("anyOf", [part]))
        ]
    return found


# --- sentences --------------------------------------------------------------------------------


def _sentence(error: ErrorDetails, schema: Schema, place: Key) -> str:
    """Return what was found, what was expected and what may have been meant."""
    kind, loc, value = error["type"], error["loc"], error["input"]
    if kind == "unexpected_keyword_argument":
        known = [name for table in _at(schema, loc[:-1]) for name in table.get("properties", ())]
        return unknown_name("key", str(loc[-1]), known)
    allowed = _at(schema, loc)
    if kind == "missing":
        return f"{loc[-1]} is missing; expected {_expected(allowed, (*place, loc[-1]))}"
    name = _name(place)
    if kind == "value_error":
        shown = name if isinstance(value, dict) else f"{name} = {quoted(value)}"
        return f"{shown}: {error['ctx']['error']}"
    if kind == "literal_error" and isinstance(value, str):
        return unknown_name(name, value, [text for one in allowed for text in one.get("enum", ())])
    if kind.endswith(("_type", "literal_error")):
        return _wrong_type(value, _expected(allowed, place), place)
    return f"{name} = {quoted(value)}: expected {_expected(allowed, place)}"


def _name(key: Key) -> str:
    """Return the last name in a key."""
    return next((part for part in reversed(key) if isinstance(part, str)), "the file")


def _wrong_type(value: object, expected: str, key: Key) -> str:
    """Describe a value of a wrong type.

    >>> _wrong_type("eight", "a whole number", ("shots", "k"))
    "k = 'eight' is text; expected a whole number"
    >>> _wrong_type(True, "text", ("labels", 0)), _wrong_type([8], "text", ("name",))
    ('labels holds true, a boolean; expected text', 'name is an array; expected text')
    """
    shown = str(value).lower() if isinstance(value, bool) else quoted(value)
    shown = shown if isinstance(value, (str, int, float)) else ""
    kind = _KINDS.get(type(value), "a date or a time")
    if key and isinstance(key[-1], int):
        found = f"holds {shown}, {kind}" if shown else f"holds {kind}"
    else:
        found = f"= {shown} is {kind}" if shown else f"is {kind}"
    return f"{_name(key)} {found}; expected {expected}"


_KINDS: dict[type, str] = {
    bool: "a boolean",
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "an array",
    dict: "a table",
}


def _expected(allowed: Sequence[Schema], place: Key = ()) -> str:
    """Describe the values that a place may hold."""
    texts = [_expected_one(one, place) for one in allowed]
    if "a number" in texts:
        texts = [text for text in texts if text != "a whole number"]
    return " or ".join(filter(None, texts))


def _expected_one(schema: Schema, place: Key) -> str:
    path = "" if place and isinstance(place[-1], int) else ".".join(map(str, place))
    match schema:
        case {"expected": str(expected)}:
            return expected
        case {"enum": names}:
            return f"one of {listed(names)}"
        case {"minimum": least, "maximum": most, "type": kind}:
            return f"{_WORDS[kind]} from {least} to {most}"
        case {"minimum": least, "type": kind}:
            return f"{_WORDS[kind]} of {least} or more"
        case {"type": "array", "items": {"type": "object"}} if path:
            return f"[[{path}]] tables"
        case {"type": "array", "items": {"type": _} as items}:
            return f"an array of {_expected([items]).removeprefix('one of ')}"
        case {"type": "object"} if path:
            return f"a table [{path}]"
    return _WORDS.get(schema.get("type", ""), "")


_WORDS = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a table",
    "string": "text",
}
