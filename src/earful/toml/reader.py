"""Tables of a TOML file as dataclasses, checked by pydantic; every mistake has its line."""

from __future__ import annotations

from collections.abc import Mapping
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
        validator, schema = _compile(model)
        try:
            read: Model = validator.validate_python(values)
            return read
        except ValidationError as error:
            details = error.errors(include_url=False)
        self._report_all(details, schema, key)
        wrong = {name for one in details for name in one["loc"][:1]}
        table = values if isinstance(values, dict) else {}
        try:
            rest: Model = validator.validate_python(
                {name: value for name, value in table.items() if name not in wrong}
            )
            return rest
        except ValidationError:
            return None

    def _report_all(self, details: list[ErrorDetails], schema: Schema, key: Key) -> None:
        """Report pydantic's errors, those of one value once."""
        found: dict[tuple[Key, str], ErrorDetails] = {}
        for one in details:
            is_missing = one["type"] == "missing"
            place = (self._file_key(key, one["loc"]), str(one["loc"][-1]) if is_missing else "")
            found.setdefault(place, one)
        deeper = {place[:n] for place, _ in found for n in range(len(place))}
        for (place, missing), one in found.items():
            # A table that may have two forms is wrong in its own way, not for being no array.
            if missing or place not in deeper or not one["type"].endswith("_type"):
                self.report(_sentence(one, schema, place), *place)

    def _file_key(self, key: Key, loc: Key) -> Key:
        """Return the key in the file of an error's place, which also names types."""
        for part in loc:
            if (*key, part) in self.toml.lines:
                key = (*key, part)
        return key


# --- pydantic's view of a dataclass ----------------------------------------------------------


@cache
def _compile(model: type[Any]) -> tuple[SchemaValidator, Schema]:
    """Return a dataclass's validator and its JSON schema."""
    adapter = TypeAdapter(model)
    return SchemaValidator(_strict(adapter.core_schema)), adapter.json_schema()


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


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """Return a JSON schema's alternatives, references resolved."""
    if "$ref" in schema:
        return _alternatives(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root)
    return (
        [one for part in schema["anyOf"] for one in _alternatives(part, root)]
        if "anyOf" in schema
        else [schema]
    )


def _find_schema(root: Schema, loc: Key) -> Schema:
    """Return the JSON schema of an error's place, whose parts may be names of types."""
    found: Schema = root
    for part in loc:
        for one in _alternatives(found, root):
            inner = one.get("items") if isinstance(part, int) else one.get("additionalProperties")
            inner = one.get("properties", {}).get(part, inner)
            if isinstance(inner, dict):
                found = inner
    return found


# --- sentences --------------------------------------------------------------------------------


def _sentence(error: ErrorDetails, root: Schema, place: Key) -> str:
    """Return what is wrong, what was expected and what was found."""
    kind, loc, value = error["type"], error["loc"], error["input"]
    if kind == "unexpected_keyword_argument":
        tables = _alternatives(_find_schema(root, loc[:-1]), root)
        known = [name for table in tables for name in table.get("properties", ())]
        return unknown_name("key", str(loc[-1]), known)
    schema = _find_schema(root, loc)
    if kind == "missing":
        return f"{loc[-1]} is missing; expected {_expected(schema, root, (*place, loc[-1]))}"
    name = _name(place)
    if kind == "value_error":
        shown = name if isinstance(value, dict) else f"{name} = {quoted(value)}"
        return f"{shown}: {error['ctx']['error']}"
    if kind == "literal_error" and isinstance(value, str):
        alternatives = _alternatives(schema, root)
        return unknown_name(name, value, [x for one in alternatives for x in one.get("enum", ())])
    expected = _expected(schema, root, place)
    if kind.endswith(("_type", "literal_error")):
        return _wrong_type(value, expected, place)
    return f"{name} = {quoted(value)}: expected {expected}"


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
    has_short = isinstance(value, (str, int, float))
    if key and isinstance(key[-1], int):
        found = f"holds {shown}, {_toml_type(value)}" if has_short else f"holds {_toml_type(value)}"
    else:
        found = f"= {shown} is {_toml_type(value)}" if has_short else f"is {_toml_type(value)}"
    return f"{_name(key)} {found}; expected {expected}"


def _expected(schema: Schema, root: Schema, place: Key = ()) -> str:
    """Describe the values that a JSON schema allows."""
    if "expected" in schema:
        return str(schema["expected"])
    texts = [_expected_one(one, root, place) for one in _alternatives(schema, root)]
    if "a number" in texts:
        texts = [text for text in texts if text != "a whole number"]
    return " or ".join(filter(None, texts))


def _expected_one(schema: Schema, root: Schema, place: Key) -> str:
    kind = schema.get("type")
    if "enum" in schema:
        return f"one of {listed(schema['enum'])}"
    if kind in ("integer", "number"):
        least, most = schema.get("minimum"), schema.get("maximum")
        bounds = f" from {least} to {most}" if most is not None else f" of {least} or more"
        return _WORDS[kind] + ("" if least is None else bounds)
    if kind == "array":
        items = _expected(schema.get("items", {}), root)
        if items == "a table" and place:
            return f"[[{'.'.join(map(str, place))}]] tables"
        return f"an array of {items.removeprefix('one of ')}" if items else "an array"
    if kind == "object" and place and not isinstance(place[-1], int):
        return f"a table [{'.'.join(map(str, place))}]"
    return _WORDS.get(str(kind), "")


_WORDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a table",
    "string": "text",
}


def _toml_type(value: object) -> str:
    """Return the name of a TOML value's type, as a message gives it."""
    names = {
        bool: "a boolean",
        str: "text",
        int: "a whole number",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
    return names.get(type(value), "a date or a time")
