"""The LanceDB table inside an index folder: everything that talks to LanceDB stands here.

A change is one commit, whole or not there. LanceDB leaves flushing to the kernel, so the
files of every commit are flushed here: after a power cut at most the commit under way is
lost. Its errors come out as ``IndexFolderError`` with the folder named.

LanceDB runs threads that a forked child lacks: start worker processes with ``spawn``.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from earful.errors import FilterError, IndexFolderError
from earful.index.lock import WriterLock
from earful.index.schema import EXEMPLAR_COLUMNS, FINGERPRINT_KEY, table_schema
from earful.index.where import quoted
from earful.model.durable import sync_file, sync_folder
from earful.model.protocols import Fingerprint

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

TABLE_FOLDER = "table"
# The columns that a condition of a user's makes sense over.
FILTER_COLUMNS = (*EXEMPLAR_COLUMNS, "duration_s", "file_sha256", "content_sha256")
_NAME = "exemplars"
# Readers of an older version get this long before its files may go.
_KEEP_VERSIONS = timedelta(hours=1)
# Rewriting small fragments takes up to a second copy, and some.
_ROOM_TO_COMPACT = 1.2
_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 4096
_MOST_METADATA_BYTES = 2**22
_MOST_INDEX_BYTES = 2**30
_MANIFEST_END = b"LANC"
Result = TypeVar("Result")


class Table:
    """An open table, seen at one version until ``refresh`` or a change through it."""

    def __init__(self, folder: Path, lance: Any) -> None:
        """Use ``create`` or ``open``."""
        self._folder = folder
        self._lance = lance
        self._synced = set(_files(folder / TABLE_FOLDER))

    @classmethod
    def create(cls, folder: Path, fingerprint: Fingerprint) -> Self:
        """Make an empty table; one that a kill left half made is made anew.

        Raises:
            IndexFolderError: There are rows already, or the folder cannot be written.
        """
        if any(_files(_lance_folder(folder) / "data")):
            raise IndexFolderError(
                f"{folder}: its table has rows, but its index.json is gone; restore that from a "
                "copy, or name a new folder"
            )
        shutil.rmtree(folder / TABLE_FOLDER, ignore_errors=True)
        with _errors_named(folder):
            lance = _connect(folder).create_table(_NAME, schema=table_schema(fingerprint))
        table = cls(folder, lance)
        table._synced.clear()
        table._sync()
        return table

    @classmethod
    def open(cls, folder: Path, fingerprint: Fingerprint) -> Self:
        """Open the table of an index whose header names an embedder.

        When the newest version's manifest is torn, as a power cut may leave it, the one
        before is opened, with a ``RuntimeWarning``.

        Raises:
            IndexFolderError: It is missing or damaged, or was made by another embedder.
        """
        if not _lance_folder(folder).is_dir():
            raise IndexFolderError(
                f"{folder}: its table is gone; restore it from a copy, or build the index anew"
            )
        try:
            with _errors_named(folder):
                lance = _connect(folder).open_table(_NAME)
        except IndexFolderError:
            if not _set_torn_manifests_aside(folder):
                raise
            with _errors_named(folder):
                lance = _connect(folder).open_table(_NAME)
        if not lance.schema.equals(table_schema(fingerprint), check_metadata=False) or (
            (lance.schema.metadata or {}).get(FINGERPRINT_KEY.encode())
            != table_schema(fingerprint).metadata[FINGERPRINT_KEY.encode()]
        ):
            raise IndexFolderError(
                f"{folder}: index.json and the table do not belong together: they name other "
                "embedders or columns; restore both from one copy, or build the index anew"
            )
        return cls(folder, lance)

    def __len__(self) -> int:
        return int(self._read(self._lance.count_rows))

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

    def stream(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, some rows at a time, in no order.

        A last column, ``_rowid``, says where each row lies in this version of the table.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        with _errors_named(self._folder):
            search = self._lance.search().with_row_id(True)
            yield from search.select([*columns, "_rowid"]).to_batches(_ROWS_AT_ONCE)

    @property
    def version(self) -> int:
        """Which version of the table is read."""
        return int(self._lance.version)

    def at(
        self, row_ids: Sequence[int], columns: Sequence[str], *, version: int
    ) -> pa.Table | None:
        """Return some columns of rows by where they lay in a version, in that order.

        Returns:
            ``None`` when another version is read by now: its rows lie elsewhere.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """

        def take() -> pa.Table | None:
            if self.version != version:
                return None
            return self._lance.take_row_ids(list(row_ids)).select(list(columns)).to_arrow()

        return self._read(take)

    def ids_where(self, where: str) -> list[str]:
        """Return the ids of the rows that pass an SQL condition over the columns.

        Raises:
            FilterError: It cannot be evaluated.
        """
        with _filter_errors_named(where):
            # LanceDB passes over whatever follows the condition; brackets make that an
            # error, and the line end closes a comment.
            found = self._query(f"(\n{where}\n)", ["id"])
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
        """
        with _filter_errors_named(where):
            search = self._lance.search(query).distance_type("dot").nprobes(n_probes)
            if where:
                search = search.where(f"(\n{where}\n)", prefilter=True)
            # LanceDB warns of every query that does not select the distance.
            wanted = [*columns, "_distance"]
            found: pa.Table = search.refine_factor(refine).select(wanted).limit(n).to_arrow()
        return found.select(list(columns))

    def index_vectors(self, n_partitions: int) -> int:
        """Make the vectors' approximate index anew: partitions, and a bit for each number.

        RaBitQ: Gao and Long, "RaBitQ" (SIGMOD 2024, arXiv 2405.12497).

        Returns:
            Its size in bytes.

        Raises:
            IndexFolderError: It cannot be written, or there are too few rows to make it of.
        """
        from lancedb.index import IvfRq

        with _errors_named(self._folder):
            self._lance.create_index(
                "vector", config=IvfRq(distance_type="dot", num_partitions=n_partitions)
            )
        self._sync()
        (made,) = (i for i in self._lance.list_indices() if i.columns == ["vector"])
        return int(made.size_bytes or 0)

    def drop_vector_index(self) -> None:
        """Remove the vectors' approximate index, where there is one.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        with _errors_named(self._folder):
            for made in self._lance.list_indices():
                if made.columns == ["vector"]:
                    self._lance.drop_index(made.name)
        self._sync()

    def index_columns(self) -> None:
        """Make the indices that conditions on labels and splits are answered from.

        Raises:
            IndexFolderError: The folder cannot be written.
        """
        from lancedb.index import Bitmap, LabelList

        with _errors_named(self._folder):
            for column, config in (("labels", LabelList()), ("split", Bitmap())):
                self._lance.create_index(column, config=config)
        self._sync()

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Insert rows, or replace those with the same id, in one commit.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        with _errors_named(self._folder):
            (
                self._lance.merge_insert("id")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .execute(pa.Table.from_batches([batch]))
            )
        self._sync()

    def append(self, batch: pa.RecordBatch) -> None:
        """Insert rows whose ids are all new, in one commit.

        Unlike ``upsert`` this reads nothing, so it takes the same time and memory however
        large the table is.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        import pyarrow as pa

        with _errors_named(self._folder):
            self._lance.add(pa.Table.from_batches([batch]))
        self._sync()

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows in one commit; ids that are not there do nothing.

        Raises:
            IndexFolderError: The disk is full or read-only; nothing is changed.
        """
        with _errors_named(self._folder):
            self._lance.delete(_id_among(ids))
        self._sync()

    def compact(self) -> None:
        """Merge small fragments and drop versions older than an hour.

        Raises:
            IndexFolderError: There is no room for the second copy that this needs.
        """
        size = sum(os.path.getsize(path) for path in _files(_lance_folder(self._folder)))
        needed, free = int(size * _ROOM_TO_COMPACT), shutil.disk_usage(self._folder).free
        if free < needed:
            raise IndexFolderError(
                f"{self._folder}: compacting needs {needed:,} bytes and the disk has {free:,}; "
                "free some space first"
            )
        with _errors_named(self._folder):
            # Never delete_unverified: it takes files that a commit under way still needs.
            self._lance.optimize(cleanup_older_than=_KEEP_VERSIONS)
        self._sync()

    def refresh(self) -> bool:
        """Go to the newest version; return whether there was a newer one."""
        with _errors_named(self._folder):
            before = self._lance.version
            self._lance.checkout_latest()
            return bool(self._lance.version != before)

    def _query(self, where: str | None, columns: Sequence[str]) -> pa.Table:
        query = self._lance.search()
        if where is not None:
            query = query.where(where)
        return query.select(list(columns)).limit(max(1, self._lance.count_rows())).to_arrow()

    def _read(self, read: Callable[[], Result]) -> Result:
        with _errors_named(self._folder):
            try:
                return read()
            except (RuntimeError, OSError, ValueError) as error:
                if "ot found" not in str(error):
                    raise
                # Another process may have compacted the table and dropped this version.
                self._lance.checkout_latest()
                return read()

    def _sync(self) -> None:
        """Flush the files that are new since the last call, and their folders."""
        with _errors_named(self._folder):
            new = set(_files(self._folder / TABLE_FOLDER)) - self._synced
            for path in sorted(new):
                sync_file(path)
            for parent in sorted({os.path.dirname(path) for path in new}):
                sync_folder(Path(parent))
            self._synced |= new


def _lance_folder(folder: Path) -> Path:
    return folder / TABLE_FOLDER / f"{_NAME}.lance"


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


def _files(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(parent, name)


def _id_among(ids: Sequence[str]) -> str:
    if not ids:
        return "false"
    return f"id IN ({', '.join(map(quoted, ids))})"


def _filter_reason(error: Exception) -> str:
    reason = " ".join(str(error).split()).removeprefix("Invalid input, ")
    # Names of LanceDB's own source files, and the statement it makes of a condition.
    reason = reason.split(", /")[0].removeprefix("lance error: ")
    if "sql parser error: " in reason:
        reason = reason.rpartition("(sql parser error: ")[2].removesuffix(")")
    return _shortened(reason.split(". Valid fields are")[0])


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


@contextmanager
def _filter_errors_named(where: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        raise FilterError(
            f"filter {_shortened(repr(where))}: {_filter_reason(error)}; want one SQL "
            f"condition over {', '.join(FILTER_COLUMNS)}, such as \"split = 'train'\" or "
            "\"array_has(labels, 'dog') AND duration_s < 5\""
        ) from error


@contextmanager
def _errors_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        if "No space left" in reason:
            raise IndexFolderError(
                f"{folder}: the disk is full, {shutil.disk_usage(folder).free:,} bytes are free; "
                "what was committed is kept. Free some space and run the same command again"
            ) from error
        if any(sign in reason for sign in ("Permission denied", "Read-only", "File too large")):
            raise IndexFolderError(
                f"{folder}: cannot be written ({reason}); want a folder that can be"
            ) from error
        raise IndexFolderError(
            f"{folder}: its table cannot be used ({reason}); restore it from a copy, or build the "
            "index anew"
        ) from error


def _set_torn_manifests_aside(folder: Path) -> bool:
    """Move manifests that end too early, newest first; return whether one was moved."""
    versions = _lance_folder(folder) / "_versions"
    aside = folder / "_quarantine"
    moved = []
    with WriterLock(folder).held():
        # Versions count down in the names, so that the newest comes first.
        for path in sorted(versions.glob("*.manifest")):
            if path.read_bytes().endswith(_MANIFEST_END):
                break
            aside.mkdir(exist_ok=True)
            os.replace(path, aside / path.name)
            moved.append(path.name)
    if moved:
        warnings.warn(
            f"{folder}: the newest version was torn, as by a power cut; went back to the one "
            f"before. The torn part is kept in {aside}",
            RuntimeWarning,
            stacklevel=4,
        )
    return bool(moved)
