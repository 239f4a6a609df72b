"""Typed fields of a task file: a wrong value is reported with its line, never guessed."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TypeVar

from earful.index.corpus import name_fault, text_fault
from earful.rag.task.task import MAX_SHOTS
from earful.rag.task.toml_file import TaskProblem, TomlFile
from earful.wording import quoted, unknown_name

Choice = TypeVar("Choice", bound=str)

# Enough to correct in one go; a file made to have a million mistakes is left here.
MAX_PROBLEMS = 100


class TooManyProblemsError(Exception):
    """So many mistakes were reported that the rest of the file is not read."""


class FieldReader:
    """Reads the fields of one file; a wrong one is reported, and its default returned.

    In every method ``key`` is the path of the table ``values`` in the file, by which the
    line of a field is found.
    """

    def __init__(self, toml: TomlFile) -> None:
        self.toml = toml
        self._found: list[tuple[int, TaskProblem]] = []

    @property
    def n_problems(self) -> int:
        """Number of mistakes so far."""
        return len(self._found)

    def problems(self) -> tuple[TaskProblem, ...]:
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
        self._found.append((line, TaskProblem(where=place, what=what)))
        if len(self._found) >= MAX_PROBLEMS:
            raise TooManyProblemsError

    def check_keys(
        self, values: Mapping[str, object], known: Sequence[str], *key: str | int
    ) -> None:
        """Report every key that is none of those known."""
        for name in values:
            if name not in known:
                self.report(unknown_name("key", name, known), *key, name)

    def table(self, values: Mapping[str, object], name: str) -> Mapping[str, object]:
        """Read a table; empty when it is missing or wrong."""
        found = values.get(name, {})
        if isinstance(found, dict):
            return found
        self.report(f"{describe_value(name, found)}; expected a table [{name}]", name)
        return {}

    def text(self, values: Mapping[str, object], name: str, default: str, *key: str | int) -> str:
        """Read a text."""
        found = values.get(name, default)
        if isinstance(found, str):
            if what := text_fault(found):
                self.report(f"{name} {quoted(found)} {what}", *key, name)
            return found
        self.report(f"{describe_value(name, found)}; expected text", *key, name)
        return default

    def flag(self, values: Mapping[str, object], name: str, *key: str | int) -> bool | None:
        """Read a boolean; ``None`` when it is missing or wrong."""
        found = values.get(name)
        if found is None or isinstance(found, bool):
            return found
        self.report(f"{describe_value(name, found)}; expected true or false", *key, name)
        return None

    def texts(self, values: Mapping[str, object], name: str, *key: str | int) -> tuple[str, ...]:
        """Read an array of text."""
        found = values.get(name, [])
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            for row, text in enumerate(found):
                if what := name_fault(text):
                    self.report(f"{name} {quoted(text)} {what}", *key, name, row)
            return tuple(found)
        self.report(f"{name} is not an array of text", *key, name)
        return ()

    def choices(
        self, values: Mapping[str, object], name: str, known: Sequence[Choice], *key: str | int
    ) -> tuple[Choice, ...]:
        """Read an array that holds some of the known names."""
        found = self.texts(values, name, *key)
        for row, text in enumerate(found):
            if text not in known:
                self.report(unknown_name(name, text, known), *key, name, row)
        return tuple(choice for choice in known if choice in found)

    def choice(
        self,
        values: Mapping[str, object],
        name: str,
        known: Sequence[Choice],
        default: Choice,
        *key: str | int,
    ) -> Choice:
        """Read one of the known names."""
        found = self.text(values, name, default, *key)
        for choice in known:
            if choice == found:
                return choice
        self.report(unknown_name(name, found, known), *key, name)
        return default

    def count(self, values: Mapping[str, object], name: str, *key: str | int) -> int | None:
        """Read a number of shots; ``None`` when it is missing or wrong."""
        found = values.get(name)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool):
            self.report(f"{describe_value(name, found)}; expected a whole number", *key, name)
            return None
        if not 1 <= found <= MAX_SHOTS:
            self.report(f"{name} = {quoted(found)}: expected 1 to {MAX_SHOTS}", *key, name)
            return None
        return found

    def number(
        self,
        values: Mapping[str, object],
        name: str,
        default: float | None,
        *key: str | int,
        most: float = math.inf,
    ) -> float | None:
        """Read a finite number from 0 to ``most``."""
        found = values.get(name)
        if found is None:
            return default
        if not isinstance(found, (int, float)) or isinstance(found, bool):
            self.report(f"{describe_value(name, found)}; expected a number", *key, name)
            return default
        # Compared before it is converted: a whole number may be too large for a float.
        if not 0 <= found <= min(most, sys.float_info.max):
            upper = "or more" if most == math.inf else f"to {most:g}"
            self.report(f"{name} = {quoted(found)}: expected 0 {upper}", *key, name)
            return default
        return float(found)


def describe_value(name: str, value: object) -> str:
    """Describe the value of a key and its type, for a message.

    >>> describe_value("k", "eight"), describe_value("k", True), describe_value("k", [8])
    ("k = 'eight' is text", 'k = true is a boolean', 'k is an array')
    """
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()} is {toml_type(value)}"
    shown = f" = {quoted(value)}" if isinstance(value, (str, int, float)) else ""
    return f"{name}{shown} is {toml_type(value)}"


def toml_type(value: object) -> str:
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
