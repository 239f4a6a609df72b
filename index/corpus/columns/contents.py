"""Contents of the columns that hold no field: labels, sentences, or flags of a label each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from earful.index.corpus.columns.names import ALIASES, as_option, is_named_like_labels
from earful.wording import listed

# The first rows tell enough.
_MOST_ROWS = 200
_MOST_DISTINCT = 0.5
# Fewer rows may all differ in their labels.
_FEW_ROWS = 6
_LABEL_WORDS, _LABEL_CHARACTERS = 4, 60
_MOST_CHARACTERS = 80
_LIKE_SENTENCES = re.compile("caption|sentence|description|transcript", re.IGNORECASE)
_FLAGS = frozenset({"0", "1", "0.0", "1.0", "true", "false", "True", "False", ""})
_WORDS = re.compile(r"[^\W\d_]")
_MOST_NAMED = 3


class ColumnContents:
    """Remembers what the columns hold in the first rows of a table."""

    def __init__(self) -> None:
        self._n_rows = 0
        self._texts: dict[str, dict[str, None]] = {}

    def add(self, cells: Mapping[str, str]) -> None:
        """Remember a row.

        Args:
            cells: Text of each column that holds no field.
        """
        if self._n_rows < _MOST_ROWS:
            self._n_rows += 1
            for column, text in cells.items():
                self._texts.setdefault(column, {})[text.strip()[:_MOST_CHARACTERS]] = None

    def likely_labels(self) -> str:
        """Return the column that looks most like labels, few distinct short texts; or ``""``."""
        found = [column for column in self._texts if self._may_be_labels(column)]
        return min(found, key=self._rank, default="")

    def no_labels_fault(
        self, columns: Mapping[str, str], others: Iterable[str], *, advise: bool
    ) -> str:
        """Explain that no column of a table gives labels or answers; empty when one does.

        Args:
            columns: Column of each field.
            others: The other columns.
            advise: Whether options may be named.
        """
        if columns.keys() & {"labels", "answer", "not_labels"}:
            return ""
        fault = (
            "no column gives labels or answers; found "
            f"{listed(list(dict.fromkeys([*columns.values(), *others])))}, "
            f"expected one of {', '.join(ALIASES['labels'])}"
        )
        flags = [column for column in self._texts if self._is_flag(column)]
        sentences = next(filter(self._holds_sentences, self._texts), "")
        likely = self.likely_labels()
        without = "or pass --column labels= for recordings without any"
        if not likely and len(flags) > 1:
            more = f" and {len(flags) - _MOST_NAMED} more" if len(flags) > _MOST_NAMED else ""
            shown = ", ".join(flags[:_MOST_NAMED])
            return (
                f"{fault}: {shown}{more} hold 0 and 1, as if each were a label; make one column "
                f"labels of them that lists the names of those with 1, such as "
                f"{'|'.join(flags[:2])}"
            )
        if not advise:
            return fault
        if not likely and sentences:
            return f"{fault}: for sentences, --column {as_option('answer', sentences)}; {without}"
        return (
            f"{fault}: name it with --column {as_option('labels', likely or 'COLUMN')}, {without}"
        )

    def _may_be_labels(self, column: str) -> bool:
        texts = self._held(column)
        if not texts or self._is_flag(column) or self._holds_sentences(column):
            return False
        if self._n_rows >= _FEW_ROWS and len(texts) > _MOST_DISTINCT * self._n_rows:
            return is_named_like_labels(column) and self._has_words(column)
        return self._has_words(column) or is_named_like_labels(column)

    def _rank(self, column: str) -> tuple[bool, bool, bool, int]:
        texts = self._held(column)
        is_constant = len(texts) == 1 < self._n_rows
        named = is_named_like_labels(column)
        return not self._has_words(column), not named, is_constant, len(texts)

    def _held(self, column: str) -> list[str]:
        return [text for text in self._texts[column] if text]

    def _has_words(self, column: str) -> bool:
        return all(_WORDS.search(text) for text in self._held(column))

    def _is_flag(self, column: str) -> bool:
        return bool(self._held(column)) and self._texts[column].keys() <= _FLAGS

    def _holds_sentences(self, column: str) -> bool:
        texts = self._held(column)
        long = [
            text
            for text in texts
            if len(text.split()) > _LABEL_WORDS or len(text) > _LABEL_CHARACTERS
        ]
        is_named_so = _LIKE_SENTENCES.search(column) is not None
        return bool(texts) and (is_named_so or 2 * len(long) > len(texts))
