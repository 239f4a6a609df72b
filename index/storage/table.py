"""The LanceDB table inside an index folder: opened and changed here, read by ``table_reader``.

A change is one commit, applied wholly or not at all. LanceDB leaves flushing to the kernel,
so the files of every commit are flushed here, and listed with their digests (``checksums``):
after a power cut at most the commit under way is lost, and damage on the disk is noticed. Its
errors are raised as ``IndexFolderError`` with the folder named.

LanceDB runs threads that a forked child lacks: see ``lock.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from earful.errors import IndexFolderError, ModelError
from earful.index.cache import Snapshot
from earful.index.storage.checksums import CHECKSUMS_NAME, Checksums
from earful.index.storage.header import NOT_LABELS
from earful.index.storage.schema import (
    FINGERPRINT_KEY,
    embedder_text,
    n_classes_of,
    numbers_of,
    table_schema,
)
from earful.index.storage.table_files import DELETIONS, files_of, is_data
from earful.index.storage.table_reader import TableReader, id_among, translate_errors
from earful.index.storage.versions import (
    LANCE_FOLDER,
    TABLE_FOLDER,
    TABLE_NAME,
    connect,
    newest_listed,
    open_newest,
    state_of,
)
from earful.model import Fingerprint
from earful.wording import as_argument

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

# Readers of an older version have this long before its files may be deleted.
_KEEP_VERSIONS = timedelta(hours=1)
# Rewriting small fragments takes up to a second copy, and a little more.
_ROOM_TO_COMPACT = 1.2
_ROWS_AT_ONCE = 4096


class Table(TableReader):
    """An open table, seen at one version until ``refresh`` or a change through it."""

    @classmethod
    def create(
        cls, folder: Path, fingerprint: Fingerprint, n_classes: int = 0, *, rows: Any = None
    ) -> Self:
        """Make a table; one that a kill left half made is made anew.

        Args:
            folder: The index folder.
            fingerprint: What makes the vectors.
            n_classes: Number of class scores of a row; 0 for none.
            rows: An Arrow reader of rows that have their digests already; ``None`` for no rows.

        Raises:
            IndexFolderError: There are rows already, or the folder cannot be written.
        """
        if any(map(is_data, files_of(folder))):
            raise IndexFolderError(
                f"{folder}: its table has rows, but its index.json is gone; restore that from a "
                f"copy, run `earful index verify {as_argument(folder)} --repair --corpus CORPUS`, "
                "or name a new folder"
            )
        shutil.rmtree(folder / TABLE_FOLDER, ignore_errors=True)
        with translate_errors(folder):
            (folder / CHECKSUMS_NAME).unlink(missing_ok=True)
            schema = table_schema(fingerprint, n_classes) if rows is None else rows.schema
            lance = connect(folder).create_table(TABLE_NAME, data=rows, schema=schema)
            made_by = _made_by(fingerprint, n_classes)
            table = cls(folder, lance, Checksums(folder), made_by=made_by)
            table._files.sync_all()
        return table

    @classmethod
    def open(cls, folder: Path, fingerprint: Fingerprint, n_classes: int = 0) -> Self:
        """Open the table of an index whose header names an embedder and a number of classes.

        When the newest version is damaged, as after a power cut, the one before is opened,
        with a ``RuntimeWarning``.

        Raises:
            IndexFolderError: It is missing or damaged, or was made by another embedder.
        """
        if not (folder / LANCE_FOLDER).is_dir():
            raise IndexFolderError(
                f"{folder}: its table is gone; restore it from a copy, or run `earful index "
                f"verify {as_argument(folder)} --repair --corpus CORPUS`"
            )
        checksums = Checksums(folder)
        made_by = _made_by(fingerprint, n_classes)
        wanted = table_schema(fingerprint, n_classes)
        full = table_schema(fingerprint, n_classes, not_labels=True)
        state, snapshot = state_of(folder), None
        if state is not None and newest_listed(checksums) <= state.version:
            snapshot = Snapshot.find(folder, state=state.digest, made_by=made_by, schema=full)

        def open_lance() -> Any:
            lance = open_newest(folder, checksums, partial(_open_lance, folder))
            # The table itself says whether it has the column: a kill may come before the header.
            if not any(lance.schema.equals(x, check_metadata=False) for x in (wanted, full)) or (
                (lance.schema.metadata or {}).get(FINGERPRINT_KEY.encode())
                != wanted.metadata[FINGERPRINT_KEY.encode()]
            ):
                raise IndexFolderError(
                    f"{folder}: index.json and the table do not belong together: they name "
                    "different embedders or columns; restore both from one copy, or build the "
                    "index anew"
                )
            return lance

        return cls(
            folder,
            open_lance() if snapshot is None else None,
            checksums,
            n_classes=n_classes,
            open_lance=open_lance,
            snapshot=snapshot,
            made_by=made_by,
        )

    @classmethod
    def at_version(cls, folder: Path, version: int) -> Self:
        """Open one version of a table to read it, without checking which embedder it names.

        Raises:
            IndexFolderError: It is missing or damaged.
        """
        lance = _open_lance(folder)
        with translate_errors(folder):
            lance.checkout(version)
        return cls(folder, lance, Checksums(folder))

    def index_vectors(self, n_partitions: int) -> int:
        """Make the approximate index of the vectors anew: partitions, and one bit per dimension.

        RaBitQ: Gao and Long, "RaBitQ" (SIGMOD 2024, arXiv 2405.12497).

        Returns:
            Its size in bytes.

        Raises:
            IndexFolderError: It cannot be written, or there are too few rows for it.
        """
        from lancedb.index import IvfRq

        with self._changing():
            self._lance.create_index(
                "vector", config=IvfRq(distance_type="dot", num_partitions=n_partitions)
            )
        return self.vector_index_bytes()

    def drop_vector_index(self) -> None:
        """Remove the approximate index of the vectors, if there is one.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with self._changing():
            self._drop_vector_index()

    def replace_vector_index(self, commit: Callable[[], None]) -> int:
        """Replace the approximate index of the vectors; return the new one's size in bytes.

        Args:
            commit: Commits it to the table's newest version, by another library than LanceDB.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with self._changing():
            self._drop_vector_index()
            commit()
            self._lance.checkout_latest()
        return self.vector_index_bytes()

    def _drop_vector_index(self) -> None:
        for made in self._lance.list_indices():
            if made.columns == ["vector"]:
                self._lance.drop_index(made.name)

    def vector_index_bytes(self) -> int:
        """Return the size of the approximate index of the vectors, in bytes."""
        (made,) = (i for i in self._lance.list_indices() if i.columns == ["vector"])
        return int(made.size_bytes or 0)

    def index_columns(self) -> None:
        """Make the indices that answer conditions on labels and splits.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        from lancedb.index import Bitmap, LabelList

        with self._changing():
            for column, config in (("labels", LabelList()), ("split", Bitmap())):
                self._lance.create_index(column, config=config)

    def add_not_labels(self) -> None:
        """Add the column for what is not there, empty in every row, in one commit.

        Nothing else of the rows is read or written.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        with self._changing():
            self._lance.add_columns({NOT_LABELS: "arrow_cast(make_array(), 'List(Utf8)')"})

    def upsert(self, *batches: pa.RecordBatch) -> None:
        """Insert rows, or replace those with the same id, in one commit.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        with self._changing():
            (
                self._lance.merge_insert("id")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(pa.Table.from_batches(batches))
            )

    def append(self, *batches: pa.RecordBatch) -> None:
        """Insert rows whose ids are all new, in one commit.

        Unlike ``upsert`` this reads nothing, so time and memory do not depend on the size of
        the table.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        with self._changing():
            self._lance.add(pa.Table.from_batches(batches))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows in one commit; unknown ids are ignored.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        with self._changing():
            self._lance.delete(id_among(ids))

    def keep(self, places: Sequence[int], fingerprint: Fingerprint) -> None:
        """Keep some rows and drop all others, in one commit that writes the kept ones anew.

        Args:
            places: The rows' places in this version, as ``places`` returns them.
            fingerprint: What made the vectors.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        schema = table_schema(fingerprint, self.n_classes, not_labels=self.has_not_labels)
        version = self.version

        def kept() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(places), _ROWS_AT_ONCE):
                some = places[start : start + _ROWS_AT_ONCE]
                found = self.at(some, schema.names, version=version)
                if found is None:
                    raise IndexFolderError(f"{self.folder}: was written in the meantime; try again")
                yield from found.cast(schema).to_batches()

        rows = pa.RecordBatchReader.from_batches(schema, kept())
        with self._changing():
            self._opened = connect(self.folder).create_table(
                TABLE_NAME, data=rows, schema=schema, mode="overwrite"
            )

    def compact(self) -> None:
        """Merge small fragments and drop versions older than an hour.

        Raises:
            IndexFolderError: There is no room for the second copy that this needs, or a file
                of the table is damaged.
        """
        size = sum(os.path.getsize(self.folder / name) for name in files_of(self.folder))
        needed, free = int(size * _ROOM_TO_COMPACT), shutil.disk_usage(self.folder).free
        if free < needed:
            raise IndexFolderError(
                f"{self.folder}: compacting needs {needed:,} bytes and the disk has {free:,}; "
                "free some space first"
            )
        # What is copied counts as right from then on.
        self.check()
        with self._changing():
            # Never delete_unverified: it takes files that a commit under way still needs.
            self._lance.optimize(cleanup_older_than=_KEEP_VERSIONS)
        self._files.prune()

    def stream(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in batches, in no order.

        Unlike ``consume`` it leaves the caller's own errors alone; nobody may write meanwhile.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        self.check()
        batches = self._batches(columns)
        while True:
            with translate_errors(self.folder):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def at_offsets(self, offsets: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return some columns of rows by their numbers in this version, from 0; unchecked."""
        return self._read(
            lambda: self._lance.take_offsets(list(offsets)).select(list(columns)).to_arrow(),
            DELETIONS,
        )

    def places_where(self, where: str) -> NDArray[np.uint64]:
        """Return the places, for ``at``, of the rows that pass an SQL condition, ascending.

        Raises:
            FilterError: It cannot be evaluated.
            IndexFolderError: A file of the table is damaged or gone.
        """
        import numpy as np

        def find() -> pa.Table:
            query = self._lance.search().with_row_id(True).where(f"(\n{where}\n)")
            return query.select(["_rowid"]).limit(max(1, self._lance.count_rows())).to_arrow()

        return np.sort(numbers_of(self._read_where(where, find).column("_rowid")))

    def check_files(self, names: Sequence[str]) -> bool:
        """Compare some files with their digests.

        Args:
            names: Relative to the index folder.

        Returns:
            Whether all of them are listed, as ``check`` returns it.

        Raises:
            IndexFolderError: The bytes of a file are not those that were written.
        """
        return self._files.check_named(names)

    def damaged_files(self) -> list[str]:
        """Return the files whose bytes are not those that were written, or that are gone."""
        return self._files.damaged(self.version)

    def unlisted_files(self) -> list[str]:
        """Return the files of this version that are not in the list of digests."""
        return self._files.unlisted(self.version)

    def list_files(self) -> None:
        """Add every file of this version to the list of digests.

        Raises:
            IndexFolderError: A file cannot be read, or the list cannot be written.
        """
        with translate_errors(self.folder):
            self._files.list_rest(self.version)

    def quarantine_damaged(self) -> None:
        """Move damaged files of versions before this one to the quarantine.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with translate_errors(self.folder):
            self._files.quarantine_damaged(self.version)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Flush the files that a block writes, and their folders, and list them."""
        with translate_errors(self.folder):
            self._files.forget_lost(self.version)
            yield
            # What was read of it is of the version before.
            self._snapshot = None
            self._files.sync()


def _made_by(fingerprint: Fingerprint, n_classes: int) -> str:
    """Return what a snapshot is told that its table's vectors and class scores are of."""
    return f"{embedder_text(fingerprint)} {n_classes}"


def stored_origin(folder: Path) -> tuple[Fingerprint, int]:
    """Return the embedder that a table names, and its number of class scores; 0 for none.

    Raises:
        IndexFolderError: The table is missing or damaged.
        IndexBusyError: Its newest version is damaged, and another process is writing.
    """
    if not (folder / LANCE_FOLDER).is_dir():
        raise IndexFolderError(f"{folder}: is not an index, it has no table")
    schema = open_newest(folder, Checksums(folder), partial(_open_lance, folder)).schema
    try:
        fingerprint = Fingerprint.from_dict(json.loads(schema.metadata[FINGERPRINT_KEY.encode()]))
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise IndexFolderError(f"{folder}: its table names no embedder ({error!r})") from error
    return fingerprint, n_classes_of(schema)


def _open_lance(folder: Path) -> Any:
    with translate_errors(folder):
        return connect(folder).open_table(TABLE_NAME)
