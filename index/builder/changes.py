"""What a build leaves behind: recordings whose rows differ in labels, and earlier rejections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from earful.index.corpus import Corpus, Rejection
from earful.index.intake import stored_stretches
from earful.index.storage import IndexFolder
from earful.object_stores import is_address, shown_path
from earful.wording import printable

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NAMED = 10


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
    path, root = corpus.source.resolve(), printable(shown_path(corpus.root))
    sources = {printable(str(path)), printable(shown_path(path))}
    ours = tuple(f"{source}{mark}" for source in sources for mark in "/:")
    kept = [
        rejection
        for rejection in index.rejections()
        if not (rejection.where + "/").startswith(ours)
        and (
            is_address(rejection.where)  # who knows without asking its store
            or os.path.lexists(re.sub(r":(row )?\d+$", "", rejection.where))
        )
    ]
    if any(rejection.root for rejection in kept):
        indexed = stored_stretches(index)
        kept = [one for one in kept if (one.root, one.stretch) not in indexed]
    if corpus.kind == "file":  # a recording added by itself tells nothing of tables
        return kept
    return [replace(one, is_earlier=one.is_earlier or one.root == root) for one in kept]


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
