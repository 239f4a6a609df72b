"""Splits: by a column, by lists of ids, or our own where the publisher has none."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from earful.index.datasets.declaration import SplitRule
from earful.index.datasets.readers import PlacedRow, RawRow, read_text
from earful.index.datasets.row_faults import RowError
from earful.index.datasets.templates import cell, fill


class Splitter:
    """Gives rows their splits by the rule of a declaration.

    Args:
        rule: From the declaration.
        root: Folder that the files of ids are named from.
        all_rows: Reads the rows of the whole data set, whose groups are dealt to our own splits.
    """

    def __init__(
        self, rule: SplitRule, root: Path, all_rows: Callable[[], Iterator[PlacedRow]]
    ) -> None:
        self._rule = rule
        self._root = root
        self._all_rows = all_rows

    def split_of(self, row: RawRow, where: str) -> str | None:
        """Return a row's split, empty where there is none; ``None`` if no list names the row.

        Raises:
            RowError: The row lacks the column, or has a value that the rule does not know.
        """
        rule = self._rule
        if rule.column:
            value = str(cell(row, rule.column, where)).strip()
            if rule.map and value not in rule.map:
                raise RowError(where, f"split {value!r}: expected one of {', '.join(rule.map)}")
            return rule.map.get(value, value)
        if rule.lists:
            missing = None if self._has_all_lists else ""
            return self._listed.get(fill(rule.id, row, where), missing)
        if rule.by:
            group = fill(rule.by, row, where)
            if group not in self._dealt:
                why = f"{group!r} was not there when the groups were dealt; run it again"
                raise RowError(where, why)
            return self._dealt[group]
        return str(row.get("split", ""))

    @cached_property
    def _has_all_lists(self) -> bool:
        return all((self._root / name).is_file() for name in self._rule.lists.values())

    @cached_property
    def _listed(self) -> Mapping[str, str]:
        """Id to split, from the files that list each split's ids."""
        found: dict[str, str] = {}
        for split, name in self._rule.lists.items():
            path = self._root / name
            if path.is_file():
                for line in read_text(path).splitlines():
                    if line.strip():
                        found[line.strip()] = split
        return found

    @cached_property
    def _dealt(self) -> Mapping[str, str]:
        """Group to split; the groups that are declared count even where none of theirs is here."""
        groups = set(self._rule.groups)
        for where, row in self._all_rows():
            try:
                groups.add(fill(self._rule.by, row, where))
            except RowError:
                # Counted by the pass that asks for its split.
                continue
        return deal_groups(groups, self._rule.shares)


def deal_groups(groups: Iterable[str], shares: Mapping[str, float]) -> dict[str, str]:
    """Deal groups to splits in the order of their hashes, until the share of each is filled.

    A hash alone, held against the shares, would leave a split of few groups empty by chance. The
    same groups are dealt alike on every machine.

    Args:
        groups: Such as speakers; each goes to one split as a whole.
        shares: Split to its share of the groups; they need not sum to one.

    >>> deal_groups(["speaker a", "speaker b"], {"train": 0.5, "test": 0.5})
    {'speaker a': 'train', 'speaker b': 'test'}
    """
    ordered = sorted(set(groups), key=_hash)
    total = sum(shares.values())
    dealt: dict[str, str] = {}
    share = 0.0
    for split, own in shares.items():
        share += own
        # Sums of shares such as 0.7 and 0.1 miss the whole number by the last bits.
        edge = math.ceil(len(ordered) * share / total - 1e-9)
        dealt.update(dict.fromkeys(ordered[len(dealt) : edge], split))
    return dealt


def _hash(group: str) -> bytes:
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()
