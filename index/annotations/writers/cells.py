"""Cells of tables: numbers, moments and strangers' texts, written the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from earful.index.corpus import guarded

# What tables with tabs cannot hold: whatever any program takes for an end of a line, and tabs.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# No text file holds these: NUL, and halves of characters.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_NEEDS_QUOTES = re.compile('[,"\n\r]|^\\s|\\s$')

SCORE_DIGITS: Final = 4


def seconds(value: float | None) -> str:
    """Return seconds with three decimals; empty for none.

    >>> seconds(1.5), seconds(None)
    ('1.500', '')
    """
    return number(value, 3)


def number(value: float | None, digits: int = SCORE_DIGITS) -> str:
    """Return a number with so many decimals; empty for none.

    >>> number(0.5), number(-0.00001)
    ('0.5000', '0.0000')
    """
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def moment(value: datetime | None) -> str:
    """Return a moment in ISO 8601: with its offset, or without where the zone is unknown."""
    if value is None:
        return ""
    rounded = in_ms(value)
    return rounded.isoformat(timespec="milliseconds" if rounded.microsecond else "seconds")


def in_ms(value: datetime) -> datetime:
    """Return a moment without what is below a millisecond."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def in_utc(value: datetime) -> datetime:
    """Return a moment in UTC; one without a zone as it is."""
    return in_ms(value if value.tzinfo is None else value.astimezone(UTC))


def plain(text: str) -> str:
    r"""Return a text that UTF-8 can hold, with a mark for each character that it cannot.

    >>> plain("a\0")
    'a\ufffd'
    """
    return _UNWRITABLE.sub("\ufffd", text)


def one_line(text: str) -> str:
    r"""Return a text for a table with tabs: tabs and line ends become a blank.

    Such tables have no quotes by their programs' rules, but what reads them often takes one at the
    start of a cell for the start of a text with tabs and line ends in it, so that one becomes a
    typographic one.

    >>> one_line("two\tcells\nand lines"), one_line('"so" it sings')
    ('two cells and lines', '“so" it sings')
    """
    text = plain(_BREAKS.sub(" ", text)).strip()
    return f"\u201c{text[1:]}" if text.startswith('"') else text


def csv_line(cells: Iterable[str]) -> str:
    """Return a line of CSV; cells have quotes where they need them."""
    return ",".join(map(_quoted, cells)) + "\n"


def csv_text(text: str) -> str:
    """Return a text as a cell of CSV that no spreadsheet runs as a formula."""
    return guarded(plain(text))


def tab_line(cells: Iterable[str]) -> str:
    """Return a line of a table with tabs."""
    return "\t".join(cells) + "\n"


def _quoted(cell: str) -> str:
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if _NEEDS_QUOTES.search(cell) else cell
