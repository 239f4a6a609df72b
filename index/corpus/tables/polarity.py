"""Polarity of rows: whether a sound is there, is not, or nobody is sure.

Our own tables say it in ``review`` or ``polarity``, others in a column named ``polarity`` or
``presence``, each in the words of its program.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from earful.errors import CorpusError
from earful.index.corpus.tables.rows import as_text
from earful.wording import quoted

# The columns that tell our tables, and the one that says whether the sound is there.
_OWN: Final = (
    (frozenset({"event_id", "recording_sha256", "review"}), "review"),
    (frozenset({"file_name", "event_id", "review"}), "review"),
    (frozenset({"recording", "polarity", "origin"}), "polarity"),
    (frozenset({"audiofilename", "polarity"}), "polarity"),
)
_USUAL: Final = ("polarity", "presence")
_WORDS: Final[Mapping[str, str]] = {
    "": "",
    **dict.fromkeys(("positive", "pos", "yes", "y", "true", "present", "1"), "positive"),
    **dict.fromkeys(("negative", "neg", "no", "n", "false", "absent", "0"), "negative"),
    **dict.fromkeys(("unknown", "unk", "unsure", "uncertain", "?"), "unknown"),
}


def is_own_table(columns: Collection[str]) -> bool:
    """Whether columns, in lower case, are those of our tables of events, clips or examples."""
    return any(needed.issubset(columns) for needed, _ in _OWN)


def polarity_column(columns: Collection[str]) -> str:
    """Return the column, in lower case, that says whether a row's sound is there; ``""`` for none.

    >>> polarity_column({"label", "presence"})
    'presence'
    """
    for needed, column in _OWN:
        if needed.issubset(columns):
            return column
    return next((name for name in _USUAL if name in columns), "")


def read_polarity(cell: object, column: str, where: str) -> str:
    """Return a polarity: ``"positive"``, ``"negative"``, ``"unknown"``, or ``""`` of an empty cell.

    Args:
        cell: A text in any case, or a truth value.
        column: Its name, for messages.
        where: The row's place, for messages.

    Raises:
        CorpusError: The cell says something else.

    >>> read_polarity("NEG", "polarity", "t:2"), read_polarity(True, "presence", "t:3")
    ('negative', 'positive')
    """
    text = as_text(cell, where, column).strip()
    found = _WORDS.get(text.lower())
    if found is None:
        raise CorpusError(
            f"{where}: {column} is {quoted(text)}; expected positive, negative, unknown, a word of "
            "theirs (POS, NEG, UNK; yes, no; present, absent; true, false; 1, 0) or nothing; mend "
            "the cell, or rename the column if it says something else"
        )
    return found
