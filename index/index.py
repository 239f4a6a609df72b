"""``Index``: an index folder as users open, search and change it.

What lies in the folder is described in ``earful.index.storage.index_folder``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from earful.html import notebook_html
from earful.index.cache import FeatureCacheFolder
from earful.index.corpus import Rejection
from earful.index.remote import name_of, refresh_mirror
from earful.index.search import (
    Approximate,
    DiskSearch,
    Hits,
    IndexBackend,
    SearchFilter,
    Vectors,
    VectorSet,
    compact_rows,
    contents_among,
    partition_rows,
    read_vector_set,
)
from earful.index.storage import APPROXIMATE_NAME, IndexFolder, IndexInfo, Row
from earful.model import Fingerprint
from earful.values import data_frame
from earful.wording import as_argument, quoted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Index:
    """An index of labelled recordings, open for reading and writing.

    One process at a time may write, any number may read. Reads see the rows as they were at
    first, and this object's own later writes; ``refresh`` picks up those of other processes.

    >>> import tempfile, numpy as np
    >>> from pathlib import Path, PurePosixPath
    >>> from earful.index import Exemplar, Row
    >>> made_by = Fingerprint(name="toy", revision="", weights_sha256="", dim=2,
    ...                       sample_rate=8000, windowing="whole")
    >>> folder = tempfile.TemporaryDirectory()
    >>> index = Index.create(f"{folder.name}/sounds.index", made_by)
    >>> dog = Exemplar(id="dog", audio=PurePosixPath("dog.wav"), labels=("dog",))
    >>> vector = np.array([0.6, 0.8], np.float32)
    >>> index.add([Row(exemplar=dog, root=Path(folder.name), duration_s=1.0, file_sha256="",
    ...                content_sha256="", vector=vector)])
    >>> [(hit.exemplar.id, round(hit.similarity, 3)) for hit in index.search(vector, k=1)]
    [('dog', 1.0)]
    >>> folder.cleanup()

    Attributes:
        path: The folder; of an index in an object store its copy on this machine.
    """

    def __init__(self, folder: IndexFolder) -> None:
        """Use ``create``, ``open`` or ``open_or_create``."""
        self.path = folder.path
        self._folder = folder
        self._seen_changes = folder.n_changes
        self._vectors: VectorSet | None = None
        self._approximate: Approximate | None = None
        self._disk_search = DiskSearch(folder)

    def __repr__(self) -> str:
        n = self._folder.header.n
        return f"Index({quoted(name_of(self.path))}: {n} rows by {self.fingerprint.name!r})"

    def __reduce__(self) -> tuple[Callable[[str], Index], tuple[str]]:
        """Pickle the path or address: another process opens the index itself."""
        return Index.open, (name_of(self.path.absolute()),)

    def __len__(self) -> int:
        return len(self._folder.table)

    _repr_html_ = notebook_html("index.html")

    # --- opening ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], fingerprint: Fingerprint, *, n_classes: int = 0
    ) -> Self:
        """Make an empty index; one that a kill left half made is made anew.

        Args:
            path: The folder, or an address such as ``s3://bucket/sounds.index``.
            fingerprint: The embedder that makes the vectors.
            n_classes: How many class scores each row has, as of a ``ClassScorer``; 0 for none.

        Raises:
            IndexFolderError: The folder already holds an index or other files, or cannot be
                written.
            IndexBusyError: Another process is making it.
        """
        return cls(IndexFolder.create(path, fingerprint, n_classes=n_classes))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open an index, by its folder or an address such as ``s3://bucket/sounds.index``.

        Raises:
            IndexFolderError: It is missing, damaged, half made, or of a newer format.
            StoreError: The store of the address cannot be used.
        """
        return cls(IndexFolder.open(path))

    @classmethod
    def open_or_create(
        cls, path: str | os.PathLike[str], fingerprint: Fingerprint, *, n_classes: int = 0
    ) -> Self:
        """Open an index made by the same embedder, or make an empty one.

        Args:
            path: The folder, or an address such as ``s3://bucket/sounds.index``.
            fingerprint: The embedder that makes the vectors.
            n_classes: How many class scores each row of a new index has.

        Raises:
            IndexFolderError: As ``open`` and ``create``.
            IndexMismatchError: It was made by another embedder.
        """
        return cls(IndexFolder.open_or_create(path, fingerprint, n_classes=n_classes))

    # --- reading ---------------------------------------------------------------------------

    @property
    def info(self) -> IndexInfo:
        """Counts and origin of the index, counted in the table itself."""
        return self._folder.info()

    @property
    def fingerprint(self) -> Fingerprint:
        """The embedder that made the vectors."""
        return self._folder.fingerprint

    @property
    def n_classes(self) -> int:
        """Number of class scores of each row; 0 for none."""
        return self._folder.n_classes

    @property
    def class_scores(self) -> NDArray[np.float16] | None:
        """Class scores of ``vectors()``: float16, shape ``(n, n_classes)``; ``None`` for none."""
        return self.vectors().class_scores

    @property
    def exemplar_columns(self) -> tuple[str, ...]:
        """The columns that make an exemplar; the last may be ``not_labels``."""
        return self._folder.table.exemplar_columns

    @property
    def state(self) -> str:
        """Hex digest by which the rows that ``vectors`` returns are known, in any process.

        Raises:
            IndexFolderError: The version was dropped by another process.
        """
        self._drop_stale()
        return self._folder.table.state

    @property
    def labels(self) -> Mapping[str, int]:
        """How many recordings have each label, the most frequent label first; ties by name."""
        self._drop_stale()
        counts = self._folder.label_counts()
        return counts.ranked(counts.labels)

    @property
    def not_labels(self) -> Mapping[str, int]:
        """How many recordings were found not to have each label; ordered as ``labels``."""
        return self.info.not_labels

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with a row a recording, and ``exemplar_columns``, without vectors.

        Raises:
            IndexFolderError: A file of the table is damaged.
            ModuleNotFoundError: pandas is not installed.
        """
        columns = (*self.exemplar_columns, "duration_s")
        return data_frame(self.read_table(columns).to_pylist(), columns)

    def require(self, fingerprint: Fingerprint) -> None:
        """Refuse an embedder that this index was not made with.

        Raises:
            IndexMismatchError: The fingerprints differ; the message says where.
        """
        self._folder.require(fingerprint)

    def vectors(self) -> VectorSet:
        """Return all rows with their vectors in RAM, read once.

        Raises:
            IndexFolderError: A row or a file of the table is damaged.
        """
        self._drop_stale()
        if self._vectors is None:
            self._vectors = read_vector_set(self._folder)
        return self._vectors

    def search(
        self,
        query: Vectors,
        *,
        k: int = 8,
        filter: SearchFilter = SearchFilter(),
        backend: IndexBackend = "exact",
    ) -> Hits:
        """Find the nearest rows, best first; ties break by id.

        Similarities are exact with every backend, and so are the hits of all but
        ``"approximate"``.

        Args:
            query: float32, shape ``(dim,)``, unit norm, from the index's own embedder.
            k: How many hits at most.
            filter: Which rows may be found; ``where`` is SQL over the columns, such as
                ``"split = 'train' AND duration_s < 5"``.
            backend: ``"exact"`` holds all rows in RAM, and so does ``"faiss"``; ``"half"`` holds
                bfloat16 vectors, and reads its candidates from the disk; ``"approximate"``
                holds nothing, see ``index_approximately``.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            IndexFolderError: A row is damaged, or approximate search is not set up.
            MissingExtraError: The backend is FAISS, which is not installed.
            TypeError: The query is no vector.
            ValueError: The query has another shape or is not a unit vector; ``k`` is below 1.
        """
        if np.asarray(query).dtype.kind not in "fiu":
            raise TypeError(
                f"query={quoted(query)}: expected a vector; FewShot.search takes others"
            )
        self._drop_stale()
        if backend == "half":
            return self._disk_search.half_precision(query, k, filter)
        if backend == "approximate":
            return self._disk_search.approximate(query, k, filter, self.approximate)
        vectors, only = self.vectors(), self._rows_where(filter)
        return vectors.search(
            query, k=k, filter=replace(filter, where=""), backend=backend, only=only
        )

    def search_classes(
        self,
        weights: Vectors,
        *,
        k: int = 8,
        filter: SearchFilter = SearchFilter(),
    ) -> Hits:
        """Find the rows with the highest weighted class scores, best first; ties break by id.

        Args:
            weights: float32, shape ``(n_classes,)``: how much each class's score counts, such as
                a row of ``ClassScorer.text_weights``.
            k: How many hits at most.
            filter: As in ``search``.

        Raises:
            FilterError: ``filter.where`` cannot be evaluated.
            IndexFolderError: A row is damaged.
            ValueError: The index has no class scores, or there are not as many weights, or one
                is not finite; ``k`` is below 1.
        """
        vectors, only = self.vectors(), self._rows_where(filter)
        return vectors.search_classes(weights, k=k, filter=replace(filter, where=""), only=only)

    def read_table(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, ordered by id.

        Raises:
            IndexFolderError: A file of the table is damaged.
        """
        return self._folder.table.read(columns)

    def roots(self) -> tuple[Path, ...]:
        """Return the corpus roots, where they lie now, as rows number them."""
        return self._folder.roots()

    def rejections(self) -> tuple[Rejection, ...]:
        """Return the files that the last build could not embed.

        Raises:
            IndexFolderError: The list is damaged.
        """
        return self._folder.rejections()

    def why_empty(self) -> str:
        """Explain why an index has no rows that answer; ``""`` where it has some."""
        path = as_argument(self.path)
        way_out = f"`earful index build CORPUS --index {path}` adds some"
        if n := len(self):
            denies = self._folder.table.has_not_labels and self.info.n_negative == n
            return f"all of its rows only say what is not there; {way_out}" if denies else ""
        n = len(self.rejections())
        if n:
            way_out = f"{n:,} were rejected, `earful index info {path}` lists them"
        return f"the index holds no rows; {way_out}"

    def refresh(self) -> None:
        """Read what other processes have written since this index was opened."""
        refresh_mirror(self.path)
        self._folder.refresh()
        self._drop_stale()

    # --- writing ---------------------------------------------------------------------------

    def add(self, rows: Sequence[Row]) -> None:
        """Insert rows, or replace those with the same id, in one atomic commit.

        Raises:
            IndexFolderError: An id occurs twice among ``rows`` or belongs to another
                corpus root; a text is not Unicode; the disk is full or read-only. Nothing
                is changed.
            ValueError: A vector has another length, is not finite or not of unit norm, or there
                are class scores where the index keeps none, or the other way round.
            IndexBusyError: Another process is writing.
            TypeError: ``rows`` are no rows.
        """
        if isinstance(rows, Row) or (wrong := [row for row in rows if not isinstance(row, Row)]):
            given = rows if isinstance(rows, Row) else wrong[0]
            raise TypeError(f"rows hold or are {quoted(given)}: expected a list of Row")
        self._folder.add(rows)
        self._drop_stale()

    def remove(self, ids: Iterable[str]) -> int:
        """Remove rows by id, in one atomic commit.

        Returns:
            How many.

        Raises:
            IndexFolderError: An id is not in the index; nothing is removed.
            IndexBusyError: Another process is writing.
            TypeError: ``ids`` is one string, or holds what is no text.
        """
        ids = ids if isinstance(ids, str) else list(ids)
        if wrong := [id_ for id_ in ids if not isinstance(id_, str)]:
            raise TypeError(f"ids hold {quoted(wrong[0])}: expected texts")
        n_removed = self._folder.remove(ids)
        self._drop_stale()
        return n_removed

    def compact(self) -> None:
        """Merge small fragments, drop versions older than an hour and unused cached features.

        An approximate index is measured again, and made anew where it finds less than before.

        Raises:
            IndexFolderError: There is no room for the second copy that this needs.
            IndexBusyError: Another process is writing.
        """
        with self._folder.writer():
            compact_rows(self._folder.table, self.fingerprint.dim)
            self._drop()
            kept = FeatureCacheFolder(self.path)
            kept.prune(contents_among(self._folder.table, kept.contents()))

    # --- approximate search ----------------------------------------------------------------

    @property
    def approximate(self) -> Approximate | None:
        """Settings of approximate search; ``None`` where it is not set up."""
        self._drop_stale()
        if self._approximate is None:
            self._approximate = Approximate.read(self.path)
        return self._approximate

    def index_approximately(
        self,
        *,
        recall: float = 0.95,
        k: int = 10,
        n_queries: int = 200,
        n_partitions: int | None = None,
    ) -> Approximate:
        """Set up approximate search, with a recall measured on the index's own rows.

        Rows added later are found as well, compared one by one until ``compact``; the recall is
        known only for the rows there are now.

        Args:
            recall: Share of the true nearest rows to find, in (0, 1].
            k: How many nearest rows to look for.
            n_queries: How many rows serve as queries for the others.
            n_partitions: How many; half the square root of the rows by default.

        Raises:
            IndexFolderError: There are too few rows, one is damaged, or nothing can be written.
            IndexBusyError: Another process is writing.
            ValueError: A number is outside its range.
        """
        with self._folder.writer():
            made = partition_rows(
                (table := self._folder.table),
                self.fingerprint.dim,
                recall=recall,
                k=k,
                n_queries=n_queries,
                n_partitions=n_partitions,
            )
            table.index_columns()
            made.write(self.path)
        self._approximate = made
        return made

    def drop_approximate(self) -> None:
        """Remove what ``index_approximately`` made, if anything.

        Raises:
            IndexFolderError: The folder cannot be written.
            IndexBusyError: Another process is writing.
        """
        with self._folder.writer():
            (self.path / APPROXIMATE_NAME).unlink(missing_ok=True)
            self._approximate = None
            self._folder.table.drop_vector_index()

    # --- private -----------------------------------------------------------------------------

    def _rows_where(self, filter: SearchFilter) -> NDArray[np.intp] | None:
        """Return the rows that pass a filter's SQL; ``None`` where it has none."""
        if not filter.where:
            return None
        return self.vectors().rows_of_ids(self._folder.table.ids_where(filter.where))

    def _drop_stale(self) -> None:
        """Free what was read of rows that have changed since."""
        if self._seen_changes != self._folder.n_changes:
            self._drop()

    def _drop(self) -> None:
        self._seen_changes = self._folder.n_changes
        self._vectors = self._approximate = None
        self._disk_search = DiskSearch(self._folder)
