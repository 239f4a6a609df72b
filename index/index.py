"""The index folder: a LanceDB table with its readable header, one writer, many readers.

::

    sounds.index/
        index.json        format, fingerprint, corpus roots, counts (header.py)
        table/            LanceDB: one row per exemplar, with its vector (table.py, schema.py)
        features/         what language models make of the audio: a cache (features.py)
        replays/          what they scored of exemplars: a cache (replays.py)
        checksums.txt     the digest of every file of the table (checksums.py)
        approximate.json  how approximate search is done, if asked for (approximate.py)
        rejected.jsonl    files that could not be embedded, with the reason (rejected.py)
        .lock             who is writing (lock.py)

A change is one commit of the table: after a kill it is there wholly or not at all. The
table is the truth; the header's counts are renewed after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from earful.errors import CorpusError, IndexFolderError
from earful.index.cache import ExemplarFeatures
from earful.index.corpus import Rejection
from earful.index.maintenance import Readable, Unreadable, salvage_rows
from earful.index.refusals import (
    refuse_bad_vectors,
    refuse_clashes,
    refuse_mismatch,
    refuse_used_folder,
)
from earful.index.search import (
    APPROXIMATE_NAME,
    Approximate,
    HalfRows,
    Hit,
    IndexBackend,
    SearchFilter,
    Vectors,
    VectorSet,
    candidates,
    part_rows,
    sql_of,
    unit_rows,
)
from earful.index.storage import (
    DIGEST_COLUMNS,
    EXEMPLAR_COLUMNS,
    HEADER_NAME,
    KNOWN_COLUMNS,
    Header,
    IndexInfo,
    KnownRows,
    Root,
    Row,
    Table,
    WriterLock,
    audio_paths,
    changed_rows,
    exemplar_of,
    exemplar_values,
    known_rows,
    label_names,
    read_header,
    read_rejections,
    to_arrow,
    vectors_of,
    whole_rows,
    write_rejections,
)
from earful.model import Fingerprint
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.index.maintenance import VerifyReport

# What a search needs of a row, and what it needs to check it.
_SEARCHED = (*EXEMPLAR_COLUMNS, "root", "content_sha256", "vector")
_CHECKED = (*EXEMPLAR_COLUMNS, "root", *DIGEST_COLUMNS, "vector")


class Index:
    """An index folder, open for reading and writing.

    Reads see the rows as they were when first asked for, and this object's own later
    writes; ``refresh`` picks up those of others.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, header: Header, table: Table) -> None:
        """Use ``create``, ``open`` or ``open_or_create``."""
        self.path = path
        self._header = header
        self._table = table
        self._lock = WriterLock(path)
        self._vectors: VectorSet | None = None
        self._half: HalfRows | None = None
        self._approximate: Approximate | None = None
        self._known: KnownRows | None = None
        self._label_names: set[str] | None = None

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r}: {self._header.n} rows by {self.fingerprint.name!r})"

    # --- opening ---------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | os.PathLike[str], fingerprint: Fingerprint) -> Self:
        """Make an empty index; one that a kill left half made is made anew.

        Raises:
            IndexFolderError: The folder holds an index already, or other files, or
                cannot be written.
            IndexBusyError: Another process is making it.
        """
        folder = Path(path).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexFolderError(
                f"{folder}: cannot be made ({error.strerror}); want a folder that can be written"
            ) from error
        refuse_used_folder(folder)
        with WriterLock(folder).held():
            # Another process may have been first.
            refuse_used_folder(folder)
            table = Table.create(folder, fingerprint)
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
                f"`earful index build CORPUS --index {as_argument(path)}`"
            )
        header = read_header(folder)
        return cls(folder, header, Table.open(folder, header.fingerprint))

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], fingerprint: Fingerprint) -> Self:
        """Open an index made by the same embedder, or make an empty one.

        Raises:
            IndexFolderError: As ``open`` and ``create``.
            IndexMismatchError: It was made by another embedder.
        """
        if not os.path.lexists(Path(path) / HEADER_NAME):
            return cls.create(path, fingerprint)
        index = cls.open(path)
        index.require(fingerprint)
        return index

    # --- reading ---------------------------------------------------------------------

    @property
    def info(self) -> IndexInfo:
        """What the index holds, counted in the table itself."""
        table = self._table.read(["labels"])
        return IndexInfo(
            format=self._header.format,
            fingerprint=self._header.fingerprint,
            n=table.num_rows,
            labels=len(label_names(table)),
            created=self._header.created,
            updated=self._header.updated,
            roots=tuple(map(str, self.roots())),
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
        refuse_mismatch(self.path, self._header.fingerprint, fingerprint)

    def vectors(self) -> VectorSet:
        """Return all rows with their vectors in RAM, read once.

        Raises:
            IndexFolderError: A row or a file of the table is damaged.
        """
        if self._vectors is None:
            listed = self._table.check()
            table = self._table.read(_SEARCHED if listed else _CHECKED)
            self._vectors = self._vector_set(table, check_rows=not listed)
        return self._vectors

    def search(
        self,
        query: Vectors,
        *,
        k: int = 8,
        filter: SearchFilter = SearchFilter(),
        backend: IndexBackend = "exact",
    ) -> list[Hit]:
        """Find the nearest rows, best first; ties break by id.

        Similarities are exact with every backend, and so are the hits of all but
        ``"approximate"``.

        Args:
            query: float32, shape ``(dim,)``, unit norm, from the index's own embedder.
            k: How many hits at most.
            filter: Which rows may be found; ``where`` is SQL over the columns, such as
                ``"split = 'train' AND duration_s < 5"``.
            backend: ``"exact"`` holds all rows in RAM; ``"faiss"`` does so through FAISS;
                ``"half"`` holds bfloat16 vectors only, and reads its candidates from the
                disk; ``"approximate"`` holds nothing, see ``index_approximately``.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            IndexFolderError: A row is damaged, or the index has nothing for approximate
                search.
            MissingExtraError: FAISS is wanted and not installed.
            ValueError: The query has another shape or is no unit vector; ``k`` is below 1.
        """
        if backend == "half" or backend == "approximate":
            return self._search_lean(query, k, filter, backend)
        vectors = self.vectors()
        only = None
        if filter.where:
            only = vectors.rows_of_ids(self._table.ids_where(filter.where))
        return vectors.search(
            query, k=k, filter=replace(filter, where=""), backend=backend, only=only
        )

    def known(self) -> KnownRows:
        """Return, by id, what a build needs to recognise finished rows; grows with ``add``."""
        return self._known_rows()

    def stored(self, ids: Iterable[str]) -> dict[str, Row]:
        """Return whole rows by id, vectors included.

        Ids that are not here are left out, and rows that do not match their own digests.
        """
        table = self._table.rows(sorted(set(ids)), _CHECKED)
        try:
            rows = whole_rows(table, self.roots(), self.fingerprint.dim)
            return {row.exemplar.id: row for row in rows}
        except (CorpusError, ValueError, IndexError) as error:
            raise self._damaged(error) from error

    def read_table(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, ordered by id.

        Raises:
            IndexFolderError: A file of the table is damaged.
        """
        return self._table.read(columns)

    def roots(self) -> tuple[Path, ...]:
        """Return the corpus roots, where they lie now, as rows number them."""
        return tuple(root.resolve(self.path) for root in self._header.roots)

    def rejections(self) -> tuple[Rejection, ...]:
        """Return the files that the last build could not embed.

        Raises:
            IndexFolderError: The list is damaged.
        """
        return read_rejections(self.path)

    def refresh(self) -> None:
        """See what other processes wrote since this index was opened."""
        newer = self._table.refresh()
        header = read_header(self.path)
        if newer or header != self._header:
            self._header = header
            self._forget()

    # --- writing ---------------------------------------------------------------------

    @contextmanager
    def writer(self, *, damaged: bool = False) -> Iterator[None]:
        """Hold the right to write for several changes.

        Args:
            damaged: Whether to leave the header as it is, as rows cannot be counted yet.

        Raises:
            IndexBusyError: Another process or thread is writing.
        """
        with self._lock.held() as was_free:
            if was_free:
                self.refresh()
                if not damaged and self._header.n != len(self._table):
                    # A kill came between a commit and the header.
                    self._renew_header()
            yield

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those with the same id, in one atomic commit.

        Raises:
            IndexFolderError: An id stands twice among ``rows`` or belongs to another
                corpus root; a text is not Unicode; the disk is full or read-only. Nothing
                is changed.
            ValueError: A vector has another length, is not finite or not of unit norm.
            IndexBusyError: Another process is writing.
        """
        if not rows:
            return
        refuse_bad_vectors(rows, self.fingerprint.dim)
        with self.writer():
            known = self._known_rows()
            refuse_clashes(self.path, rows, known)
            number = {
                root: self._root_number(root) for root in dict.fromkeys(row.root for row in rows)
            }
            batch = to_arrow(rows, [number[row.root] for row in rows], self.fingerprint)
            any_known = any(row.exemplar.id in known for row in rows)
            try:
                (self._table.upsert if any_known else self._table.append)(batch)
            except BaseException:
                # Whether the commit came through is the table's to say.
                self._forget()
                raise
            self._remember(rows, any_known=any_known)
            self._renew_header()

    def remove(self, ids: Iterable[str]) -> int:
        """Remove rows by id, in one atomic commit.

        Returns:
            How many rows went.

        Raises:
            IndexFolderError: An id is not in the index; nothing is removed.
            IndexBusyError: Another process is writing.
            TypeError: ``ids`` is one string.
        """
        if isinstance(ids, str):
            raise TypeError(f"ids={ids!r} is one string; want several, such as [{ids!r}]")
        wanted = sorted(set(ids))
        if not wanted:
            return 0
        with self.writer():
            # Read here and not from what is known, so that a damaged row can go.
            present = set(self._table.read(["id"]).column("id").to_pylist())
            if unknown := [id_ for id_ in wanted if id_ not in present]:
                others = f" and {len(unknown) - 1} others named" if len(unknown) > 1 else ""
                raise IndexFolderError(
                    f"{self.path}: has no row {unknown[0]!r}{others}; nothing was removed. "
                    "`earful index export` lists the ids"
                )
            self._forget()
            self._table.delete(wanted)
            self._renew_header()
        return len(wanted)

    def set_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Replace the list of files that could not be embedded.

        Raises:
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            write_rejections(self.path, rejections)

    @property
    def approximate(self) -> Approximate | None:
        """How the index is searched approximately; ``None`` where it cannot be."""
        if self._approximate is None:
            self._approximate = Approximate.read(self.path)
        return self._approximate

    def index_approximately(
        self, *, recall: float = 0.95, k: int = 10, n_queries: int = 200
    ) -> Approximate:
        """Make approximate search possible, as good as wanted on the index's own rows.

        Rows that come later are found too, compared one by one until ``compact``; how well
        the search does is only known for the rows there are now.

        Args:
            recall: Share of the true nearest rows to find, in (0, 1]; where even all
                partitions do not give it, all are looked at.
            k: How many nearest rows to look for.
            n_queries: How many rows look for the others.

        Raises:
            IndexFolderError: There are too few rows, or the folder cannot be written.
            IndexBusyError: Another process is writing.
            ValueError: A number is outside its range.
        """
        with self.writer():
            made = part_rows(self._table, self.vectors(), recall=recall, k=k, n_queries=n_queries)
            self._table.index_columns()
            made.write(self.path)
        self._approximate = made
        return made

    def drop_approximate(self) -> None:
        """Remove what ``index_approximately`` made, if anything.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            (self.path / APPROXIMATE_NAME).unlink(missing_ok=True)
            self._approximate = None
            self._table.drop_vector_index()

    def index_columns(self) -> None:
        """Make conditions on labels and splits quicker to answer in a large index.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            self._known = None  # takes as much memory as the work; read again when asked for
            self._table.index_columns()

    def compact(self) -> None:
        """Merge small fragments, drop versions older than an hour and unused features.

        Raises:
            IndexFolderError: There is no room for the second copy that this needs.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            # Read first: what is compacted is believed from then on.
            contents = set(self.vectors().content)
            self._table.compact()
            self._vectors = self._half = None
            ExemplarFeatures(self.path).prune(contents)

    # --- checking and handing on ---------------------------------------------------------

    @property
    def n_rows(self) -> int:
        """How many rows the table has, damaged ones among them."""
        return len(self._table)

    def salvage(self) -> Iterator[Readable | Unreadable]:
        """Read all columns of all rows that can be read."""
        return salvage_rows(self._table)

    def damaged_files(self) -> list[str]:
        """Return the table's files that have other bytes than they had, or that are gone."""
        return self._table.damaged_files()

    def unlisted_files(self) -> list[str]:
        """Return the table's files of which no digest is known."""
        return self._table.unlisted_files()

    def keep_rows(self, places: Sequence[int]) -> None:
        """Keep some rows and drop all others, in one atomic commit.

        Damaged files are moved to ``_quarantine`` after it.

        Args:
            places: Where the rows lie, as ``salvage`` says.

        Raises:
            IndexFolderError: The disk is full or read-only.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            # Searches that go by parts of the table are to be made anew.
            (self.path / APPROXIMATE_NAME).unlink(missing_ok=True)
            self._table.keep(places, self.fingerprint)
            self._table.set_damaged_aside()
            self._forget()
            self._renew_header()

    def move_root(self, number: int, root: Path) -> None:
        """Have the rows of a corpus root find their audio in another folder.

        Args:
            number: Which of ``roots``.
            root: Where the corpus lies now, resolved.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            self._header = self._header.with_root_at(number, Root.seen_from(self.path, root))
            self._header.write(self.path)
            self._forget()

    def renew_summaries(self) -> None:
        """Count rows and labels anew and list every file, in case header and list are not true.

        What the table holds is believed, so check it first.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self.writer():
            self._label_names = None
            if self._counts() != (self._header.n, self._header.labels):
                self._renew_header()
            self._table.list_files()

    def verify(self, *, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Check every row; see ``earful.index.maintenance.verify``."""
        from earful.index.maintenance import verify_index

        return verify_index(self, progress=progress)

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write every row to ``.csv`` or, with vectors, ``.parquet``; return how many."""
        from earful.index.maintenance import export_index

        return export_index(self, Path(target))

    # --- private ---------------------------------------------------------------------------

    def _vector_set(self, table: pa.Table, *, check_rows: bool) -> VectorSet:
        try:
            exemplars = [exemplar_of(values) for values in exemplar_values(table)]
            vectors = vectors_of(table, self.fingerprint.dim)
            if check_rows and (changed := changed_rows(table, exemplars, vectors)):
                id_ = exemplars[changed[0]].id
                raise ValueError(f"{id_!r} does not match its own digest")
            return VectorSet(
                exemplars=exemplars,
                paths=audio_paths(table, self.roots()),
                content=table.column("content_sha256").to_pylist(),
                vectors=vectors,
            )
        except (CorpusError, ValueError, IndexError) as error:
            raise self._damaged(error) from error

    def _search_lean(
        self, query: Vectors, k: int, filter: SearchFilter, backend: IndexBackend
    ) -> list[Hit]:
        """Score only what a backend proposes, without holding all rows in RAM."""
        if k < 1:
            raise ValueError(f"k={k}; want 1 or more")
        query = np.asarray(query, dtype=np.float32)
        if query.shape != (self.fingerprint.dim,):
            raise ValueError(f"query of shape {query.shape}; want ({self.fingerprint.dim},)")
        (query,) = unit_rows(query[None], lambda row: f"query {row}")
        if backend == "approximate":
            settings = self.approximate
            if settings is None:
                raise IndexFolderError(
                    f"{self.path}: has nothing for approximate search; make it with "
                    f"`earful index approximate {as_argument(self.path)}`"
                )
            found = candidates(self._table, query, k, settings, filter, self.roots(), _CHECKED)
        else:
            condition = sql_of(filter, self.roots())
            only = self._table.ids_where(condition) if condition else None
            while (found := self._half_rows().candidates(query, k, _CHECKED, only)) is None:
                self._half = None
        proposed = self._vector_set(found, check_rows=True)
        return proposed.search(query, k=k, filter=replace(filter, where=""))

    def _half_rows(self) -> HalfRows:
        if self._half is None:
            self._half = HalfRows(self._table, self.fingerprint.dim)
        return self._half

    def _known_rows(self) -> KnownRows:
        if self._known is None:
            try:
                self._known = known_rows(self._table.read(KNOWN_COLUMNS), self.roots())
            except IndexError as error:
                raise self._damaged(error) from error
        return self._known

    def _damaged(self, error: Exception) -> IndexFolderError:
        return IndexFolderError(
            f"{self.path}: a row is damaged ({error}). `earful index verify "
            f"{as_argument(self.path)}` lists the damage; with --repair it keeps the rows that are "
            "whole and embeds the others again"
        )

    def _root_number(self, root: Path) -> int:
        roots = self.roots()
        if root in roots:
            return roots.index(root)
        # Before the rows that need it: a kill in between leaves an unused root, no more.
        self._header = self._header.with_root(Root.seen_from(self.path, root))
        self._header.write(self.path)
        return len(roots)

    def _remember(self, rows: Sequence[Row], *, any_known: bool) -> None:
        """Keep what is in memory true without reading the whole table again."""
        self._vectors = self._half = None
        if any_known:
            # The last row of some label may have been replaced.
            self._label_names = None
        if self._label_names is not None:
            self._label_names.update(label for row in rows for label in row.exemplar.labels)
        self._known_rows().add(rows)

    def _forget(self) -> None:
        self._vectors = self._half = self._approximate = None
        self._known = self._label_names = None

    def _renew_header(self) -> None:
        n, labels = self._counts()
        self._header = self._header.with_counts(n=n, labels=labels)
        self._header.write(self.path)

    def _counts(self) -> tuple[int, int]:
        if self._label_names is None:
            self._label_names = label_names(self._table.read(["labels"]))
        return len(self._table), len(self._label_names)
