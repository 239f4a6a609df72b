"""Changes by a build: new labels of known rows, and recordings whose rows have different labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from earful.index.corpus import Corpus, Rejection, default_id
from earful.index.storage import IndexedRow, IndexFolder, Row
from earful.plain import plain_fields
from earful.wording import printable

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NAMED = 10
_STRETCH = ("root", "audio", "start_s", "end_s")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """Recordings of an index that stand in several rows whose labels differ.

    Attributes:
        n: How many recordings.
        rows: Ids and labels of the rows of the first ten, by recording.
    """

    n: int = 0
    rows: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        named = [[{"id": id_, "labels": list(own)} for id_, own in rows] for rows in self.rows]
        return {"n": self.n, "first": named}


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


def find_contested(index: IndexFolder) -> Contested:
    """Find the recordings of an index that stand in several rows whose labels differ.

    Rows without labels, such as captions, contest nothing.
    """
    contested = index.table.consume(("content_sha256", "labels"), _differing)
    named = set(sorted(contested)[:_MOST_NAMED])
    if not named:
        return Contested()

    def name(batches: Iterator[pa.RecordBatch]) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
        rows: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for content, labels, id_ in _labelled(batches, "id"):
            if content in named:
                rows.setdefault(content, []).append((id_, labels))
        return rows

    rows = index.table.consume(("content_sha256", "labels", "id"), name)
    return Contested(n=len(contested), rows=tuple(sorted(tuple(sorted(r)) for r in rows.values())))


def earlier_rejections(index: IndexFolder, corpus: Corpus) -> list[Rejection]:
    """Return the rejections of an index's list that stay beside those of a new build.

    Those of the same table or folder go, those of files that are gone, and those of stretches
    that the index holds by now. Those of other tables of the same root are marked as earlier.

    Args:
        index: The index, with the rows of the build.
        corpus: What was built.
    """
    source, root = (printable(str(path)) for path in (corpus.source.resolve(), corpus.root))
    kept = [
        rejection
        for rejection in index.rejections()
        if not (rejection.where + "/").startswith((f"{source}/", f"{source}:"))
        and os.path.lexists(re.sub(r":(row )?\d+$", "", rejection.where))
    ]
    if any(rejection.root for rejection in kept):
        indexed = _stretches(index)
        kept = [one for one in kept if (one.root, one.stretch) not in indexed]
    if corpus.kind == "file":  # a recording added by itself tells nothing of tables
        return kept
    return [replace(one, is_earlier=one.is_earlier or one.root == root) for one in kept]


def _stretches(index: IndexFolder) -> set[tuple[str, str]]:
    """Return root and stretch of each row of an index, as rejections keep them."""
    roots = [printable(str(root)) for root in index.roots()]

    def take(batches: Iterator[pa.RecordBatch]) -> set[tuple[str, str]]:
        return {
            (roots[root], printable(default_id(PurePosixPath(audio), start_s, end_s)))
            for batch in batches
            for root, audio, start_s, end_s in zip(
                *(batch.column(name).to_pylist() for name in _STRETCH), strict=True
            )
        }

    return index.table.consume(_STRETCH, take)


def _differing(batches: Iterator[pa.RecordBatch]) -> set[str]:
    """Return the audio of rows whose labels are not those of an earlier row."""
    # A hash of the labels, as an index may have millions of rows.
    first: dict[str, int] = {}
    return {
        content
        for content, labels in _labelled(batches)
        if first.setdefault(content, found := hash(frozenset(labels))) != found
    }


def _labelled(batches: Iterator[pa.RecordBatch], *others: str) -> Iterator[tuple[Any, ...]]:
    """Yield audio, labels and other columns of each row that has both."""
    for batch in batches:
        columns = [batch.column(name).to_pylist() for name in ("content_sha256", "labels", *others)]
        for content, labels, *rest in zip(*columns, strict=True):
            if content and labels:
                yield content, tuple(labels), *rest
