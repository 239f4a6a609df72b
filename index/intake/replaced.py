"""Replaced rows: new labels of rows that an index holds already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earful.index.storage import IndexedRow, IndexFolder, Row
from earful.plain import plain_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A row that took the place of one with its id.

    Attributes:
        id: Its id.
        before: The labels that the row had.
        after: Those that it has now.
        same_audio: Whether its audio is what it was.
        denied_before: What the row said was not there.
        denied_after: What it says now.
    """

    id: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    same_audio: bool
    denied_before: tuple[str, ...] = ()
    denied_after: tuple[str, ...] = ()

    @property
    def is_relabelled(self) -> bool:
        """Whether it says something else of a label."""
        before, after = (self.before, self.denied_before), (self.after, self.denied_after)
        return before != after

    @property
    def there_in_either(self) -> tuple[str, ...]:
        """The labels of both rows, apart from what the later one denies."""
        both = dict.fromkeys((*self.before, *self.after))
        return tuple(label for label in both if label not in self.denied_after)

    @property
    def denied_in_either(self) -> tuple[str, ...]:
        """What both rows deny, apart from the labels of the later one."""
        both = dict.fromkeys((*self.denied_before, *self.denied_after))
        return tuple(label for label in both if label not in self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; what is denied where anything is."""
        denies = self.denied_before or self.denied_after
        return plain_fields(self, without=() if denies else ("denied_before", "denied_after"))


def find_replaced(
    index: IndexFolder, indexed: Mapping[str, IndexedRow], rows: Sequence[Row]
) -> list[Replaced]:
    """Compare rows that are about to be stored with those of the same ids.

    Args:
        index: The index.
        indexed: Its rows by id.
        rows: About to be stored.

    Returns:
        One for each known id, in the order of the rows; a stored row that is damaged is passed
        over, because it is mended by being replaced.
    """
    known = {
        row.exemplar.id: indexed[row.exemplar.id] for row in rows if row.exemplar.id in indexed
    }
    stored = index.rows(known) if known else {}
    return [
        Replaced(
            id=row.exemplar.id,
            before=before.exemplar.labels,
            after=row.exemplar.labels,
            denied_before=before.exemplar.not_labels,
            denied_after=row.exemplar.not_labels,
            same_audio=known[row.exemplar.id].audio_key == row.audio_key,
        )
        for row in rows
        if (before := stored.get(row.exemplar.id)) is not None
    ]
