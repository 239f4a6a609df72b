"""Line numbers of the keys in a TOML text, which ``tomllib`` does not give."""

from __future__ import annotations

import re
import tomllib

Key = tuple[str | int, ...]
Tokens = list[tuple[str, int]]

# A string that is left open runs to the end of its line or of the text, so that no text is
# scanned twice.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*+(?:"|\\?$)'
    r"|'[^'\n]*+(?:'|$)"
    r"|#[^\n]*"
    r"|[\n.,=\[\]{}]"
    r"|[^\s.,=\[\]{}\"'#]+",
    re.DOTALL | re.MULTILINE,
)


def split_tokens(text: str) -> Tokens:
    r"""Split any text into the tokens of TOML and the line of each, without comments.

    >>> split_tokens('a.b = "c" # d\n')
    [('a', 1), ('.', 1), ('b', 1), ('=', 1), ('"c"', 1), ('\n', 1)]
    """
    tokens: Tokens = []
    line = 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] != "#":
            tokens.append((token, line))
        line += token.count("\n")
    return tokens


def find_deep_key(tokens: Tokens, n_parts: int) -> int:
    """Return the line of the first key with more parts than that; 0 when there is none."""
    n_dots = 0
    for token, line in tokens:
        if token == ".":
            n_dots += 1
        elif token in "\n,=[]{}":
            n_dots = 0
        if n_dots >= n_parts:
            return line
    return 0


def find_lines(tokens: Tokens) -> dict[Key, int]:
    r"""Find the line of every key, table and array element.

    Args:
        tokens: Of a text that ``tomllib`` accepts.

    >>> find_lines(split_tokens('a = 1\n[b]\nc = [2,\n3]'))
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 0): 3, ('b', 'c', 1): 4}
    """
    return _Scanner(tokens).lines


class _Scanner:
    """Walks over the tokens, and needs to know nothing about values but where they end."""

    def __init__(self, tokens: Tokens) -> None:
        self.lines: dict[Key, int] = {}
        self._left = [*reversed(tokens)]
        self._last_element: dict[Key, int] = {}
        table: Key = ()
        while self._skip_line_ends():
            if self._next == "[":
                table = self._header()
            else:
                self._pair(table)

    @property
    def _next(self) -> str:
        return self._left[-1][0] if self._left else ""

    def _skip_line_ends(self) -> bool:
        """Go to the next token that is no line end; whether there is one."""
        while self._next == "\n":
            self._left.pop()
        return bool(self._left)

    def _header(self) -> Key:
        n_brackets = 2 if self._left[-2][0] == "[" else 1
        del self._left[-n_brackets:]
        table: Key = ()
        for part, line in self._dotted():
            table = (*self._inside(table), part)
            self.lines.setdefault(table, line)
        del self._left[-n_brackets:]
        if n_brackets == 2:
            self._last_element[table] = self._last_element.get(table, -1) + 1
            self.lines[self._inside(table)] = line
        return self._inside(table)

    def _inside(self, table: Key) -> Key:
        """Return the latest element where a table is an array of tables, else the table."""
        return (*table, self._last_element[table]) if table in self._last_element else table

    def _pair(self, table: Key) -> None:
        for part, line in self._dotted():
            table = (*table, part)
            self.lines.setdefault(table, line)
        self._left.pop()  # the equals sign
        self._value(table)

    def _dotted(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            token, line = self._left.pop()
            if token[0] in "\"'":
                token = tomllib.loads(f"key = {token}")["key"]
            parts.append((token, line))
            if self._next != ".":
                return parts
            self._left.pop()

    def _value(self, key: Key) -> None:
        if self._next not in ("[", "{"):
            while self._next not in ("\n", ",", "]", "}", ""):
                self._left.pop()
            return
        is_array = self._left.pop()[0] == "["
        n_items = 0
        while self._skip_line_ends() and self._next not in ("]", "}"):
            if self._next == ",":
                self._left.pop()
            elif is_array:
                self.lines[(*key, n_items)] = self._left[-1][1]
                self._value((*key, n_items))
                n_items += 1
            else:
                self._pair(key)
        self._left.pop()
