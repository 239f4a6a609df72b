"""An index folder on disk: header, table, lock and lists, read and changed as one.

::

    sounds.index/
        index.json        format, fingerprint, corpus roots, counts (header.py)
        table/            LanceDB: one row per exemplar, with its vector and, where the embedder
                          gives them, class scores (table.py, schema.py)
        features/         what language models make of the audio: a cache (cache/features.py)
        replays/          scores that language models gave: a cache (cache/scores.py)
        answers/          what language models answered in evaluations: a cache (rag/evaluation)
        prepared/         what was fitted for a task: a cache (cache/prepared.py)
        snapshot/         the rows once more, to be read without LanceDB (cache/snapshot.py)
        checksums.txt     the digest of every file of the table (checksums.py)
        label_counts.json how many rows have each label, of a large index (cache/label_counts.py)
        approximate.json  settings of approximate search, if asked for (search/approximate)
        segments/         parts of it that are not committed yet (search/approximate/segments.py)
        rejected.jsonl    files that could not be embedded, with the reason (rejected.py)
        staging/          rows of a run that are not committed yet (distributed/staging.py)
        .lock             who is writing (lock.py)

A change is one commit of the table: after a kill it is there wholly or not at all. The
table is the truth; the header's counts are renewed after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from earful.errors import CorpusError, IndexFolderError
from earful.index.cache import LabelCounts
from earful.index.corpus import Rejection
from earful.index.remote import local_folder
from earful.index.storage.header import (
    HEADER_NAME,
    Header,
    IndexInfo,
    Root,
    read_header,
    require_same_embedder,
)
from earful.index.storage.lock import WriterLock
from earful.index.storage.lookup import LOOKUP_COLUMNS, IndexedRows, count_labels
from earful.index.storage.rejected import read_rejections, write_rejections
from earful.index.storage.schema import Row, require_storable, to_arrow, whole_rows
from earful.index.storage.table import Table
from earful.index.storage.table_files import require_index, require_unused
from earful.model import Fingerprint
from earful.object_stores import shown_path
from earful.wording import as_argument, quoted

if TYPE_CHECKING:
    import pyarrow as pa

APPROXIMATE_NAME: Final = "approximate.json"


class IndexFolder:
    """An index folder, open for reading and writing.

    Users see it as ``earful.index.Index``; builds and repairs work on it directly. Reads see
    the rows as they were when first asked for, and this object's own later writes; ``refresh``
    picks up those of other processes.

    Attributes:
        path: The folder.
        header, table: What it holds.
        n_changes: Counts the times that rows or roots may have changed: what was computed
            from them earlier may be stale.
    """

    def __init__(self, path: Path, header: Header, table: Table) -> None:
        """Use ``create``, ``open`` or ``open_or_create``."""
        self.path = path
        self.table = table
        self.n_changes = 0
        self.header = header
        self._lock = WriterLock(path)
        self._indexed_rows: IndexedRows | None = None
        self._label_counts: LabelCounts | None = None

    # --- opening ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], fingerprint: Fingerprint, *, n_classes: int = 0
    ) -> Self:
        """Make an empty index, as ``Index.create`` does."""
        folder = _to_path(path).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexFolderError(
                f"{folder}: cannot be made ({error.strerror}); choose a folder that can be written"
            ) from error
        require_unused(folder)
        with WriterLock(folder).held():
            # Another process may have been first.
            require_unused(folder)
            table = Table.create(folder, fingerprint, n_classes)
            header = Header.new(fingerprint, n_classes)
            header.write(folder)
        return cls(folder, header, table)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open an index, as ``Index.open`` does."""
        folder = _to_path(path).absolute()
        require_index(folder, path)
        header = read_header(folder)
        return cls(folder, header, Table.open(folder, header.fingerprint, header.n_classes))

    @classmethod
    def open_or_create(
        cls, path: str | os.PathLike[str], fingerprint: Fingerprint, *, n_classes: int = 0
    ) -> Self:
        """Open an index made by the same embedder, or make one, as ``Index.open_or_create``."""
        folder = _to_path(path)
        if not os.path.lexists(folder / HEADER_NAME):
            return cls.create(folder, fingerprint, n_classes=n_classes)
        opened = cls.open(folder)
        opened.require(fingerprint)
        return opened

    # --- reading ---------------------------------------------------------------------------

    @property
    def fingerprint(self) -> Fingerprint:
        """The embedder that made the vectors."""
        return self.header.fingerprint

    @property
    def n_classes(self) -> int:
        """Number of class scores of each row; 0 for none."""
        return self.table.n_classes

    def info(self) -> IndexInfo:
        """Return what the index holds, counted in the table itself."""
        counts = self.label_counts()
        return IndexInfo(
            format=self.header.format,
            fingerprint=self.header.fingerprint,
            n=counts.n,
            labels=len(counts.labels),
            created=self.header.created,
            updated=self.header.updated,
            roots=tuple(map(shown_path, self.roots())),
            n_rejected=len(self.rejections()),
            n_classes=self.n_classes,
            not_labels=counts.ranked(counts.not_labels),
            n_negative=counts.n_negative,
            shard=str(self.header.shard or ""),
        )

    def label_counts(self) -> LabelCounts:
        """Return how many rows have each label, counted once for each state of the table."""
        if self._label_counts is None:
            self._label_counts = count_labels(self.table)
        return self._label_counts

    def require(self, fingerprint: Fingerprint) -> None:
        """Refuse an embedder that this index was not made with.

        The digest of the weights says which they are: the same weights under another name or
        in another folder pass, as long as all else is equal.

        Raises:
            IndexMismatchError: The fingerprints differ; the message says where.
        """
        require_same_embedder(self.path, self.fingerprint, fingerprint)

    def roots(self) -> tuple[Path, ...]:
        """Return the corpus roots, where they lie now, as rows number them."""
        return tuple(root.resolve(self.path) for root in self.header.roots)

    def rejections(self) -> tuple[Rejection, ...]:
        """Return the files that the last build could not embed."""
        return read_rejections(self.path)

    def indexed_rows(self) -> IndexedRows:
        """Return the row lookup, by which a build recognises finished rows; grows with ``add``."""
        if self._indexed_rows is None:
            try:
                read = partial(IndexedRows.packed, roots=self.roots(), n_rows=len(self.table))
                self._indexed_rows = self.table.consume(LOOKUP_COLUMNS, read)
            except IndexError as error:
                raise self.damaged(error) from error
        return self._indexed_rows

    def rows(self, ids: Iterable[str]) -> dict[str, Row]:
        """Return rows by id, with vectors; without those that do not match their own digests."""
        table = self.table.rows(sorted(set(ids)), self.table.row_columns)
        try:
            rows = whole_rows(table, self.roots(), self.fingerprint.dim)
            return {row.exemplar.id: row for row in rows}
        except (CorpusError, ValueError, IndexError) as error:
            raise self.damaged(error) from error

    def refresh(self) -> None:
        """Read what other processes have written since this index was opened."""
        newer = self.table.refresh()
        header = read_header(self.path)
        if newer or header != self.header:
            self.header = header
            self._forget()

    def damaged(self, error: Exception) -> IndexFolderError:
        """Return the error to raise when a row cannot be what was once written."""
        return IndexFolderError(
            f"{self.path}: a row is damaged ({error}). `earful index verify "
            f"{as_argument(self.path)}` lists the damage, and `earful index verify "
            f"{as_argument(self.path)} --repair` keeps the undamaged rows and embeds the rest again"
        )

    # --- writing ---------------------------------------------------------------------------

    @contextmanager
    def writer(self, *, damaged: bool = False) -> Iterator[None]:
        """Hold the writer lock over several changes.

        Args:
            damaged: Whether to leave the header as it is, because rows cannot be counted yet.

        Raises:
            IndexBusyError: Another process or thread is writing.
        """
        with self._lock.held() as was_free:
            if was_free:
                self.refresh()
                if not damaged and self.header.n != len(self.table):
                    # A kill came between a commit and the header.
                    self._renew_header()
            yield

    def kept_still(self) -> AbstractContextManager[None]:
        """Keep writers of this machine out while rows are read, as ``WriterLock.kept_still``."""
        return self._lock.kept_still()

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those with the same id, in one commit, as ``Index.add``."""
        if not rows:
            return
        require_storable(rows, self.fingerprint.dim, self.n_classes)
        with self.writer():
            indexed = self.indexed_rows()
            indexed.require_no_clash(rows, self.path)
            number = {
                root: self.number_root(root) for root in dict.fromkeys(row.root for row in rows)
            }
            roots = [number[row.root] for row in rows]
            if any(row.exemplar.not_labels for row in rows):
                self.take_not_labels()
            batch = to_arrow(
                rows,
                roots,
                self.fingerprint,
                self.n_classes,
                not_labels=self.table.has_not_labels,
            )
            replaces_any = bool(indexed.known([row.exemplar.id for row in rows]))
            try:
                (self.table.upsert if replaces_any else self.table.append)(batch)
            except BaseException:
                # Only the table knows whether the commit came through.
                self._forget()
                raise
            self._remember(rows, replaces_any=replaces_any)
            self._renew_header()

    def add_batches(self, batches: Sequence[pa.RecordBatch], *, replaces_any: bool) -> None:
        """Insert rows that were made elsewhere, in one commit, under the writer lock.

        Args:
            batches: Of the table's schema, with the numbers of this index's roots; each id once,
                and all digests checked (``distributed/batches.py``).
            replaces_any: Whether there are rows of these ids, which are replaced; else all are new.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        counts = self._label_counts
        self._forget()
        (self.table.upsert if replaces_any else self.table.append)(*batches)
        if counts is not None and not replaces_any:
            counts.update(LabelCounts.count(batches))
            self._label_counts = counts
        self._renew_header()

    def remove(self, ids: Iterable[str]) -> int:
        """Remove rows by id, in one commit, and return how many, as ``Index.remove`` does."""
        if isinstance(ids, str):
            raise TypeError(f"ids={ids!r}: expected several ids, such as [{ids!r}], got one string")
        wanted = sorted(set(ids))
        if not wanted:
            return 0
        with self.writer():
            # Read from the table and not from the lookup, so that a damaged row can be removed.
            present = set(self.table.read(["id"]).column("id").to_pylist())
            if unknown := [id_ for id_ in wanted if id_ not in present]:
                others = f" and {len(unknown) - 1} others named" if len(unknown) > 1 else ""
                raise IndexFolderError(
                    f"{self.path}: has no row {unknown[0]!r}{others}; nothing was removed. "
                    "`earful index export` lists the ids"
                )
            self._forget()
            self.table.delete(wanted)
            self._renew_header()
        return len(wanted)

    def set_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Replace the list of files that could not be embedded.

        Raises:
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            write_rejections(self.path, rejections)

    def write_header(self, header: Header) -> None:
        """Give the index another header, under the writer lock.

        Raises:
            IndexFolderError: The folder cannot be written or is full.
        """
        self.header = header
        self.header.write(self.path)

    def index_columns(self) -> None:
        """Speed up conditions on labels and splits in a large index.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            # The lookup takes as much memory as this work; it is read again when asked for.
            self._indexed_rows = None
            self.table.index_columns()

    def keep_rows(self, places: Sequence[int]) -> None:
        """Keep some rows and drop all others, in one atomic commit.

        Damaged files are moved to ``_quarantine`` afterwards.

        Args:
            places: Where the rows lie in the table, as ``Table.places`` returns them.

        Raises:
            IndexFolderError: The disk is full or read-only.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            # The partitions of approximate search must be made anew.
            (self.path / APPROXIMATE_NAME).unlink(missing_ok=True)
            self.table.keep(places, self.fingerprint)
            self.table.quarantine_damaged()
            self._forget()
            self._renew_header()

    def move_root(self, number: int, root: Path) -> None:
        """Point the rows of a corpus root to another folder.

        Args:
            number: Index into ``roots``.
            root: Where the corpus lies now, resolved.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            self.header = self.header.with_root(Root.seen_from(self.path, root), number)
            self.header.write(self.path)
            self._forget()

    def renew_summaries(self) -> None:
        """Correct the header's counts and list every file with its digest.

        The table's content is taken as right, so check it first.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            self._label_counts = None
            counts = self.label_counts()
            if (counts.n, len(counts.labels)) != (self.header.n, self.header.labels):
                self._renew_header()
            self.table.list_files()

    def number_root(self, root: Path, *, came: bool = True) -> int:
        """Return the number of a resolved corpus root; ``came`` as for ``Root.seen_from``."""
        roots = self.roots()
        if root in roots:
            return roots.index(root)
        # Before the rows that need it: a kill in between leaves an unused root, no more.
        self.header = self.header.with_root(Root.seen_from(self.path, root, came=came))
        self.header.write(self.path)
        return len(roots)

    def take_not_labels(self) -> None:
        """Make this an index of rows that may say what is not there, if it is none yet."""
        if self.table.has_not_labels:
            return
        # First the header: an earlier release is to refuse the column by its format.
        self.header = self.header.with_not_labels()
        self.header.write(self.path)
        self.table.add_not_labels()

    # --- private ---------------------------------------------------------------------------

    def _remember(self, rows: Sequence[Row], *, replaces_any: bool) -> None:
        """Bring lookup and label names up to date without reading the whole table again."""
        self.n_changes += 1
        if replaces_any:
            # Of the rows that were replaced, nobody has counted the labels.
            self._label_counts = None
        if self._label_counts is not None:
            for one in (row.exemplar for row in rows):
                self._label_counts.add(one.labels, one.not_labels, is_negative=one.is_negative)
        self.indexed_rows().add(rows)

    def _forget(self) -> None:
        self.n_changes += 1
        self._indexed_rows = self._label_counts = None

    def _renew_header(self) -> None:
        counts = self.label_counts()
        counts.keep(self.path, state=self.table.state)
        self.header = self.header.with_counts(n=counts.n, labels=len(counts.labels))
        if self.table.has_not_labels:
            # A header that was lost and made again does not know.
            self.header = self.header.with_not_labels()
        self.header.write(self.path)


def _to_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"index folder: expected its path, got {quoted(path)}")
    if not os.fspath(path):
        raise ValueError("index folder: expected its path, got an empty one")
    return local_folder(path)
