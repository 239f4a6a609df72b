"""Typed values out of a task file: a wrong one is noted with its line, never guessed."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TypeVar

from earful.index.corpus import name_fault, text_fault
from earful.rag.task.task import MAX_SHOTS
from earful.rag.task.toml_file import Problem, TomlFile
from earful.wording import quoted, unknown_name

Choice = TypeVar("Choice", bound=str)

# Whoever has mended so many looks again; a file made to have a million ends here.
MAX_PROBLEMS = 100


class TooManyProblemsError(Exception):
    """So many mistakes were noted that the rest is not looked at."""


class FieldReader:
    """Reads the fields of one file; for a wrong one it notes why and returns the default.

    In every method ``key`` leads to the table that ``values`` is, so that the line of a
    field can be found.
    """

    def __init__(self, toml: TomlFile) -> None:
        self.toml = toml
        self._found: list[tuple[int, Problem]] = []

    @property
    def n_problems(self) -> int:
        """How many mistakes were noted so far."""
        return len(self._found)

    def problems(self) -> tuple[Problem, ...]:
        """Return what was noted, in the order of the file's lines."""
        return tuple(problem for _, problem in sorted(self._found, key=lambda found: found[0]))

    def note(self, what: str, *key: str | int, where: str = "") -> None:
        """Note a mistake at a key of the file.

        Args:
            what: What is wrong and what is wanted.
            key: Where it stands.
            where: ``"file:line"`` to show instead, for a row of a table that the key names.

        Raises:
            TooManyProblemsError: It is mistake number ``MAX_PROBLEMS``.
        """
        line = self.toml.line(*key)
        self._found.append((line, Problem(where=where or f"{self.toml.path}:{line}", what=what)))
        if len(self._found) >= MAX_PROBLEMS:
            raise TooManyProblemsError

    def known_keys(
        self, values: Mapping[str, object], known: Sequence[str], *key: str | int
    ) -> None:
        """Note every key that is none of those known."""
        for name in values:
            if name not in known:
                self.note(unknown_name("key", name, known), *key, name)

    def table(self, values: Mapping[str, object], name: str) -> Mapping[str, object]:
        """Read a table; empty when it is missing or wrong."""
        found = values.get(name, {})
        if isinstance(found, dict):
            return found
        self.note(f"{what_is(name, found)}; want a table [{name}]", name)
        return {}

    def text(self, values: Mapping[str, object], name: str, default: str, *key: str | int) -> str:
        """Read a text."""
        found = values.get(name, default)
        if isinstance(found, str):
            if what := text_fault(found):
                self.note(f"{name} {quoted(found)} {what}", *key, name)
            return found
        self.note(f"{what_is(name, found)}; want text", *key, name)
        return default

    def flag(self, values: Mapping[str, object], name: str, *key: str | int) -> bool | None:
        """Read yes or no; ``None`` when it is missing or wrong."""
        found = values.get(name)
        if found is None or isinstance(found, bool):
            return found
        self.note(f"{what_is(name, found)}; want true or false", *key, name)
        return None

    def texts(self, values: Mapping[str, object], name: str, *key: str | int) -> tuple[str, ...]:
        """Read an array of text."""
        found = values.get(name, [])
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            for row, text in enumerate(found):
                if what := name_fault(text):
                    self.note(f"{name} {quoted(text)} {what}", *key, name, row)
            return tuple(found)
        self.note(f"{name} is not an array of text", *key, name)
        return ()

    def choices(
        self, values: Mapping[str, object], name: str, known: Sequence[Choice], *key: str | int
    ) -> tuple[Choice, ...]:
        """Read an array of some of a few names."""
        found = self.texts(values, name, *key)
        for row, text in enumerate(found):
            if text not in known:
                self.note(unknown_name(name, text, known), *key, name, row)
        return tuple(choice for choice in known if choice in found)

    def choice(
        self,
        values: Mapping[str, object],
        name: str,
        known: Sequence[Choice],
        default: Choice,
        *key: str | int,
    ) -> Choice:
        """Read one of a few names."""
        found = self.text(values, name, default, *key)
        for choice in known:
            if choice == found:
                return choice
        self.note(unknown_name(name, found, known), *key, name)
        return default

    def count(self, values: Mapping[str, object], name: str, *key: str | int) -> int | None:
        """Read a number of shots; ``None`` when it is missing or wrong."""
        found = values.get(name)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool):
            self.note(f"{what_is(name, found)}; want a whole number", *key, name)
            return None
        if not 1 <= found <= MAX_SHOTS:
            self.note(f"{name} = {quoted(found)}; want 1 to {MAX_SHOTS}", *key, name)
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
            self.note(f"{what_is(name, found)}; want a number", *key, name)
            return default
        # Compared as it is: a whole number may be too large to become a float.
        if not 0 <= found <= min(most, sys.float_info.max):
            upper = "or more" if most == math.inf else f"to {most:g}"
            self.note(f"{name} = {quoted(found)}; want 0 {upper}", *key, name)
            return default
        return float(found)


def what_is(name: str, value: object) -> str:
    """Say what was found at a key, and of what type it is.

    >>> what_is("k", "eight"), what_is("k", True), what_is("k", [8])
    ("k = 'eight' is text", 'k = true is a boolean', 'k is an array')
    """
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()} is {kind_of(value)}"
    shown = f" = {quoted(value)}" if isinstance(value, (str, int, float)) else ""
    return f"{name}{shown} is {kind_of(value)}"


def kind_of(value: object) -> str:
    """Name a TOML value's type as TOML's own documentation does."""
    names = {
        bool: "a boolean",
        str: "text",
        int: "a whole number",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
    return names.get(type(value), "a date or a time")
