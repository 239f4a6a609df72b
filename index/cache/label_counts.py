"""Label counts: how many rows have each label, counted once and kept beside the table.

::

    sounds.index/label_counts.json    of which state of the table, and the counts

An index of ten million rows is asked for its labels more often than it changes. The table stays the
truth: counts of another state are not used, and made again from batches of rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from earful.index.cache.features import keep_sealed, read_sealed
from earful.read_only import ReadOnlyDict

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_COUNTS_NAME: Final = "label_counts.json"
_NOT_LABELS: Final = "not_labels"
# Fewer rows are counted as fast as a file is read.
_ROWS_WORTH_KEEPING: Final = 10_000


@dataclass(slots=True)
class LabelCounts:
    """How many rows have each label, and how many say that they have not.

    Attributes:
        n: Number of rows.
        labels: Rows that have a label, by label.
        not_labels: Rows that say that they have not, by label.
        n_negative: Rows that say nothing else.
    """

    n: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    not_labels: Counter[str] = field(default_factory=Counter)
    n_negative: int = 0

    @classmethod
    def count(cls, batches: Iterable[pa.RecordBatch]) -> Self:
        """Count rows with at least ``labels``; of ``not_labels`` also with ``answer``."""
        counts = cls()
        for batch in batches:
            counts.n += batch.num_rows
            counts.labels.update(_counted(batch.column("labels")))
            if _NOT_LABELS not in batch.schema.names:
                continue
            denied = batch.column(_NOT_LABELS)
            counts.not_labels.update(_counted(denied))
            if len(denied.flatten()):
                columns = [batch.column(name).to_pylist() for name in ("labels", "answer")]
                counts.n_negative += sum(
                    bool(own) and not (labels or answer)
                    for labels, answer, own in zip(*columns, denied.to_pylist(), strict=True)
                )
        return counts

    def add(
        self, labels: Iterable[str], not_labels: Iterable[str] = (), *, is_negative: bool = False
    ) -> None:
        """Count one more row."""
        self.n += 1
        self.labels.update(labels)
        self.not_labels.update(not_labels)
        self.n_negative += is_negative

    def update(self, more: LabelCounts) -> None:
        """Count the rows of another, which are new."""
        self.n += more.n
        self.labels.update(more.labels)
        self.not_labels.update(more.not_labels)
        self.n_negative += more.n_negative

    @staticmethod
    def ranked(counts: Mapping[str, int]) -> Mapping[str, int]:
        """Return counts with the most frequent label first; ties by name."""
        return ReadOnlyDict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @classmethod
    def find(cls, index: Path, *, state: str, n: int) -> Self | None:
        """Return the counts that an index folder keeps of a state; ``None`` without any.

        Args:
            index: The index folder.
            state: The state that the table is in.
            n: Number of rows of the table.
        """
        try:
            about = json.loads(read_sealed(index / LABEL_COUNTS_NAME))
            found = cls(
                n=int(about["n"]),
                labels=_read(about["labels"]),
                not_labels=_read(about[_NOT_LABELS]),
                n_negative=int(about["n_negative"]),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return found if (about.get("state"), found.n) == (state, n) else None

    def keep(self, index: Path, *, state: str) -> None:
        """Keep the counts of a state of a large table, where the folder can be written."""
        if self.n < _ROWS_WORTH_KEEPING:
            return
        about = {
            "state": state,
            "n": self.n,
            "labels": self.labels,
            _NOT_LABELS: self.not_labels,
            "n_negative": self.n_negative,
        }
        with suppress(OSError):
            keep_sealed(index / LABEL_COUNTS_NAME, json.dumps(about).encode())


def _counted(column: Any) -> Mapping[str, int]:
    found = column.flatten().value_counts()
    values, counts = found.field("values").to_pylist(), found.field("counts").to_pylist()
    return dict(zip(values, counts, strict=True))


def _read(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({str(label): int(n) for label, n in counts.items()})
