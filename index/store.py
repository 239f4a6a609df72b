"""The index folder: a LanceDB table with its readable header, one writer, many readers.

::

    sounds.index/
        index.json        format, fingerprint, corpus roots, counts (header.py)
        table/            LanceDB: one row per exemplar, with its vector (schema.py)
        rejected.jsonl    files that could not be embedded, with the reason
        .lock             who is writing (lock.py)

A change is one commit of the table: after a kill it is there wholly or not at all. The
table is the truth; the header's counts are renewed after it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from earful.errors import FilterError, IndexFolderError, IndexMismatchError
from earful.index.corpus import Rejection
from earful.index.exemplar import Exemplar
from earful.index.header import Header, Root, sync_folder, write_atomically
from earful.index.lock import LOCK_NAME, WriterLock
from earful.index.schema import (
    EXEMPLAR_COLUMNS,
    Row,
    exemplar_digest,
    exemplars_of,
    table_schema,
    to_arrow,
    vectors_of,
)
from earful.index.search import Backend, Hit, SearchFilter, Vectors, VectorSet
from earful.model.protocols import Fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.verify import VerifyReport

TABLE_FOLDER = "table"
TABLE_NAME = "exemplars"
REJECTED_NAME = "rejected.jsonl"
# Readers of an older version get this long before its files may go.
_KEEP_VERSIONS = timedelta(hours=1)
_IDS_PER_DELETE = 500
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """What an index holds.

    Attributes:
        format: Version of the folder's layout.
        fingerprint: What made the vectors.
        n: Rows.
        labels: Distinct labels.
        created: UTC, ISO 8601.
        updated: UTC, ISO 8601, of the last change.
        roots: Corpus roots, where they lie now.
        n_rejected: Files that the last build could not embed.
    """

    format: int
    fingerprint: Fingerprint
    n: int
    labels: int
    created: str
    updated: str
    roots: tuple[str, ...]
    n_rejected: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {**asdict(self), "roots": list(self.roots)}


@dataclass(frozen=True, slots=True)
class KnownRow:
    """What a build needs to know of a stored row to leave it alone.

    Attributes:
        root: Corpus root the row came from, where it lies now.
        file_sha256: Digest of the audio file's bytes when it was embedded.
        start_s: Where the stretch begins.
        end_s: Where it ends; ``None`` for the end of the file.
        exemplar_sha256: Digest of all the exemplar's fields.
    """

    root: Path
    file_sha256: str
    start_s: float
    end_s: float | None
    exemplar_sha256: str


class Index:
    """An index folder, open for reading and writing.

    Reads see the rows as they were when first asked for, and this object's own later
    writes; ``refresh`` picks up those of others.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, header: Header, table: Any) -> None:
        """Use ``create``, ``open`` or ``open_or_create``."""
        self.path = path
        self._header = header
        self._table = table
        self._lock = WriterLock(path)
        self._vectors: VectorSet | None = None
        self._known: dict[str, KnownRow] | None = None
        self._label_names: set[str] | None = None

    # --- opening ---------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | os.PathLike[str], fingerprint: Fingerprint) -> Self:
        """Make an empty index.

        Raises:
            IndexFolderError: The folder holds an index already, or other files, or
                cannot be written.
        """
        folder = Path(path).absolute()
        leftovers = {TABLE_FOLDER, LOCK_NAME}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            present = set(os.listdir(folder))
        except OSError as error:
            raise IndexFolderError(
                f"{folder}: cannot be made ({error.strerror}); want a folder that can be written"
            ) from error
        # A kill during creation leaves at most a table without its header.
        if foreign := sorted(name for name in present - leftovers if not name.endswith(".tmp")):
            raise IndexFolderError(
                f"{folder}: holds other files ({', '.join(foreign[:3])}); want a new folder "
                "or an index"
            )
        with WriterLock(folder).held():
            shutil.rmtree(folder / TABLE_FOLDER, ignore_errors=True)
            with _lance_errors(folder):
                table = _connect(folder).create_table(
                    TABLE_NAME, schema=table_schema(fingerprint.dim)
                )
            header = Header.new(fingerprint)
            header.write(folder)
        return cls(folder, header, table)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open an index.

        Raises:
            IndexFolderError: It is missing, damaged, half made, or of a newer format.
        """
        folder = Path(path).absolute()
        if not folder.is_dir():
            raise IndexFolderError(
                f"{folder}: there is no such folder; build an index with "
                f"`earful index build CORPUS --index {path}`"
            )
        header = Header.read(folder)
        if not (folder / TABLE_FOLDER / f"{TABLE_NAME}.lance").is_dir():
            raise IndexFolderError(
                f"{folder}: its table is gone; restore it from a copy, or build the index anew"
            )
        with _lance_errors(folder):
            table = _connect(folder).open_table(TABLE_NAME)
        return cls(folder, header, table)

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], fingerprint: Fingerprint) -> Self:
        """Open an index made by the same embedder, or make an empty one.

        Raises:
            IndexFolderError: As ``open`` and ``create``.
            IndexMismatchError: It was made by another embedder.
        """
        folder = Path(path).absolute()
        header = folder / "index.json"
        if not header.exists():
            return cls.create(folder, fingerprint)
        index = cls.open(folder)
        index.require(fingerprint)
        return index

    # --- reading ---------------------------------------------------------------------

    @property
    def info(self) -> IndexInfo:
        """What the index holds, counted in the table itself."""
        labels = self._columns(["labels"]).column("labels")
        return IndexInfo(
            format=self._header.format,
            fingerprint=self._header.fingerprint,
            n=len(labels),
            labels=len(_distinct(labels)),
            created=self._header.created,
            updated=self._header.updated,
            roots=tuple(str(root) for root in self._roots()),
            n_rejected=len(self.rejections()),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors."""
        return self._header.fingerprint

    def require(self, fingerprint: Fingerprint) -> None:
        """Refuse an embedder that this index was not made with.

        Raises:
            IndexMismatchError: The fingerprints differ; the message says where.
        """
        mine = self._header.fingerprint
        if differences := mine.differences(fingerprint):
            raise IndexMismatchError(
                f"{self.path}: was built with embedder {mine.name!r}, but the query uses "
                f"{fingerprint.name!r} ({'; '.join(differences)}). Similarities across the two "
                f"would mean nothing: use {mine.name!r}, or build the index anew"
            )

    def vectors(self) -> VectorSet:
        """Return all rows with their vectors in RAM, read once."""
        if self._vectors is None:
            table = self._columns([*EXEMPLAR_COLUMNS, "root", "content_sha256", "vector"])
            roots = self._roots()
            exemplars = list(exemplars_of(table))
            self._vectors = VectorSet(
                exemplars=exemplars,
                paths=[
                    roots[root] / exemplar.audio
                    for root, exemplar in zip(
                        table.column("root").to_pylist(), exemplars, strict=True
                    )
                ],
                content=table.column("content_sha256").to_pylist(),
                vectors=vectors_of(table, self.fingerprint.dim),
            )
        return self._vectors

    def search(
        self,
        query: Vectors,
        *,
        k: int = 8,
        filter: SearchFilter = SearchFilter(),
        backend: Backend = "exact",
    ) -> list[Hit]:
        """Find the nearest rows, best first; ties break by id.

        Args:
            query: float32, shape ``(dim,)``, unit norm, from the index's own embedder.
            k: How many hits at most.
            filter: Which rows may be found; ``where`` is SQL over the columns, such as
                ``"split = 'train' AND duration_s < 5"``.
            backend: ``"exact"``, or ``"faiss"`` for the same through FAISS.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            ValueError: The query has another shape or is no unit vector; ``k`` is below 1.
        """
        vectors = self.vectors()
        only = None
        if filter.where:
            only = vectors.rows_of_ids(self._ids_where(filter.where))
        return vectors.search(
            query, k=k, filter=replace(filter, where=""), backend=backend, only=only
        )

    def known(self) -> Mapping[str, KnownRow]:
        """Return, by id, what a build needs to recognise finished rows."""
        if self._known is None:
            names = ["id", "root", "file_sha256", "start_s", "end_s", "exemplar_sha256"]
            table = self._columns(names)
            roots = self._roots()
            self._known = {
                id_: KnownRow(roots[root], *rest)
                for id_, root, *rest in zip(
                    *(table.column(name).to_pylist() for name in names), strict=True
                )
            }
        return self._known

    def renewed(self, exemplar: Exemplar) -> Row:
        """Return a stored row with other fields and its old vector, for unchanged audio.

        Raises:
            KeyError: There is no row of that id.
        """
        names = ["root", "duration_s", "file_sha256", "content_sha256", "vector"]
        with _lance_errors(self.path):
            query = self._table.search().where(f"id = {_quoted(exemplar.id)}")
            table = query.select(names).limit(1).to_arrow()
        if not table.num_rows:
            raise KeyError(exemplar.id)
        stored = table.select(names[:-1]).to_pylist()[0]
        return Row(
            exemplar=exemplar,
            root=self._roots()[stored["root"]],
            duration_s=stored["duration_s"],
            file_sha256=stored["file_sha256"],
            content_sha256=stored["content_sha256"],
            vector=vectors_of(table, self.fingerprint.dim)[0],
        )

    def rejections(self) -> tuple[Rejection, ...]:
        """Return the files that the last build could not embed."""
        path = self.path / REJECTED_NAME
        try:
            lines = path.read_text(encoding="utf-8", errors="surrogatepass").splitlines()
            return tuple(Rejection(**json.loads(line)) for line in lines)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            raise IndexFolderError(
                f"{path}: is damaged ({error}); remove it, the next build writes it anew"
            ) from error

    def refresh(self) -> None:
        """See what other processes wrote since this index was opened."""
        with _lance_errors(self.path):
            self._table.checkout_latest()
        self._header = Header.read(self.path)
        self._vectors = self._known = self._label_names = None

    # --- writing ---------------------------------------------------------------------

    def writer(self) -> AbstractContextManager[None]:
        """Hold the right to write for several changes.

        Raises:
            IndexBusyError: Another process is writing.
        """
        return self._lock.held()

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those with the same id, in one atomic commit.

        Raises:
            IndexFolderError: An id stands twice among ``rows`` or belongs to another
                corpus root; the disk is full or read-only. Nothing is changed.
            ValueError: A vector has another length, is not finite or not of unit norm.
            IndexBusyError: Another process is writing.
        """
        if not rows:
            return
        dim = self.fingerprint.dim
        for row in rows:
            norm = float(np.linalg.norm(row.vector))
            if row.vector.shape != (dim,) or not abs(norm - 1.0) <= _UNIT_TOLERANCE:
                raise ValueError(
                    f"vector of {row.exemplar.id!r}: shape {row.vector.shape}, norm {norm}; "
                    f"want ({dim},) and 1"
                )
        with self.writer():
            self._refuse_clashes(rows)
            numbers = [self._root_number(row.root) for row in rows]
            batch = to_arrow(rows, numbers, dim)
            with _lance_errors(self.path):
                (
                    self._table.merge_insert("id")
                    .when_matched_update_all()
                    .when_not_matched_insert_all()
                    .execute(_as_table(batch))
                )
            self._remember(rows)
            self._committed()

    def remove(self, ids: Iterable[str]) -> int:
        """Remove rows by id.

        Returns:
            How many rows went.

        Raises:
            IndexFolderError: An id is not in the index; nothing is removed.
            IndexBusyError: Another process is writing.
        """
        wanted = sorted(set(ids))
        with self.writer():
            self.refresh()
            if unknown := [id_ for id_ in wanted if id_ not in self.known()]:
                raise IndexFolderError(
                    f"{self.path}: has no row {unknown[0]!r}"
                    + (f" and {len(unknown) - 1} others named" if len(unknown) > 1 else "")
                    + "; nothing was removed. `earful index export` lists the ids"
                )
            for start in range(0, len(wanted), _IDS_PER_DELETE):
                quoted = ", ".join(_quoted(id_) for id_ in wanted[start : start + _IDS_PER_DELETE])
                with _lance_errors(self.path):
                    self._table.delete(f"id IN ({quoted})")
            self._known = self._label_names = None
            self._committed()
        return len(wanted)

    def set_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Replace the list of files that could not be embedded."""
        lines = [json.dumps(rejection.to_dict(), ensure_ascii=False) for rejection in rejections]
        with self.writer():
            write_atomically(self.path / REJECTED_NAME, "".join(f"{line}\n" for line in lines))

    def compact(self) -> None:
        """Merge small fragments and drop versions older than an hour."""
        with self.writer():
            self.refresh()
            with _lance_errors(self.path):
                self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
            self._committed()

    # --- checking and handing on ---------------------------------------------------------

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Check every row; see ``earful.index.verify``."""
        from earful.index.verify import verify_index

        return verify_index(self, progress=progress)

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write every row to ``.csv`` or, with vectors, ``.parquet``; return how many."""
        from earful.index.export import export_index

        return export_index(self, Path(target))

    def read_table(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, ordered by id."""
        return self._columns(columns)

    def roots(self) -> tuple[Path, ...]:
        """Return the corpus roots, where they lie now, as rows number them."""
        return tuple(self._roots())

    # --- private ---------------------------------------------------------------------------

    def _columns(self, names: Sequence[str]) -> pa.Table:
        wanted = list(dict.fromkeys([*names, "id"]))
        with _lance_errors(self.path):
            n = self._table.count_rows()
            table = self._table.search().select(wanted).limit(max(n, 1)).to_arrow()
        return table.sort_by("id").select(list(names))

    def _ids_where(self, where: str) -> list[str]:
        try:
            n = self._table.count_rows()
            found = self._table.search().where(where).select(["id"]).limit(max(n, 1)).to_arrow()
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].removeprefix("Invalid input, ")
            columns = [name for name in self._table.schema.names if name != "vector"]
            raise FilterError(
                f"filter {where!r}: {reason}; want SQL over {', '.join(columns)}, such as "
                "\"split = 'train'\""
            ) from error
        ids: list[str] = found.column("id").to_pylist()
        return ids

    def _roots(self) -> list[Path]:
        return [root.resolve(self.path) for root in self._header.roots]

    def _root_number(self, root: Path) -> int:
        roots = self._roots()
        if root in roots:
            return roots.index(root)
        relative = Path(os.path.relpath(root, self.path)).as_posix()
        new = Root(absolute=str(root), relative=relative)
        # Before the rows that need it: a kill in between leaves an unused root, no more.
        self._header = self._header.touched(roots=(*self._header.roots, new))
        self._header.write(self.path)
        return len(roots)

    def _refuse_clashes(self, rows: Sequence[Row]) -> None:
        seen: set[str] = set()
        known = self.known()
        for row in rows:
            id_ = row.exemplar.id
            if id_ in seen:
                raise IndexFolderError(f"{self.path}: id {id_!r} stands twice among the new rows")
            seen.add(id_)
            if id_ in known and known[id_].root != row.root:
                raise IndexFolderError(
                    f"{self.path}: id {id_!r} belongs to a row from {known[id_].root}, and now "
                    f"comes from {row.root}; give it another id, or remove the old row first"
                )

    def _committed(self) -> None:
        """Make the last commit durable and renew the header's counts."""
        self._vectors = None
        _sync_new_files(self.path / TABLE_FOLDER)
        if self._label_names is None:
            self._label_names = _distinct(self._columns(["labels"]).column("labels"))
        self._header = self._header.touched(
            n=self._table.count_rows(), labels=len(self._label_names)
        )
        self._header.write(self.path)

    def _remember(self, rows: Sequence[Row]) -> None:
        """Keep what is in memory true without reading the whole table again."""
        if self._label_names is not None:
            self._label_names.update(label for row in rows for label in row.exemplar.labels)
        if self._known is not None:
            for row in rows:
                self._known[row.exemplar.id] = KnownRow(
                    row.root,
                    row.file_sha256,
                    row.exemplar.start_s,
                    row.exemplar.end_s,
                    exemplar_digest(row.exemplar),
                )


def _connect(folder: Path) -> Any:
    # Lance logs each new table as a warning on stderr; what matters comes as exceptions.
    os.environ.setdefault("LANCE_LOG", "error")
    import lancedb

    return lancedb.connect(folder / TABLE_FOLDER)


def _distinct(labels: pa.ChunkedArray) -> set[str]:
    return set(labels.combine_chunks().flatten().unique().to_pylist())


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _lance_errors(AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """Turn LanceDB's errors into ours, with the folder named."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, (RuntimeError, OSError, ValueError)):
            return
        reason = str(error).splitlines()[0]
        if "No space left" in reason:
            raise IndexFolderError(
                f"{self._folder}: the disk is full; what was committed is kept. Free some space "
                "and run the same command again"
            ) from error
        if "Permission denied" in reason or "Read-only" in reason:
            raise IndexFolderError(
                f"{self._folder}: cannot be written ({reason}); want a folder that can be"
            ) from error
        raise IndexFolderError(
            f"{self._folder}: the table cannot be used ({reason}); `earful index verify` looks "
            "closer"
        ) from error


def _sync_new_files(folder: Path) -> None:
    """Flush the files of the newest commit: LanceDB leaves that to the kernel."""
    newest = 0.0
    files: list[tuple[float, str]] = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                modified = os.stat(path).st_mtime
            except FileNotFoundError:
                continue
            files.append((modified, path))
            newest = max(newest, modified)
    parents = set()
    for modified, path in files:
        if modified < newest - 60:
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        parents.add(os.path.dirname(path))
    for parent in parents:
        sync_folder(Path(parent))
