"""TOML files with line numbers, read within fixed bounds.

``tomllib`` parses but does not give the line of a key. Once it has accepted a text, a small
scanner walks over the same text and records the lines: it only needs to know where strings,
arrays and tables begin and end, and nothing about values.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from earful.rag.task.toml_errors import explain_toml_error
from earful.wording import printable

Key = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_KEY_PARTS = 20

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{1,2})?'
    r"|'''.*?'''(?:'{1,2})?"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)

# Strings and comments, in which dots mean nothing; one left open runs to the text's end.
_NO_KEYS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*+(?:"|\\?$)'
    r"|'[^'\n]*+(?:'|$)"
    r"|#[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_DEEP_KEY = re.compile(rf"(?:\.[^.,=\[\]{{}}\n]*){{{MAX_KEY_PARTS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProblem:
    """One mistake in a task file, or in a table that it names.

    Attributes:
        where: ``"file:line"``.
        what: What was found there and what was expected.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """A parsed TOML file.

    Attributes:
        path: The file.
        values: Its values, from ``tomllib``.
        lines: Line of every key, table and array element, counted from 1.
    """

    path: Path
    values: Mapping[str, object]
    lines: Mapping[Key, int]

    def line(self, *key: str | int) -> int:
        """Return the line of a key, or of the nearest table around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_bounded_toml(path: Path) -> TomlFile | TaskProblem:
    """Read a TOML file within bounds, so that no file takes long or much memory.

    A file has at most ``MAX_BYTES``, a key at most ``MAX_KEY_PARTS`` parts; a text that
    ``tomllib`` cannot read for its depth or the length of its numbers is refused as well.

    Returns:
        The file, or why it cannot be read.
    """

    def problem(what: str, line: int = 0) -> TaskProblem:
        return TaskProblem(where=f"{path}:{line}" if line else str(path), what=what)

    # Bytes: of a regular file, and not too many.
    try:
        if not path.is_file():
            found = "is a folder or a device" if path.exists() else "does not exist"
            return problem(f"{found}; expected a TOML file")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return problem(f"cannot be read ({error.strerror})")
    if len(data) > MAX_BYTES:
        return problem(
            f"has {path.stat().st_size} bytes; a task file has at most {MAX_BYTES}. Put examples "
            "in a table"
        )
    # Text: UTF-8, without keys on which tomllib takes hours (100,000 parts).
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return problem("is not UTF-8 text; save the file as UTF-8", line)
    if deep := _DEEP_KEY.search(_NO_KEYS.sub(_line_ends, text)):
        line = deep.string.count("\n", 0, deep.start()) + 1
        return problem(
            f"a key has more than {MAX_KEY_PARTS} parts; a task file needs at most 3", line
        )
    # Values.
    try:
        return TomlFile(path=path, values=tomllib.loads(text), lines=find_lines(text))
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        said = _POSITION.sub("", str(error))
        plain = explain_toml_error(text, line, said)
        return problem(f"is not TOML: {plain} ({printable(said)})", line)
    except RecursionError:
        return problem("is nested too deeply for a task file")
    except ValueError as error:  # a whole number of thousands of digits
        return problem(f"is not TOML: {error}")


def _line_ends(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def find_lines(text: str) -> dict[Key, int]:
    r"""Find the line of every key, table and array element of a valid TOML text.

    Args:
        text: TOML that ``tomllib`` accepts, with ``\n`` line ends.

    >>> find_lines('a = 1\n[b]\nc = [2,\n3]')
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 3, ('b', 'c', 1): 4}
    """
    return _Scanner(text).lines


class _Scanner:
    """Walks over a TOML text and records the line of every key in ``lines``."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._last_element: dict[Key, int] = {}
        table: Key = ()
        self._skip(_GAP)
        while self._at < len(text):
            if text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _header(self) -> Key:
        start = self._at
        n_brackets = 2 if self._text.startswith("[[", start) else 1
        self._at += n_brackets
        *outer, name = self._dotted()
        self._at += n_brackets
        table: Key = ()
        for part in outer:
            table = self._inside((*table, part))
            self._record(table, start)
        table = (*table, name)
        self._record(table, start)
        if n_brackets == 2:
            self._last_element[table] = self._last_element.get(table, -1) + 1
            table = self._inside(table)
            self._record(table, start)
            return table
        return self._inside(table)

    def _inside(self, table: Key) -> Key:
        """Return the latest element where a table is an array of tables, else the table."""
        return (*table, self._last_element[table]) if table in self._last_element else table

    def _pair(self, table: Key) -> None:
        start = self._at
        for part in self._dotted():
            table = (*table, part)
            self._record(table, start)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(table)

    def _dotted(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if self._text[self._at] in "\"'":
                token = self._skip(_STRING)
                parts.append(tomllib.loads(f"key = {token}")["key"])
            else:
                parts.append(self._skip(_BARE_KEY))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, key: Key) -> None:
        opening = self._text[self._at]
        if opening in "\"'":
            self._skip(_STRING)
        elif opening == "[":
            self._items(key, "]")
        elif opening == "{":
            self._items(key, "}")
        else:
            self._skip(_BARE_VALUE)

    def _items(self, key: Key, closing: str) -> None:
        self._at += 1
        n_items = 0
        self._skip(_GAP)
        while self._text[self._at] != closing:
            if closing == "]":
                self._record((*key, n_items), self._at)
                self._value((*key, n_items))
                n_items += 1
            else:
                self._pair(key)
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not TOML at character {self._at}")
        self._at = match.end()
        return match[0]

    def _record(self, key: Key, position: int) -> None:
        self.lines.setdefault(key, bisect_right(self._breaks, position - 1) + 1)
