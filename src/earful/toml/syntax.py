"""TOML mistakes in plain words: what stands on the line, and what to write instead."""

from __future__ import annotations

import re

from earful.wording import quoted

_KEY = re.compile(r"\s*(\[{0,2})\s*([^\s=\[\]#][^=\[\]#]*?)\s*(?:=|\]{1,2})")
_TWICE = re.compile(r"Cannot (overwrite|declare|redefine|mutate)|Duplicate")
_PLAIN = (
    (r"Expected '=' after a key", "a key has no value; expected KEY = VALUE"),
    (r"Expected '\]\]?' at the end", "a heading is not closed; expected [name] or [[name]]"),
    (r"Expected newline or end", "something follows a value; expected a key and a value a line"),
    (r"Invalid initial character for a key|Invalid statement", "expected KEY = VALUE, or [name]"),
    (r"Unclosed array", "a list is not closed, or lacks a comma; expected [one, two]"),
    (r"Unclosed inline table", "a table is not closed; expected {key = value}"),
    (r"Unescaped|hex value|Escaped character", "a backslash means something in quotes; write / "
     "in paths, or 'single quotes'"),
    (r"Invalid value", "a value is none; expected text in quotes, a number, true or false"),
    (r"Invalid date", "a date is none; expected text in quotes"),
)  # fmt: skip


def explain_toml_error(text: str, line: int, message: str) -> str:
    r"""Describe in plain words the mistake in a line.

    Args:
        text: The whole file, with ``\n`` line ends.
        line: Line of the mistake, counted from 1.
        message: What ``tomllib`` says.

    >>> explain_toml_error('name = "x\n', 1, "Illegal character '\\n'")
    'a quote is left open in \'name = "x\'; expected one at either end of a text'
    """
    lines = text.split("\n")
    here = lines[line - 1] if line <= len(lines) else ""
    shown = quoted(here.strip())
    if _TWICE.match(message):
        return _twice(lines, line) or f"{shown} gives again what the lines before gave"
    if "Unterminated string" in message or _has_open_quote(here):
        open_line = next((x for x in lines[:line] if _has_open_quote(x)), here)
        return (
            f"a quote is left open in {quoted(open_line.strip())}; expected one at either end of a "
            "text"
        )
    for pattern, plain in _PLAIN:
        if re.search(pattern, message):
            return f"{shown}: {plain}" if here.strip() else plain
    return f"{shown}: expected KEY = VALUE, with text in quotes"


def _twice(lines: list[str], line: int) -> str:
    """Name a key that is given twice, and where; ``""`` when the line holds no key."""
    again = next((n for n in range(line, 0, -1) if _KEY.match(lines[n - 1])), 0)
    found = _KEY.match(lines[again - 1]) if again else None
    if found is None:
        return ""
    key = found[2].strip()
    root = key.split(".")[0].strip()
    for number, earlier in enumerate(lines[: again - 1], start=1):
        before = _KEY.match(earlier)
        if before is None or before[2].split(".")[0].strip() != root:
            continue
        forms = [
            (m[1] + m[2].strip() + {"[": "]", "[[": "]]", "": " ="}[m[1]]) for m in (before, found)
        ]
        what = quoted(root)
        if forms[0] != forms[1]:
            return (
                f"{what} is given in two ways: {forms[0]} on line {number} and {forms[1]} here; "
                "expected one of them"
            )
        if key == before[2].strip():
            return f"{what} is given twice, on line {number} and here; expected it once"
    return f"{quoted(key)} is given twice; expected it once"


def _has_open_quote(line: str) -> bool:
    """Whether a line of plain texts has a quote without its other half."""
    closed = re.sub(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', "", line.replace('"""', "").replace("'''", ""))
    before_comment = closed.split("#", 1)[0]
    return '"' in before_comment or "'" in before_comment
