"""Tables with a column per class, each ``POS``, ``NEG`` or ``UNK``, as DCASE's few-shot task has.

``Audiofilename,Starttime,Endtime,CLASS_1,CLASS_2,...``, or a single column ``Q`` for whatever
class the recording is about.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from earful.errors import CorpusError
from earful.wording import quoted

Record = dict[str, Any]

CLASS_TABLE: Final = ("audiofilename", "starttime", "endtime")
"""The first columns of such a table, in lower case; classes are all others."""
_POLARITIES: Final = {"POS": "positive", "NEG": "negative", "UNK": "unknown"}


def is_class_table(columns: Iterable[str]) -> bool:
    """Whether the columns are a recording, a start, an end, and further ones.

    >>> is_class_table(["Audiofilename", "Starttime", "Endtime", "Q"])
    True
    """
    names = [name.lower() for name in columns]
    return len(names) > len(CLASS_TABLE) and tuple(names[: len(CLASS_TABLE)]) == CLASS_TABLE


def with_labels(rows: Iterator[tuple[str, Record]], path: Path) -> Iterator[tuple[str, Record]]:
    """Yield the rows of a table with labels for its columns of classes; other tables as they are.

    A row becomes one for each of the three, with the list of the classes that have it: of a row
    with ``POS`` for one class and ``NEG`` for another, two.

    Args:
        rows: ``("path:line", record)`` each.
        path: Of the table, for messages.

    Yields:
        The same, with ``label`` and ``polarity`` for the classes: ``"positive"``, ``"negative"``
        or ``"unknown"``.

    Raises:
        CorpusError: A cell holds neither ``POS``, ``NEG`` nor ``UNK``, where the first row does.
    """
    first = next(rows, None)
    if first is None:
        return
    rows = itertools.chain([first], rows)
    names = list(first[1])
    classes = names[len(CLASS_TABLE) :]
    if not is_class_table(names) or not all(_polarity(first[1][name]) for name in classes):
        yield from rows
        return
    for where, record in rows:
        if not any(map(str.strip, record.values())):
            continue
        found: dict[str, list[str]] = {}
        for name in classes:
            polarity = _polarity(record[name])
            if not polarity:
                raise CorpusError(
                    f"{where}: {name} is {quoted(record[name])}; expected POS, NEG or UNK, as in "
                    "the rows before"
                )
            found.setdefault(polarity, []).append(name)
        times = dict(zip(CLASS_TABLE, list(record.values())[: len(CLASS_TABLE)], strict=True))
        for polarity in _POLARITIES.values():
            if polarity in found:
                yield where, {**times, "label": found[polarity], "polarity": polarity}


def _polarity(cell: str) -> str:
    return _POLARITIES.get(cell.strip().upper(), "")
