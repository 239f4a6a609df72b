"""The LanceDB table inside an index folder: everything that talks to LanceDB stands here.

A change is one commit, whole or not there. LanceDB leaves flushing to the kernel, so the
files of every commit are flushed here, and listed with their digests (``checksums``): after
a power cut at most the commit under way is lost, and what the disk spoils is noticed. Its
errors come out as ``IndexFolderError`` with the folder named.

LanceDB runs threads that a forked child lacks: start worker processes with ``spawn``.
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
from typing import TYPE_CHECKING, Any, Self, TypeVar

from earful.errors import FilterError, IndexFolderError, ModelError
from earful.index.checksums import CHECKSUMS_NAME, Checksums
from earful.index.lance_errors import errors_named, is_lance_error, lance_reason, shortened
from earful.index.schema import EXEMPLAR_COLUMNS, FINGERPRINT_KEY, table_schema
from earful.index.table_files import DATA, DELETIONS, INDICES, TableFiles, files_of
from earful.index.versions import TABLE_FOLDER, TABLE_NAME, open_newest
from earful.index.where import quoted
from earful.model.protocols import Fingerprint

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

# The columns that a condition of a user's makes sense over.
FILTER_COLUMNS = (*EXEMPLAR_COLUMNS, "duration_s", "file_sha256", "content_sha256")
# Readers of an older version get this long before its files may go.
_KEEP_VERSIONS = timedelta(hours=1)
# Rewriting small fragments takes up to a second copy, and some.
_ROOM_TO_COMPACT = 1.2
_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 4096
_MOST_METADATA_BYTES = 2**22
_MOST_INDEX_BYTES = 2**30
Result = TypeVar("Result")


class Table:
    """An open table, seen at one version until ``refresh`` or a change through it.

    Attributes:
        folder: The index folder.
    """

    def __init__(self, folder: Path, lance: Any, checksums: Checksums) -> None:
        """Use ``create`` or ``open``."""
        self.folder = folder
        self._lance = lance
        self._files = TableFiles(folder, checksums)
        # Whether all files were listed, by version and kinds.
        self._checked: dict[tuple[int, tuple[str, ...]], bool] = {}

    @classmethod
    def create(cls, folder: Path, fingerprint: Fingerprint) -> Self:
        """Make an empty table; one that a kill left half made is made anew.

        Raises:
            IndexFolderError: There are rows already, or the folder cannot be written.
        """
        if any("/data/" in name for name in files_of(folder)):
            raise IndexFolderError(
                f"{folder}: its table has rows, but its index.json is gone; restore that from a "
                f"copy, run `earful index verify {folder} --repair --corpus CORPUS`, or name a "
                "new folder"
            )
        shutil.rmtree(folder / TABLE_FOLDER, ignore_errors=True)
        with errors_named(folder):
            (folder / CHECKSUMS_NAME).unlink(missing_ok=True)
            lance = _connect(folder).create_table(TABLE_NAME, schema=table_schema(fingerprint))
            table = cls(folder, lance, Checksums(folder))
            table._files.sync_all()
        return table

    @classmethod
    def open(cls, folder: Path, fingerprint: Fingerprint) -> Self:
        """Open the table of an index whose header names an embedder.

        When the newest version is damaged, as a power cut may leave it, the one before is
        opened, with a ``RuntimeWarning``.

        Raises:
            IndexFolderError: It is missing or damaged, or was made by another embedder.
        """
        if not (folder / TABLE_FOLDER / f"{TABLE_NAME}.lance").is_dir():
            raise IndexFolderError(
                f"{folder}: its table is gone; restore it from a copy, or run `earful index "
                f"verify {folder} --repair --corpus CORPUS`"
            )
        checksums = Checksums(folder)
        lance = open_newest(folder, checksums, partial(_open_lance, folder))
        if not lance.schema.equals(table_schema(fingerprint), check_metadata=False) or (
            (lance.schema.metadata or {}).get(FINGERPRINT_KEY.encode())
            != table_schema(fingerprint).metadata[FINGERPRINT_KEY.encode()]
        ):
            raise IndexFolderError(
                f"{folder}: index.json and the table do not belong together: they name other "
                "embedders or columns; restore both from one copy, or build the index anew"
            )
        return cls(folder, lance, checksums)

    @classmethod
    def at_version(cls, folder: Path, version: int) -> Self:
        """Open one version of a table to read it, whatever it is.

        Raises:
            IndexFolderError: It is missing or damaged.
        """
        lance = _open_lance(folder)
        with errors_named(folder):
            lance.checkout(version)
        return cls(folder, lance, Checksums(folder))

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._lance.schema.names)

    def __len__(self) -> int:
        return int(self._read(self._lance.count_rows, DELETIONS))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, ordered by id.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        wanted = list(dict.fromkeys([*columns, "id"]))
        table = self._read(lambda: self._query(None, wanted))
        return table.sort_by("id").select(list(columns))

    def rows(self, ids: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Return some columns of the rows with these ids; ids that are not there do nothing.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        import pyarrow as pa

        # An empty part gives the columns where there is no id at all.
        parts = [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]
        return pa.concat_tables(
            self._read(partial(self._query, _id_among(part), columns)) for part in parts or [[]]
        )

    def consume(
        self, columns: Sequence[str], take: Callable[[Iterator[pa.RecordBatch]], Result]
    ) -> Result:
        """Hand on some columns of all rows, some rows at a time, in no order.

        Args:
            columns: Which columns. One more, ``_rowid``, says where each row lies in this
                version of the table.
            take: Is given the rows; once more from the start when another process drops this
                version meanwhile.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        return self._read(lambda: take(self._batches(columns)))

    def places(self) -> NDArray[np.uint64]:
        """Return where the rows lie in this version of the table, for ``at``.

        Reads no rows: those of damaged files are among them.

        Raises:
            IndexFolderError: A file that says which rows are deleted is damaged or gone.
        """
        import pyarrow as pa

        batches = self._read(lambda: list(self._batches([])), DELETIONS)
        parts = [batch.column("_rowid") for batch in batches]
        found: NDArray[np.uint64] = pa.chunked_array(parts, pa.uint64()).to_numpy()
        return found

    @property
    def version(self) -> int:
        """Which version of the table is read."""
        return int(self._lance.version)

    def at(
        self, row_ids: Sequence[int], columns: Sequence[str], *, version: int
    ) -> pa.Table | None:
        """Return some columns of rows by where they lay in a version, in that order.

        Their files are not checked: ``check`` does that.

        Returns:
            ``None`` when another version is read by now: its rows lie elsewhere.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """

        def take() -> pa.Table | None:
            if self.version != version:
                return None
            return self._lance.take_row_ids(list(row_ids)).select(list(columns)).to_arrow()

        return self._read(take, DELETIONS)

    def ids_where(self, where: str) -> list[str]:
        """Return the ids of the rows that pass an SQL condition over the columns.

        Raises:
            FilterError: It cannot be evaluated.
            IndexFolderError: A file of the table is damaged or gone.
        """
        # LanceDB passes over whatever follows the condition; brackets make that an
        # error, and the line end closes a comment.
        found = self._read_where(where, lambda: self._query(f"(\n{where}\n)", ["id"]))
        ids: list[str] = found.column("id").to_pylist()
        return ids

    def nearest(
        self,
        query: NDArray[np.float32],
        n: int,
        columns: Sequence[str],
        *,
        n_probes: int,
        refine: int,
        where: str = "",
    ) -> pa.Table:
        """Return some columns of rows near a vector, found through the vector index.

        Args:
            query: float32, shape ``(dim,)``.
            n: How many rows at most.
            columns: Which columns.
            n_probes: How many partitions are looked at.
            refine: So many times ``n`` rows are compared by their whole vectors.
            where: SQL condition that rows must pass.

        Raises:
            FilterError: The condition cannot be evaluated.
            IndexFolderError: A file of the table is damaged or gone.
        """

        def find() -> pa.Table:
            search = self._lance.search(query).distance_type("dot").nprobes(n_probes)
            if where:
                search = search.where(f"(\n{where}\n)", prefilter=True)
            # LanceDB warns of every query that does not select the distance.
            wanted = [*columns, "_distance"]
            found: pa.Table = search.refine_factor(refine).select(wanted).limit(n).to_arrow()
            return found.select(list(columns))

        # All the rows are too many to read for one query: those that answer are checked.
        return self._read_where(where, find, DELETIONS, INDICES)

    def index_vectors(self, n_partitions: int) -> int:
        """Make the vectors' approximate index anew: partitions, and a bit for each number.

        RaBitQ: Gao and Long, "RaBitQ" (SIGMOD 2024, arXiv 2405.12497).

        Returns:
            Its size in bytes.

        Raises:
            IndexFolderError: It cannot be written, or there are too few rows to make it of.
        """
        from lancedb.index import IvfRq

        with self._changing():
            self._lance.create_index(
                "vector", config=IvfRq(distance_type="dot", num_partitions=n_partitions)
            )
        (made,) = (i for i in self._lance.list_indices() if i.columns == ["vector"])
        return int(made.size_bytes or 0)

    def drop_vector_index(self) -> None:
        """Remove the vectors' approximate index, where there is one.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with self._changing():
            for made in self._lance.list_indices():
                if made.columns == ["vector"]:
                    self._lance.drop_index(made.name)

    def index_columns(self) -> None:
        """Make the indices that conditions on labels and splits are answered from.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        from lancedb.index import Bitmap, LabelList

        with self._changing():
            for column, config in (("labels", LabelList()), ("split", Bitmap())):
                self._lance.create_index(column, config=config)

    def upsert(self, batch: pa.RecordBatch) -> None:
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
                .execute(pa.Table.from_batches([batch]))
            )

    def append(self, batch: pa.RecordBatch) -> None:
        """Insert rows whose ids are all new, in one commit.

        Unlike ``upsert`` this reads nothing, so it takes the same time and memory however
        large the table is.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        with self._changing():
            self._lance.add(pa.Table.from_batches([batch]))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows in one commit; ids that are not there do nothing.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        with self._changing():
            self._lance.delete(_id_among(ids))

    def keep(self, places: Sequence[int], fingerprint: Fingerprint) -> None:
        """Keep some rows and drop all others, in one commit that writes the kept ones anew.

        Args:
            places: Where the rows lie in this version, as ``places`` says.
            fingerprint: What made the vectors.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        schema = table_schema(fingerprint)
        version = self.version

        def kept() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(places), _ROWS_AT_ONCE):
                some = places[start : start + _ROWS_AT_ONCE]
                found = self.at(some, schema.names, version=version)
                if found is None:
                    raise IndexFolderError(f"{self.folder}: was written meanwhile; try again")
                yield from found.cast(schema).to_batches()

        rows = pa.RecordBatchReader.from_batches(schema, kept())
        with self._changing():
            self._lance = _connect(self.folder).create_table(
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
        # What is copied is believed from then on.
        self.check()
        with self._changing():
            # Never delete_unverified: it takes files that a commit under way still needs.
            self._lance.optimize(cleanup_older_than=_KEEP_VERSIONS)
            self._files.sync()
            self._files.prune()

    def refresh(self) -> bool:
        """Go to the newest version; return whether there was a newer one."""
        with errors_named(self.folder):
            before = self._lance.version
            self._lance.checkout_latest()
            self._files.reload()
            return bool(self._lance.version != before)

    def check(self, *kinds: str) -> bool:
        """Compare the files of this version with their digests; each is read once.

        LanceDB must not see a damaged file: some make it end the whole process.

        Args:
            kinds: Which files: those below these folders; default: all that are read.

        Returns:
            Whether all of them are listed. Rows of others must be checked by their own digests.

        Raises:
            IndexFolderError: A file has other bytes than it had.
        """
        wanted = kinds or (DATA, DELETIONS, INDICES)
        key = (self.version, wanted)
        if key not in self._checked:
            self._checked[key] = self._files.check(self.version, wanted)
        return self._checked[key]

    def damaged_files(self) -> list[str]:
        """Return the files that have other bytes than they had, or that are gone."""
        return self._files.damaged(self.version)

    def set_damaged_aside(self) -> None:
        """Move damaged files of versions before this one to the quarantine.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with errors_named(self.folder):
            self._files.set_damaged_aside(self.version)

    def _query(self, where: str | None, columns: Sequence[str]) -> pa.Table:
        query = self._lance.search()
        if where is not None:
            query = query.where(where)
        return query.select(list(columns)).limit(max(1, self._lance.count_rows())).to_arrow()

    def _read(self, read: Callable[[], Result], *kinds: str) -> Result:
        with errors_named(self.folder):
            return self._read_again(read, *kinds)

    def _read_where(self, where: str, read: Callable[[], Result], *kinds: str) -> Result:
        try:
            return self._read_again(read, *kinds)
        except BaseException as error:
            if not is_lance_error(error):
                raise
            if not where:
                with errors_named(self.folder):
                    raise
            # A damaged table is no fault of the condition: this raises then.
            self.read(FILTER_COLUMNS)
            raise FilterError(
                f"filter {shortened(repr(where))}: {_filter_reason(error)}; want one SQL "
                f"condition over {', '.join(FILTER_COLUMNS)}, such as \"split = 'train'\" or "
                "\"array_has(labels, 'dog') AND duration_s < 5\""
            ) from error

    def _read_again(self, read: Callable[[], Result], *kinds: str) -> Result:
        """Read once the files of these kinds are checked; again where they are gone."""
        self.check(*kinds)
        try:
            return read()
        except (RuntimeError, OSError, ValueError) as error:
            if "ot found" not in str(error):
                raise
            # Another process may have compacted the table and dropped this version.
            self._lance.checkout_latest()
            self.check(*kinds)
            return read()

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        search = self._lance.search().with_row_id(True)
        return iter(search.select([*columns, "_rowid"]).to_batches(_ROWS_AT_ONCE))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Flush the files that are new after a block, and their folders, and list them."""
        with errors_named(self.folder):
            self._files.forget_lost(self.version)
            yield
            self._files.sync()


def stored_fingerprint(folder: Path) -> Fingerprint:
    """Return which embedder a table names.

    Raises:
        IndexFolderError: It is missing or damaged.
    """
    if not (folder / TABLE_FOLDER / f"{TABLE_NAME}.lance").is_dir():
        raise IndexFolderError(f"{folder}: is not an index, it has no table")
    lance = open_newest(folder, Checksums(folder), partial(_open_lance, folder))
    try:
        return Fingerprint.from_dict(json.loads(lance.schema.metadata[FINGERPRINT_KEY.encode()]))
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise IndexFolderError(f"{folder}: its table names no embedder ({error!r})") from error


def _open_lance(folder: Path) -> Any:
    with errors_named(folder):
        return _connect(folder).open_table(TABLE_NAME)


def _connect(folder: Path) -> Any:
    # Lance logs each new table as a warning on stderr; what matters comes as exceptions.
    os.environ.setdefault("LANCE_LOG", "error")
    import lancedb

    # Every version's list of fragments is kept in the one, or a build of many commits would
    # fill it with what nobody reads again.
    session = lancedb.Session(
        metadata_cache_size_bytes=_MOST_METADATA_BYTES, index_cache_size_bytes=_MOST_INDEX_BYTES
    )
    return lancedb.connect(folder / TABLE_FOLDER, session=session)


def _id_among(ids: Sequence[str]) -> str:
    if not ids:
        return "false"
    return f"id IN ({', '.join(map(quoted, ids))})"


def _filter_reason(error: BaseException) -> str:
    reason = lance_reason(error).removeprefix("Invalid input, ")
    # The statement that LanceDB makes of a condition.
    if "sql parser error: " in reason:
        reason = reason.rpartition("(sql parser error: ")[2].removesuffix(")")
    return shortened(reason.split(". Valid fields are")[0])
