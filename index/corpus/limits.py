"""Limits on texts from tables and task files: their length and their characters.

Names (labels, ids, groups) are printed on one line and compared by eye, so they are short
and hold no character that is invisible or changes the direction of text. Questions and
answers may have line breaks and tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from earful.errors import CorpusError
from earful.index.corpus.exemplar import to_nfc
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index.corpus.exemplar import Exemplar

# A label is a few words; a thousand characters is a text in the wrong column.
MAX_NAME = 1_000
# The longest path that Linux opens; ids and groups are often made from paths.
MAX_PATH = 4_096
# About 20,000 words: many times what a language model takes as one prompt.
MAX_TEXT = 100_000
# Other columns may hold whole JSON documents; it also bounds a line of a table.
MAX_CELL = 1 << 20
MAX_LABELS = 1_000
# Beyond this a table is a matrix, and every row would keep all of it as further columns.
MAX_COLUMNS = 1_000

# C0, DEL and C1, but for tab and line ends; halves of characters, which no file can hold.
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Those, tabs, line ends, marks that change the direction of text, and byte-order marks.
_NOT_IN_NAMES = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def name_fault(text: str) -> str:
    r"""Explain why a text cannot be a label or another name; empty when it can.

    >>> name_fault("dog"), name_fault("dog\x1b[31m")
    ('', 'holds the character U+001B; expected text without control characters')
    """
    return _size_fault(text, MAX_NAME) or _character_fault(text, _NOT_IN_NAMES)


def text_fault(text: str) -> str:
    r"""Explain why a text cannot be a question or an answer; empty when it can.

    >>> text_fault("two\nlines"), text_fault("a\0")
    ('', 'holds the character U+0000; expected text without control characters')
    """
    return _size_fault(text, MAX_TEXT) or _character_fault(text, _NOT_IN_TEXT)


def exemplar_fault(exemplar: Exemplar, *, check_characters: bool = True) -> str:
    """Explain which field of an exemplar breaks the limits; empty when none does.

    An id that was made from a file's name may be as odd as that name: files may have any
    name, and it is escaped wherever it is shown.

    Args:
        exemplar: From a row of a corpus.
        check_characters: Whether control characters are refused, too.
    """
    for kind, names in (("labels", exemplar.labels), ("not_labels", exemplar.not_labels)):
        if len(names) > MAX_LABELS:
            return f"has {len(names)} {kind}; expected at most {MAX_LABELS}"
    for field, text, most, forbidden in _fields(exemplar):
        fault = _size_fault(text, most)
        if not fault and check_characters:
            fault = _character_fault(text, forbidden)
        if fault:
            return f"{field} {quoted(text)} {fault}"
    return ""


def check_columns(names: Iterable[str], where: str) -> None:
    """Check the names of a table's columns.

    Raises:
        CorpusError: There are too many, one is too long, or one occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise CorpusError(
                f"{where}: column {quoted(name)} occurs twice; expected distinct names"
            )
        if len(name) > MAX_NAME:
            raise CorpusError(
                f"{where}: column {quoted(name)} has a name of {len(name)} characters; expected "
                f"at most {MAX_NAME}"
            )
        seen.add(name)
        if len(seen) > MAX_COLUMNS:
            raise CorpusError(
                f"{where}: has more than {MAX_COLUMNS} columns; expected a table with a row per "
                "recording, its labels in one column"
            )


def _fields(exemplar: Exemplar) -> Iterator[tuple[str, str, int, re.Pattern[str]]]:
    """Yield each text of an exemplar with its name, its size limit and forbidden characters."""
    if not exemplar.id.startswith(to_nfc(str(exemplar.audio))):
        yield "id", exemplar.id, MAX_PATH, _NOT_IN_NAMES
    for label in exemplar.labels:
        yield "label", label, MAX_NAME, _NOT_IN_NAMES
    for label in exemplar.not_labels:
        yield "not_labels", label, MAX_NAME, _NOT_IN_NAMES
    yield "group", exemplar.group, MAX_PATH, _NOT_IN_NAMES
    yield "task", exemplar.task, MAX_NAME, _NOT_IN_NAMES
    yield "split", exemplar.split, MAX_NAME, _NOT_IN_NAMES
    yield "licence", exemplar.licence, MAX_NAME, _NOT_IN_NAMES
    yield "question", exemplar.question, MAX_TEXT, _NOT_IN_TEXT
    yield "answer", exemplar.answer, MAX_TEXT, _NOT_IN_TEXT
    for column, text in exemplar.meta.items():
        yield f"column {quoted(column)}", text, MAX_CELL, _NOT_IN_TEXT


def _size_fault(text: str, most: int) -> str:
    return f"has {len(text)} characters; expected at most {most}" if len(text) > most else ""


def _character_fault(text: str, forbidden: re.Pattern[str]) -> str:
    found = forbidden.search(text)
    if found is None:
        return ""
    what = (
        "a line break" if found[0] in "\n\r\u2028\u2029" else f"the character U+{ord(found[0]):04X}"
    )
    return f"holds {what}; expected text without control characters"
