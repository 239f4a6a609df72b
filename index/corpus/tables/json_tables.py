"""JSON tables: an object a line, as JSON Lines and NeMo's manifests are, or a list of objects."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.corpus.limits import MAX_CELL, check_columns
from earful.wording import quoted

Record = dict[str, Any]

_HEAD_BYTES = 64
_READ_BYTES = 1 << 16
# How our own files of events begin, whatever sorted their keys.
_OUR_FILE = re.compile(rb'\{\s*"(?:scan"\s*:\s*\{|(?:events|recordings)"\s*:\s*\[)')
_BLANKS = re.compile(r"[ \t\r\n]*")


def read_json(
    file: BufferedIOBase,
    path: Path,
    text_lines: Callable[[BufferedIOBase, Path], Iterator[str]],
    part: str = "events",
) -> Iterator[tuple[str, Record]]:
    """Read the objects of a JSON table as a stream; of a list one object at a time is held.

    Args:
        file: The file, open at its start.
        path: Its path, for messages.
        text_lines: Reads the lines of a file, bounded and decoded.
        part: Which list of our own files of events is read.

    Yields:
        ``("path:line", record)``, or ``("path:item n", record)`` for a list.

    Raises:
        CorpusError: It is no JSON, or something in it is no object or too large.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    # A list of one object after the other; [1, 2] or ["a"] in a line is a wrong line.
    if start.startswith(b"[") and start[1:].lstrip()[:1] in (b"{", b"", b"]"):
        return _read_list(file, path)
    if _OUR_FILE.match(start):
        return _read_part(file, path, part)
    return _read_lines(text_lines(file, path), path)


def _read_lines(lines: Iterator[str], path: Path) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line, object_pairs_hook=_distinct_keys)
        except RecursionError as error:
            raise CorpusError(f"{where}: is nested too deeply; expected one flat object") from error
        except ValueError as error:
            raise CorpusError(
                f"{where}: is not JSON ({error}); expected one object a line"
            ) from error
        if not isinstance(value, dict):
            kind = (
                "a list" if isinstance(value, list) else f"{type(value).__name__} {quoted(value)}"
            )
            raise CorpusError(f"{where}: is {kind}; expected one object a line")
        check_columns(value, where)
        yield where, value


def _read_list(file: BufferedIOBase, path: Path) -> Iterator[tuple[str, Record]]:
    # Not by ijson, which sets no bound on one object.
    text = _Ahead(file)
    number = 1
    try:
        text.take("[")
        while text.next_sign() != "]":
            value = text.take_object()
            check_columns(value, f"{path}:item {number}")
            yield f"{path}:item {number}", value
            number += 1
            if text.next_sign() != "]":
                text.take(",")
        text.take("]")
        if sign := text.next_sign():
            raise ValueError(f"expected nothing after the list, got {quoted(sign)}")
    except RecursionError as error:
        raise CorpusError(
            f"{path}:item {number}: is nested too deeply; expected one flat object"
        ) from error
    except ValueError as error:
        raise CorpusError(
            f"{path}:item {number}: is not JSON ({error}); expected a list of objects"
        ) from error


def _read_part(file: BufferedIOBase, path: Path, part: str) -> Iterator[tuple[str, Record]]:
    """Read one list of a file that is an object of lists and objects."""
    text, place = _Ahead(file), str(path)
    try:
        text.take("{")
        while text.next_sign() != "}":
            name = text.take_text()
            text.take(":")
            if text.next_sign() == "[":
                text.take("[")
                number = 1
                while text.next_sign() != "]":
                    place = f"{path}:{name} {number}"
                    value = text.take_object()
                    if name == part:
                        check_columns(value, place)
                        yield place, value
                    number += 1
                    if text.next_sign() != "]":
                        text.take(",")
                text.take("]")
            else:
                text.take_object()
            if text.next_sign() != "}":
                text.take(",")
        text.take("}")
    except RecursionError as error:
        raise CorpusError(f"{place}: is nested too deeply; expected one flat object") from error
    except ValueError as error:
        raise CorpusError(f"{place}: is not JSON ({error}); expected an object of lists") from error


class _Ahead:
    """Text of a file from where it is read, of which one object at most is held."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(object_pairs_hook=_distinct_keys)
        self._text, self._position, self._is_all = "", 0, False

    def next_sign(self) -> str:
        """Return the next character that is no blank; ``""`` at the end."""
        while True:
            self._position = _BLANKS.match(self._text, self._position).end()  # type: ignore[union-attr]
            if self._position < len(self._text) or self._is_all:
                return self._text[self._position : self._position + 1]
            self._read_on()

    def take(self, sign: str) -> None:
        """Step over a character that has to be next."""
        if (found := self.next_sign()) != sign:
            what = quoted(found) if found else "the end of the file"
            raise ValueError(f"expected {quoted(sign)}, got {what}")
        self._position += 1

    def take_object(self) -> Record:
        """Return the object that begins here."""
        if (sign := self.next_sign()) != "{":
            raise ValueError(f"expected an object, got {quoted(sign)}")
        record: Record = self._take()
        return record

    def take_text(self) -> str:
        """Return the text that begins here."""
        if (sign := self.next_sign()) != '"':
            raise ValueError(f"expected a text, got {quoted(sign)}")
        return str(self._take())

    def _take(self) -> Any:
        """Return the object or text that begins here."""
        while True:
            try:
                value, self._position = self._json.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                n_ahead = len(self._text) - self._position
                if n_ahead > MAX_CELL:
                    raise ValueError(f"{error}, or longer than {MAX_CELL} characters") from None
                if self._is_all:
                    raise
                # Twice as much, so that a long object is not tried over and over.
                while not self._is_all and len(self._text) - self._position <= 2 * n_ahead:
                    self._read_on()
            else:
                return value

    def _read_on(self) -> None:
        found = self._file.read(_READ_BYTES)
        self._is_all = not found
        self._text = self._text[self._position :] + self._decoder.decode(found, final=not found)
        self._position = 0


def _distinct_keys(pairs: list[tuple[str, Any]]) -> Record:
    record: Record = {}
    for key, value in pairs:
        if key in record:
            raise ValueError(f"key {quoted(key)} occurs twice")
        record[key] = value
    return record
