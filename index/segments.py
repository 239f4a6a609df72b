"""An approximate index built in parts: train, build each part where it is convenient, commit.

>>> import tempfile
>>> from earful.index import Index, train_partitions, index_segment, commit_segments
>>> train_partitions.__name__, index_segment.__name__, commit_segments.__name__
('train_partitions', 'index_segment', 'commit_segments')
"""

from __future__ import annotations

from earful.index import search
from earful.index.index import Index
from earful.index.remote import StoredSegments
from earful.index.search import Approximate, Partitions, Segment


def train_partitions(index: Index, *, n_partitions: int | None = None) -> Partitions:
    """Train what all parts of an approximate index share, and keep it in the index folder.

    What was built of another one and not committed is dropped.

    Args:
        index: Of a thousand rows or more.
        n_partitions: How many; half the square root of the rows by default.

    Raises:
        IndexFolderError: There are too few rows, one is damaged, or the folder cannot be written.
        MissingExtraError: pylance is not installed: ``pip install 'earful[lance]'``.
        StoreError: The index is in an object store, which cannot be asked.
        ValueError: ``n_partitions`` is outside its range.
    """
    made = search.train_partitions(index._folder, n_partitions=n_partitions)
    if (stored := StoredSegments.at(index.path)) is not None:
        stored.replace_trained()
    return made


def index_segment(index: Index, part: int, parts: int) -> Segment:
    """Build one part of an approximate index, and keep it in the index folder.

    Processes on any machines that see the folder, or the object store that the index is in, build
    parts at once; nobody is locked out meanwhile, and rows may be added, which are found unindexed.
    A part that is built again takes the place of the one before.

    Args:
        index: After ``train_partitions``.
        part: Which part, from 1.
        parts: Of how many, each with about as many rows; all processes say the same.

    Raises:
        IndexFolderError: The partitions were not trained, a file of the table is damaged, there
            are fewer fragments than parts, or the folder cannot be written.
        MissingExtraError: pylance is not installed.
        StoreError: As ``train_partitions``.
        ValueError: ``part`` is not one of ``parts``.
    """
    stored = StoredSegments.at(index.path)
    if stored is not None:
        stored.fetch_trained()
    made = search.build_segment(index._folder, part, parts)
    if stored is not None:
        stored.publish(part, parts)
    return made


def commit_segments(
    index: Index, *, recall: float = 0.95, k: int = 10, n_queries: int = 200
) -> Approximate:
    """Make all parts that were built the approximate index, in one commit, and measure its recall.

    Args:
        index: After ``index_segment`` for every part.
        recall: Share of the true nearest rows to find, in (0, 1].
        k: How many nearest rows to look for.
        n_queries: How many rows serve as queries for the others.

    Raises:
        IndexFolderError: A part is missing or damaged, the table was compacted since it was
            built, or the folder cannot be written. Nothing is changed.
        IndexBusyError: Another process is writing.
        MissingExtraError: pylance is not installed.
        StoreError: As ``train_partitions``.
        ValueError: A number is outside its range.
    """
    stored = StoredSegments.at(index.path)
    with index._folder.writer():
        if stored is not None:
            stored.fetch()
        made = search.commit_segments(index._folder, recall=recall, k=k, n_queries=n_queries)
    if stored is not None:
        stored.clear()  # not before the index is published
    index.refresh()
    return made
