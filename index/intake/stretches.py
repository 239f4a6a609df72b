"""Stretches of an index: which of the rejected files and rows it holds by now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from earful.index.corpus import default_id
from earful.index.storage import IndexFolder
from earful.object_stores import shown_path
from earful.wording import printable

if TYPE_CHECKING:
    import pyarrow as pa

_STRETCH = ("root", "audio", "start_s", "end_s")


def stored_stretches(index: IndexFolder) -> set[tuple[str, str]]:
    """Return root and stretch of each row of an index, as rejections name them."""
    roots = [printable(shown_path(root)) for root in index.roots()]

    def take(batches: Iterator[pa.RecordBatch]) -> set[tuple[str, str]]:
        return {
            (roots[root], printable(default_id(PurePosixPath(audio), start_s, end_s)))
            for batch in batches
            for root, audio, start_s, end_s in zip(
                *(batch.column(name).to_pylist() for name in _STRETCH), strict=True
            )
        }

    return index.table.consume(_STRETCH, take)
