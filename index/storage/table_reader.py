"""Reads of the LanceDB table inside an index folder, one version of it at a time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from earful.errors import EarfulError, FilterError, IndexFolderError
from earful.index.cache import Snapshot
from earful.index.storage.checksums import Checksums
from earful.index.storage.header import NOT_LABELS
from earful.index.storage.lock import use_lance_here
from earful.index.storage.schema import (
    CLASS_SCORES,
    EXEMPLAR_COLUMNS,
    ROW_COLUMNS,
    n_classes_of,
)
from earful.index.storage.table_files import DATA, DELETIONS, INDICES, TableFiles
from earful.index.storage.versions import manifest_name, state_of
from earful.model.runtime import sha256_of
from earful.wording import as_argument, shortened

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

# The columns that a user's condition may use.
FILTER_COLUMNS = (*EXEMPLAR_COLUMNS, "duration_s", "file_sha256", "content_sha256")
_IDS_AT_ONCE = 500
_ROWS_AT_ONCE = 4096
Result = TypeVar("Result")


class TableReader:
    """A table, seen at one version until ``refresh``.

    Attributes:
        folder: The index folder.
        n_classes: Number of class scores of each row; 0 for none.
    """

    def __init__(
        self,
        folder: Path,
        lance: Any,
        checksums: Checksums,
        *,
        n_classes: int | None = None,
        open_lance: Callable[[], Any] | None = None,
        snapshot: Snapshot | None = None,
        made_by: str = "",
    ) -> None:
        """Use one of the class methods of ``Table``."""
        self.folder = folder
        self._opened = lance
        self._open_lance = open_lance
        self._snapshot = snapshot
        self._made_by = made_by
        self.n_classes = n_classes_of(lance.schema) if n_classes is None else n_classes
        self._files = TableFiles(folder, checksums)
        # Whether all files were listed, by version and kinds.
        self._checked: dict[tuple[int, tuple[str, ...]], bool] = {}
        self._states: dict[int, str] = {}

    @property
    def _lance(self) -> Any:
        """LanceDB's table, unless this process was forked from one that used LanceDB."""
        use_lance_here(self.folder)
        if self._opened is None and self._open_lance is not None:
            opened = self._open_lance()
            if self._snapshot is not None and opened.version != self._snapshot.version:
                # Another process has written since: what was read is of the version before.
                opened.checkout(self._snapshot.version)
            self._opened = opened
        return self._opened

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._lance.schema.names)

    @property
    def has_not_labels(self) -> bool:
        """Whether there is a column for what is not there: the index has such rows, or had."""
        return NOT_LABELS in (self._snapshot.columns if self._snapshot else self.columns)

    @property
    def exemplar_columns(self) -> tuple[str, ...]:
        """The columns that make an exemplar."""
        return (*EXEMPLAR_COLUMNS, NOT_LABELS) if self.has_not_labels else EXEMPLAR_COLUMNS

    @property
    def row_columns(self) -> tuple[str, ...]:
        """All that makes a row and can be checked against its digest."""
        scores = (CLASS_SCORES,) if self.n_classes else ()
        return (*ROW_COLUMNS, *scores, *((NOT_LABELS,) if self.has_not_labels else ()))

    def __len__(self) -> int:
        if self._snapshot is not None:
            return self._snapshot.n
        return int(self._read(self._lance.count_rows, DELETIONS))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, ordered by id.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        if (found := self.read_snapshot(columns)) is not None:
            return found
        wanted = list(dict.fromkeys([*columns, "id"]))
        table = self._read(lambda: self._query(None, wanted))
        return table.sort_by("id").select(list(columns))

    def read_snapshot(self, columns: Sequence[str]) -> pa.Table | None:
        """Return some columns of all rows, ordered by id and mapped rather than read.

        Returns:
            ``None`` where there is no snapshot of this version.
        """
        found = None if self._snapshot is None else self._snapshot.read(columns)
        if found is None:
            self._snapshot = None
        return found

    def keep_snapshot(self, table: pa.Table) -> None:
        """Keep rows for those who read this version again, where the folder can be written.

        Args:
            table: All rows, ordered by id, with ``row_columns``; checked.
        """
        state = state_of(self.folder)
        # Of a version that took the place of a lost one, readers are to be told each time.
        if state and state.version == self.version and not self._files.has_lost(self.version):
            Snapshot.keep(
                self.folder,
                table,
                state=state.digest,
                made_by=self._made_by,
                version=self.version,
            )

    def rows(self, ids: Sequence[str], columns: Sequence[str]) -> pa.Table:
        """Return some columns of the rows with these ids; unknown ids are ignored.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        import pyarrow as pa

        # Without any id, one empty part still gives the columns.
        parts = [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]
        return pa.concat_tables(
            self._read(partial(self._query, id_among(part), columns)) for part in parts or [[]]
        )

    def consume(
        self, columns: Sequence[str], take: Callable[[Iterator[pa.RecordBatch]], Result]
    ) -> Result:
        """Pass some columns of all rows to a function, in batches, in no order.

        Args:
            columns: Which columns. One more, ``_rowid``, gives the place of each row in this
                version of the table.
            take: Gets the batches; called once more from the start when another process drops
                this version in the meantime.

        Raises:
            IndexFolderError: A file of the table is damaged or gone.
        """
        return self._read(lambda: take(self._batches(columns)))

    def places(self) -> NDArray[np.uint64]:
        """Return the places of all rows in this version of the table, for ``at``.

        Reads no rows, so those of damaged files are included.

        Raises:
            IndexFolderError: A file that marks deleted rows is damaged or gone.
        """
        import pyarrow as pa

        batches = self._read(lambda: list(self._batches([])), DELETIONS)
        parts = [batch.column("_rowid") for batch in batches]
        found: NDArray[np.uint64] = pa.chunked_array(parts, pa.uint64()).to_numpy()
        return found

    @property
    def version(self) -> int:
        """The version of the table that is read."""
        if self._snapshot is not None and self._opened is None:
            return self._snapshot.version
        return int(self._lance.version)

    @property
    def state(self) -> str:
        """Digest by which this version's rows are known; equal in every process."""
        version = self.version
        if version not in self._states:
            with translate_errors(self.folder):
                self._states[version] = sha256_of(self.folder / manifest_name(version))
        return self._states[version]

    def at(
        self, row_ids: Sequence[int], columns: Sequence[str], *, version: int
    ) -> pa.Table | None:
        """Return some columns of rows by their places in a version, in that order.

        Their files are not checked: ``check`` does that.

        Returns:
            ``None`` when another version is read by now, in which rows have other places.

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
        # LanceDB ignores whatever follows the condition; brackets make that an error, and the
        # line end closes a comment.
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
            n_probes: How many partitions are searched.
            refine: ``refine * n`` rows are compared by their full vectors.
            where: SQL condition that rows must pass.

        Raises:
            FilterError: The condition cannot be evaluated.
            IndexFolderError: A file of the table is damaged or gone.
        """

        def find() -> pa.Table:
            search = self._lance.search(query, "vector").distance_type("dot").nprobes(n_probes)
            if where:
                search = search.where(f"(\n{where}\n)", prefilter=True)
            # LanceDB warns about every query that does not select the distance.
            wanted = [*columns, "_distance"]
            found: pa.Table = search.refine_factor(refine).select(wanted).limit(n).to_arrow()
            return found.select(list(columns))

        # Checking all data files would read the whole table for one query: the rows that are
        # found are checked by their own digests instead.
        return self._read_where(where, find, DELETIONS, INDICES)

    def refresh(self) -> bool:
        """Switch to the newest version; return whether there was a newer one."""
        before = self.version
        if self._opened is None:
            state = state_of(self.folder)
            if state and state.version == before:
                return False
            self._snapshot = None
        with translate_errors(self.folder):
            self._lance.checkout_latest()
            self._files.reload()
        if self.version == before:
            return False
        self._snapshot = None
        return True

    def check(self, *kinds: str) -> bool:
        """Compare the files of this version with their digests; each is read once.

        LanceDB must not see a damaged file: some make it end the whole process.

        Args:
            kinds: The folders whose files are compared; default: all that are read.

        Returns:
            Whether all of them are listed. Rows of others must be checked by their own digests.

        Raises:
            IndexFolderError: The bytes of a file are not those that were written.
        """
        wanted = kinds or (DATA, DELETIONS, INDICES)
        key = (self.version, wanted)
        if key not in self._checked:
            self._checked[key] = self._files.check(self.version, wanted)
        return self._checked[key]

    def _query(self, where: str | None, columns: Sequence[str]) -> pa.Table:
        query = self._lance.search()
        if where is not None:
            query = query.where(where)
        return query.select(list(columns)).limit(max(1, self._lance.count_rows())).to_arrow()

    def _read(self, read: Callable[[], Result], *kinds: str) -> Result:
        with translate_errors(self.folder):
            return self._read_again(read, *kinds)

    def _read_where(self, where: str, read: Callable[[], Result], *kinds: str) -> Result:
        if not where:
            return self._read(read, *kinds)
        try:
            return self._read_again(read, *kinds)
        except BaseException as error:
            if not is_lance_error(error):
                raise
            # Where the table is damaged, the condition is not at fault, and this raises.
            self.consume(FILTER_COLUMNS, lambda batches: sum(map(len, batches)))
            advice = _filter_advice(where)
            if NOT_LABELS in where and not self.has_not_labels:
                advice = "no row says what is not there yet: leave the part about not_labels out "
            raise FilterError(
                f"filter {shortened(repr(where))}: {advice}({_filter_reason(error)})"
            ) from error

    def _read_again(self, read: Callable[[], Result], *kinds: str) -> Result:
        """Check the files of these kinds, then read; once more where a version is gone."""
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


def id_among(ids: Sequence[str]) -> str:
    """Write the SQL condition that a row's id is one of these.

    >>> id_among(["a", "it's"])
    "id IN ('a', 'it''s')"
    """
    if not ids:
        return "false"
    return f"id IN ({', '.join(map(sql_literal, ids))})"


def sql_literal(text: str) -> str:
    """Write a text as an SQL literal; doubled quotes are all that keeps it from being SQL."""
    return "'" + text.replace("'", "''") + "'"


def _filter_advice(where: str) -> str:
    """Return what a condition should look like, first of all the one that was meant."""
    advice = (
        f"expected one SQL condition over {', '.join(FILTER_COLUMNS)}, such as \"split = 'train'\" "
        "or \"array_has(labels, 'dog') AND duration_s < 5\" "
    )
    compared = re.search(r"\blabels\s*(?:=|==|!=|<>|LIKE|IN)\s*\(?\s*['\"]([^'\"]*)", where, re.I)
    if not compared:
        return advice
    return f"labels is a list: write array_has(labels, {sql_literal(compared[1])}); {advice}"


def _filter_reason(error: BaseException) -> str:
    reason = lance_reason(error).removeprefix("Invalid input, ")
    # LanceDB quotes the statement that it made of the condition.
    if "sql parser error: " in reason:
        reason = reason.rpartition("(sql parser error: ")[2].removesuffix(")")
    return shortened(reason.split(". Valid fields are")[0])


# --- errors of LanceDB ---------------------------------------------------------------------


@contextmanager
def translate_errors(folder: Path) -> Iterator[None]:
    """Turn errors of LanceDB in a block into errors that name the index folder.

    Raises:
        IndexFolderError: The disk is full or read-only, or a file is damaged or gone.
    """
    try:
        yield
    except BaseException as error:
        if not is_lance_error(error):
            raise
        reason = lance_reason(error)
        if "No space left" in reason or "Disk quota exceeded" in reason:
            raise IndexFolderError(
                f"{folder}: the disk is full, {shutil.disk_usage(folder).free:,} bytes are free; "
                "what was committed is kept. Free some space and run the same command again"
            ) from error
        if any(sign in reason for sign in ("Permission denied", "Read-only", "File too large")):
            raise IndexFolderError(
                f"{folder}: cannot be written ({shortened(reason)}); choose a folder that can be "
                "written"
            ) from error
        raise IndexFolderError(
            f"{folder}: its table cannot be used ({shortened(reason)}). Where a file is damaged, "
            f"`earful index verify {as_argument(folder)} --repair` keeps the undamaged rows and "
            "embeds the rest again"
        ) from error


def is_lance_error(error: BaseException) -> bool:
    """Tell whether an exception may come from LanceDB; a damaged file can make it panic."""
    if isinstance(error, EarfulError):
        return False
    # The class of a panic derives from BaseException, and no module exports it.
    return isinstance(error, RuntimeError | OSError | ValueError) or type(
        error
    ).__module__.startswith("pyo3")


def lance_reason(error: BaseException | str) -> str:
    """Return LanceDB's message in one line, without the names of its source files.

    >>> lance_reason(RuntimeError("lance error: Not found: x.lance, /root/.cargo/a.rs:273:40"))
    'Not found: x.lance'
    """
    reason = re.split(r", /\S+\.rs:\d", " ".join(str(error).split()))[0]
    return reason.removeprefix("lance error: ").removeprefix("LanceError(IO): ")
