"""Rows that become no exemplar, each counted and named; too many unreadable ones stop the set.

Publishers' tables have a few broken rows, and one of them is no reason to refuse thousands. A
share of them that chance does not explain means something else: another version of the file, a
declaration with a mistake, a damaged copy. Then the first of them is raised.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from earful.errors import CorpusError
from earful.wording import counted

MOST_LISTED = 1000
"""So many rows are kept by name; the others are counted."""

# Of the tables that were seen whole, the worst has 0.6 % of rows that cannot be used as they are.
_USUAL_SHARE = 0.01
# Where a place may end its file's path, as in "meta.csv:17" and "0.tar!7.json".
_SEPARATOR = re.compile("[:!]")


class RowError(CorpusError):
    """One row cannot be read.

    Args:
        where: Its place, such as ``"meta.csv:17"``.
        why: What was found and what was expected.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that could not be parsed; only a row that needs it is lost.

    Attributes:
        text: The cell as its file has it.
        fault: What was found and what was expected.
    """

    text: str
    fault: str


class RowFaults:
    """Rows that one pass over a data set could not read.

    Args:
        on_fault: Called with place and reason of each.

    Attributes:
        n: Their number.
        listed: Place and reason of the first thousand.
    """

    def __init__(self, on_fault: Callable[[str, str], None] | None = None) -> None:
        self.n = 0
        self.listed: list[tuple[str, str]] = []
        self._on_fault = on_fault
        self._n_rows: Counter[str] = Counter()
        self._first: dict[str, RowError] = {}
        self._n_bad: Counter[str] = Counter()
        self._last = ""
        self._sources: dict[str, Callable[[], Iterable[Path]]] = {}
        self._source_of: dict[str, str] | None = None

    def begin(self, source: str, files: Callable[[], Iterable[Path]]) -> None:
        """Name a source whose rows are read from now on.

        Args:
            source: Its name, for messages.
            files: Returns its files; only called when one of its rows is broken.
        """
        self._sources[source] = files
        self._source_of = None

    def count_row(self, source: str) -> None:
        """Count a row of a source, readable or not."""
        self._n_rows[source] += 1

    def pass_over(self, error: RowError) -> None:
        """Count a row as unreadable; several faults of one row are one."""
        if error.where == self._last:
            return
        self._last = error.where
        source = self._find_source(error.where)
        self.n += 1
        self._n_bad[source] += 1
        self._first.setdefault(source, error)
        if len(self.listed) < MOST_LISTED:
            self.listed.append((error.where, error.why))
        if self._on_fault is not None:
            self._on_fault(error.where, error.why)

    def refuse_too_many(self, dataset: str) -> None:
        """Refuse a source with more unreadable rows than chance explains.

        Raises:
            CorpusError: There is one; the message begins with its first such row.
        """
        for source, n_bad in self._n_bad.items():
            n = self._n_rows[source]
            if not is_chance(n_bad, n):
                hint = f"`earful datasets show {dataset}` tells the form that is expected"
                share = f"{counted(n_bad, 'row')} of the {n:,} of {source} cannot be read"
                raise CorpusError(
                    f"{self._first[source]}; {share}, too many for chance: {hint}"
                ) from self._first[source]

    def _find_source(self, where: str) -> str:
        if self._source_of is None:
            self._source_of = {
                str(path): source for source, files in self._sources.items() for path in files()
            }
        ends = [len(where), *(found.start() for found in _SEPARATOR.finditer(where))]
        for end in sorted(ends, reverse=True):
            if source := self._source_of.get(where[:end]):
                return source
        return where


@dataclass(slots=True)
class Passed:
    """Rows that were passed over for one reason.

    Attributes:
        n: Their number.
        listed: Place and reason of the first thousand.
    """

    n: int = 0
    listed: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        """Count a row."""
        self.n += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append((where, why))


@dataclass(slots=True)
class WholeSplit:
    """A split in all tasks of a data set, as its official size counts it.

    Attributes:
        n_rows: Rows in its files, those known as broken included.
        clips: Hashes of the paths of its recordings that are there; filled for a check only.
        found: These, and those of the recordings that are left out as broken.
        known_bad: Ids of those left out as broken, whether they are there or not.
    """

    n_rows: int = 0
    clips: set[int] = field(default_factory=set)
    found: set[int] = field(default_factory=set)
    known_bad: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RowCounts:
    """Counts of a dataset's rows, from one pass over them.

    Attributes:
        n_rows: Rows in the dataset's files that are of the task, by split.
        n_found: Rows whose recording is there, by split.
        missing: Place and reason of rows without a recording, the first thousand.
        ambiguous: Rows that several recordings fit, which differ.
        known_bad: Ids that were left out as broken, and why.
        faults: Rows that cannot be read.
        empty: Rows that have no label or no answer for the task.
        unlisted: Rows that none of the lists of the splits names.
        whole: Split to its rows and recordings in all tasks.
    """

    n_rows: dict[str, int] = field(default_factory=dict)
    n_found: dict[str, int] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    ambiguous: Passed = field(default_factory=Passed)
    known_bad: dict[str, str] = field(default_factory=dict)
    faults: RowFaults = field(default_factory=RowFaults)
    empty: Passed = field(default_factory=Passed)
    unlisted: Passed = field(default_factory=Passed)
    whole: dict[str, WholeSplit] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        """Number of rows without a recording."""
        return sum(self.n_rows.values()) - sum(self.n_found.values()) - self.ambiguous.n


def is_chance(n_bad: int, n: int) -> bool:
    """Whether so many unreadable rows may be a publisher's slips.

    At most a third of the rows, and no more than three standard deviations above one in a
    hundred, and one.

    >>> is_chance(3, 4525), is_chance(1, 4), is_chance(1, 2), is_chance(500, 8732)
    (True, True, False, False)
    """
    expected = _USUAL_SHARE * n
    return 3 * n_bad < n and n_bad <= 1 + expected + 3 * math.sqrt(expected)
