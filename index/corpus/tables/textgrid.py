"""Praat's TextGrids: the labelled intervals of their tiers, of the long and the short text form.

Praat itself reads nothing of such a file but numbers that stand free, texts in double quotes and
flags in angle brackets; all else, such as ``intervals [2]:`` and ``xmin =``, is for people. So the
long and the short form are one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

from earful.errors import CorpusError
from earful.index.corpus.limits import MAX_CELL
from earful.wording import counted, quoted

Record = dict[str, Any]

_MAX_BYTES: Final = 64 << 20
_MOST_TIERS: Final = 10_000
_BINARY: Final = b"ooBinaryFile"
_HEAD = re.compile(r'\s*(?:File type\s*=\s*)?"(ooTextFile[^"]*)"\s*(?:Object class\s*=\s*)?"(\w+)')
_TOKEN = re.compile(
    r'"(?P<text>[^"]*(?:""[^"]*)*)"'
    r"|<(?P<flag>[^>\n]*)>"
    r"|(?<!\S)(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?!\S)"
    r"|(?<!\S)!.*"
)


def is_textgrid(head: bytes) -> bool:
    r"""Whether a file that begins so is an object of Praat's.

    >>> is_textgrid(b'File type = "ooTextFile"\nObject class = "TextGrid"\n')
    True
    """
    if head.startswith(_BINARY):
        return True
    return _HEAD.match(_decoded(head, "", errors="ignore")) is not None


def read_textgrid(
    file: BufferedIOBase, path: Path, notes: list[str] | None = None
) -> Iterator[tuple[str, Record]]:
    """Read the intervals of a TextGrid that have a label, tier by tier.

    Args:
        file: The file, open at its start.
        path: Its path, for messages.
        notes: Gets a sentence about tiers of points, which are passed over.

    Yields:
        ``("path:line", record)`` with the columns ``start_s``, ``end_s``, ``label`` and ``tier``.

    Raises:
        CorpusError: It is no TextGrid, is damaged or too large, or is of a form that is not read.
    """
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise CorpusError(f"{path}: is larger than {_MAX_BYTES >> 20} MiB; expected a TextGrid")
    if content.startswith(_BINARY):
        raise CorpusError(
            f"{path}: is a binary file of Praat's; expected text: in Praat, Save as text file"
        )
    text = _decoded(content, str(path))
    head = _HEAD.match(text)
    if head is None or head[2] != "TextGrid":
        what = f"Praat's {head[2]}" if head else "no file of Praat's"
        raise CorpusError(f"{path}: is {what}; expected a TextGrid")
    tokens = _Tokens(text, head.end() + 1, path)
    tokens.number("its start")
    tokens.number("its end")
    if tokens.flag() != "exists":
        return
    for _ in range(tokens.count("tiers", _MOST_TIERS)):
        kind, name = tokens.text("the kind of a tier"), tokens.text("the name of a tier")
        tokens.number("the tier's start")
        tokens.number("the tier's end")
        n = tokens.count("intervals or points of the tier", len(text))
        if kind == "IntervalTier":
            for _ in range(n):
                start_s, end_s = tokens.number("an interval's start"), tokens.number("its end")
                label = tokens.text("its label")
                if label.strip():
                    where = f"{path}:{tokens.line}"
                    times = {"start_s": start_s, "end_s": end_s}
                    yield where, {**times, "label": label, "tier": name}
        elif kind == "TextTier":
            for _ in range(n):
                tokens.number("a point's time")
                tokens.text("a point's label")
            if n and notes is not None:
                notes.append(
                    f"{path}: tier {quoted(name)} holds {counted(n, 'point')} in time, which are "
                    "no stretches and are passed over"
                )
        else:
            raise CorpusError(
                f"{path}:{tokens.line}: a tier is of the kind {quoted(kind)}; expected "
                "IntervalTier or TextTier"
            )


class _Tokens:
    """Reads the numbers, texts and flags of a file of Praat's, one after the other."""

    def __init__(self, text: str, position: int, path: Path) -> None:
        self._text, self._path = text, path
        self._found = _TOKEN.finditer(text, position)
        self._counted_to = 0
        self._at = position
        self._n_lines = 1

    @property
    def line(self) -> int:
        """Number of the line in which the last token begins."""
        self._n_lines += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._n_lines

    def number(self, what: str) -> str:
        return self._next("number", f"{what} as a number")

    def text(self, what: str) -> str:
        found = self._next("text", f"{what} in quotes")
        if len(found) > MAX_CELL:
            raise CorpusError(
                f"{self._path}:{self.line}: {what} has {len(found)} characters; expected at most "
                f"{MAX_CELL}"
            )
        return found.replace('""', '"')

    def flag(self) -> str:
        return self._next("flag", "<exists>")

    def count(self, what: str, most: int) -> int:
        found = self.number(f"the number of {what}")
        if not found.isdecimal() or not found.isascii() or len(found) > 9 or int(found) > most:
            raise CorpusError(
                f"{self._path}:{self.line}: has {quoted(found)} {what}; expected a number up to "
                f"{most}"
            )
        return int(found)

    def _next(self, kind: str, expected: str) -> str:
        for found in self._found:
            if found.lastgroup is None:
                continue  # a comment
            self._at = found.start()
            if found.lastgroup != kind:
                raise CorpusError(
                    f"{self._path}:{self.line}: is {quoted(found[0])}; expected {expected}"
                )
            return found[kind]
        self._at = len(self._text)
        raise CorpusError(f"{self._path}:{self.line}: ends here; expected {expected}")


def _decoded(content: bytes, name: str, errors: str = "strict") -> str:
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name}: byte {error.start} is not {'UTF-16' if is_utf16 else 'UTF-8'}; in Praat, "
            "choose UTF-8 under Text writing preferences, and save it again"
        ) from error
