"""TOML files, read within fixed bounds, so that no file takes long or much memory."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from earful.toml.lines import Key, Tokens, find_deep_key, find_lines, split_tokens
from earful.toml.syntax import explain_toml_error
from earful.wording import printable

MAX_BYTES = 1_000_000
MAX_KEY_PARTS = 20

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlProblem:
    """One mistake in a file, or in a table that it names.

    Attributes:
        where: ``"file:line"``.
        what: What was found there and what was expected.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class TomlFile:
    """A parsed TOML file.

    Attributes:
        path: The file.
        values: Its values, from ``tomllib``.
    """

    def __init__(self, path: Path, values: Mapping[str, object], tokens: Tokens) -> None:
        self.path = path
        self.values = values
        self._tokens = tokens

    @cached_property
    def lines(self) -> Mapping[Key, int]:
        """Line of every key, table and array element, counted from 1."""
        return find_lines(self._tokens)

    def line(self, *key: str | int) -> int:
        """Return the line of a key, or of the nearest table around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_toml(path: Path, kind: str) -> TomlFile | TomlProblem:
    """Read a TOML file.

    A file has at most ``MAX_BYTES``, a key at most ``MAX_KEY_PARTS`` parts; a text that
    ``tomllib`` cannot read for its depth or the length of its numbers is refused as well.

    Args:
        path: The file.
        kind: What it is, for messages, such as ``"task file"``.

    Returns:
        The file, or why it cannot be read.
    """

    def problem(what: str, line: int = 0) -> TomlProblem:
        return TomlProblem(where=f"{path}:{line}" if line else str(path), what=what)

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
            f"has {path.stat().st_size} bytes; a {kind} has at most {MAX_BYTES}. Put long lists "
            "in a table beside it"
        )
    # Text: UTF-8, without keys on which tomllib takes hours (100,000 parts).
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return problem("is not UTF-8 text; save the file as UTF-8", line)
    tokens = split_tokens(text)
    if line := find_deep_key(tokens, MAX_KEY_PARTS):
        return problem(f"a key has more than {MAX_KEY_PARTS} parts; a {kind} needs at most 3", line)
    # Values.
    try:
        return TomlFile(path, tomllib.loads(text), tokens)
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        said = _POSITION.sub("", str(error))
        plain = explain_toml_error(text, line, said)
        return problem(f"is not TOML: {plain} ({printable(said)})", line)
    except RecursionError:
        return problem(f"is nested too deeply for a {kind}")
    except ValueError as error:  # a whole number of thousands of digits
        return problem(f"is not TOML: {error}")
