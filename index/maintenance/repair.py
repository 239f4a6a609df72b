"""Repair: keep the undamaged rows of an index, and embed the others again.

Damaged files are moved to ``_quarantine`` in the index folder, never deleted. The rows that
are kept are written anew in one commit, so that a kill leaves the index as it was or repaired;
the next call does whatever was left undone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from earful.errors import CorpusError, IndexBusyError, IndexFolderError
from earful.index.builder import BuildOptions, BuildProgress, build_index
from earful.index.corpus import Corpus, CorpusRow, Exemplar, open_corpus
from earful.index.maintenance.salvage import salvage_rows
from earful.index.maintenance.verify import row_faults
from earful.index.remote import local_folder
from earful.index.search import Approximate
from earful.index.storage import (
    APPROXIMATE_NAME,
    FORMAT,
    HEADER_NAME,
    QUARANTINE,
    REJECTED_NAME,
    TABLE_FOLDER,
    Checksums,
    Header,
    IndexFolder,
    Root,
    Table,
    WriterLock,
    exemplar_digest,
    exemplar_of,
    exemplar_values,
    format_of,
    manifest_names,
    move_to_quarantine,
    newest_manifest,
    read_header,
    read_rejections,
    read_values,
    root_of,
    stored_origin,
)
from earful.model import Embedder, Fingerprint, load_embedder
from earful.plain import plain_fields
from earful.system import replace_folder
from earful.wording import as_argument

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """Result of ``repair_index``.

    Attributes:
        kept: Rows that were undamaged.
        dropped: Rows that were damaged or could not be read.
        dropped_ids: Ids of those, as far as they could be read.
        embedded: Rows that were written again from their audio.
        missing: Rows that the index had and no longer has.
        set_aside: Files that were damaged, by their path in the index folder: in
            ``_quarantine`` now, or gone.
        n: Rows in the index now.
    """

    kept: int
    dropped: int
    dropped_ids: tuple[str, ...]
    embedded: int
    missing: int
    set_aside: tuple[str, ...]
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def repair_index(
    index: str | os.PathLike[str],
    corpus: str | os.PathLike[str] | Corpus | None = None,
    *,
    embedder: Embedder | None = None,
    options: BuildOptions = BuildOptions(),
    progress: Callable[[BuildProgress], None] | None = None,
) -> RepairReport:
    """Drop damaged rows, and embed them again from the recordings that still exist.

    Rows whose fields can still be read are embedded again in any case. For all others the
    corpus must be given: rows that it has and the index lacks are added, as a build does. If
    the corpus has moved, the index is pointed to its new folder.

    Args:
        index: The index folder, or an address.
        corpus: What the index was built from: a folder or a table as ``open_corpus`` takes it.
            Needed when ``index.json`` or the whole table is lost.
        embedder: Makes the vectors; default: the one that the index names.
        options: Options of the build.
        progress: As in ``build_index``.

    Raises:
        CorpusError: The corpus is broken; nothing was done.
        IndexFolderError: There is no index, too much of it is lost, its rows with ids of the
            corpus come from another corpus that still exists, or the folder cannot be written.
        IndexMismatchError: The embedder is not that of the index, or gives no class scores where
            the index keeps them; what was kept stays.
        IndexBusyError: Another process is writing.
        ModelError: The embedder cannot be loaded; what was kept stays.
    """
    folder = local_folder(index).absolute()
    opened = open_corpus(corpus) if isinstance(corpus, str | os.PathLike) else corpus
    with warnings.catch_warnings():
        # The lost version that open warns about is why the user repairs.
        warnings.simplefilter("ignore", RuntimeWarning)
        aside = _make_openable(folder, opened)
        target = IndexFolder.open(folder)
        n_before = read_header(folder).n
        with target.writer(damaged=True):
            found = _Salvaged(target)
            if opened is not None:
                found.follow(target, opened)
            n_before = max(n_before, len(target.table))
            aside += found.apply(target)
    sources = [opened] if opened is not None else found.corpora(folder)
    n_embedded = 0
    if sources:
        made = target.fingerprint
        model = embedder or load_embedder(made.name, revision=made.revision, dtype=made.dtype)
        for source in sources:
            report = build_index(source, folder, embedder=model, options=options, progress=progress)
            n_embedded += report.accepted
    target.refresh()
    return RepairReport(
        kept=len(found.kept),
        dropped=found.n_dropped,
        dropped_ids=tuple(sorted(found.dropped_ids)),
        embedded=n_embedded,
        missing=max(0, n_before - len(target.table)),
        set_aside=tuple(sorted(aside)),
        n=len(target.table),
    )


class _Salvaged:
    """The rows of an index, sorted into undamaged and damaged ones.

    Attributes:
        kept: Places of the undamaged rows; of several with one id the last.
        n_dropped: Number of all other rows.
        dropped_ids: Ids of those, apart from ids that an undamaged row has as well.
    """

    def __init__(self, index: IndexFolder) -> None:
        self._roots = index.roots()
        self._dim = index.fingerprint.dim
        self._readable: dict[str, tuple[Path, Exemplar]] = {}
        self._root_of: dict[str, int] = {}
        undamaged: dict[str, int] = {}
        damaged: set[str] = set()
        n_rows = 0
        for piece in salvage_rows(index.table):
            n_rows += len(piece.places)
            if piece.fault:
                damaged.update(piece.ids)
                continue
            faults = row_faults(piece.rows, self._roots, self._dim)
            numbers = piece.rows.column("root").to_pylist()
            placed = zip(piece.ids, piece.places, numbers, faults, strict=True)
            for id_, place, number, found in placed:
                if found:
                    damaged.add(id_)
                else:
                    undamaged[id_], self._root_of[id_] = place, number
            self._note_readable(piece.rows.filter([bool(found) for found in faults]))
        self.kept = sorted(undamaged.values())
        self.n_dropped = n_rows - len(self.kept)
        self.dropped_ids = damaged - undamaged.keys()

    def follow(self, index: IndexFolder, corpus: Corpus) -> None:
        """Point rows with ids of a corpus to its folder, if their own folder is gone.

        Raises:
            CorpusError: The corpus is broken.
            IndexFolderError: Their own folder still exists.
        """
        roots = index.roots()
        for row in corpus:
            number = self._root_of.get(row.exemplar.id)
            if number is None or (root := roots[number]) == corpus.root:
                continue
            if root.is_dir():
                raise IndexFolderError(
                    f"{row.where}: id {row.exemplar.id!r} belongs in {index.path} to a row from "
                    f"{root}, which is still there, and this corpus lies in {corpus.root}; name "
                    "that one, or give the recordings of this one other ids. No row was changed"
                )
            index.move_root(number, corpus.root)
            roots = index.roots()

    def apply(self, index: IndexFolder) -> list[str]:
        """Keep the undamaged rows only; return the files that were damaged."""
        aside = []
        for name, read in (
            (REJECTED_NAME, read_rejections),
            (APPROXIMATE_NAME, Approximate.read),
        ):
            try:
                read(index.path)
            except IndexFolderError:
                move_to_quarantine(index.path, [name])
                aside.append(name)
        damaged = index.table.damaged_files()
        if self.n_dropped or damaged:
            index.keep_rows(self.kept)
        else:
            index.renew_summaries()
        return aside + damaged

    def corpora(self, source: Path) -> list[Corpus]:
        """Return the dropped rows whose fields are undamaged, as one corpus for each root."""
        by_root: dict[Path, list[CorpusRow]] = {}
        for id_ in sorted(self.dropped_ids & self._readable.keys()):
            root, exemplar = self._readable[id_]
            row = CorpusRow(exemplar=exemplar, where=str(root / exemplar.audio))
            by_root.setdefault(root, []).append(row)
        return [
            Corpus(root=root, source=source, kind="file", rows=tuple(rows))
            for root, rows in by_root.items()
        ]

    def _note_readable(self, rows: pa.Table) -> None:
        digests = rows.column("exemplar_sha256").to_pylist()
        numbers = rows.column("root").to_pylist()
        for values, digest, number in zip(exemplar_values(rows), digests, numbers, strict=True):
            with suppress(CorpusError, ValueError, IndexError):
                exemplar = exemplar_of(values)
                if exemplar_digest(exemplar) == digest:
                    self._readable[exemplar.id] = (root_of(self._roots, number), exemplar)


def _make_openable(folder: Path, corpus: Corpus | None) -> list[str]:
    """Repair header and table until the index opens; return the files that were set aside."""
    aside = []
    try:
        header = read_header(folder)
    except IndexFolderError as error:
        if _is_newer(folder):
            raise
        header = _new_header(folder, corpus, error)
        aside.append(HEADER_NAME)
    stored = _whole_origin(folder)
    if stored not in (None, (header.fingerprint, header.n_classes)):
        fingerprint, n_classes = stored
        header = replace(header, fingerprint=fingerprint, n_classes=n_classes)
        _replace_header(folder, header)
        aside.append(HEADER_NAME)
    while (reason := _table_fault(folder, header)) is not None:
        with WriterLock(folder).held():
            if not _opens(folder):
                _begin_anew(folder, header, corpus, reason)
                aside.append(TABLE_FOLDER)
            # Another process may have repaired it before this one could lock it.
            elif _table_fault(folder, header) is not None:
                # In this version deleted rows cannot be told from the others.
                newest = newest_manifest(folder)
                move_to_quarantine(folder, [newest])
                aside.append(newest)
    return aside


def _is_newer(folder: Path) -> bool:
    with suppress(IndexFolderError):
        return format_of(read_values(folder)) > FORMAT
    return False


def _new_header(folder: Path, corpus: Corpus | None, reason: IndexFolderError) -> Header:
    """Make a lost header from the fingerprint and the columns of the table."""
    fingerprint, n_classes = stored_origin(folder)
    if corpus is None:
        raise IndexFolderError(
            f"{reason}. With its corpus it can be made again: `earful index verify "
            f"{as_argument(folder)} --repair --corpus CORPUS`"
        ) from reason
    header = Header.new(fingerprint, n_classes)
    header = header.with_root(Root.seen_from(folder, corpus.root))
    _replace_header(folder, header)
    return header


def _replace_header(folder: Path, header: Header) -> None:
    with WriterLock(folder).held():
        if os.path.lexists(folder / HEADER_NAME):
            move_to_quarantine(folder, [HEADER_NAME])
        header.write(folder)


def _stored(folder: Path) -> tuple[Fingerprint, int] | IndexFolderError:
    """Return the embedder that a table names and its number of class scores, or what is wrong."""
    try:
        return stored_origin(folder)
    except IndexBusyError:
        raise
    except IndexFolderError as error:
        return error


def _whole_origin(folder: Path) -> tuple[Fingerprint, int] | None:
    """Return the embedder that a table names and its number of class scores.

    ``None`` where the bytes that say so are not those that were written.
    """
    stored = _stored(folder)
    if isinstance(stored, IndexFolderError) or newest_manifest(folder) not in Checksums(folder):
        return None
    return stored


def _table_fault(folder: Path, header: Header) -> IndexFolderError | None:
    """Return the reason why the places of a table's rows cannot be read, or ``None``.

    Raises:
        IndexFolderError: The table belongs to another index.
        IndexBusyError: Another process is writing.
    """
    if isinstance(stored := _stored(folder), IndexFolderError):
        return stored
    table = Table.open(folder, header.fingerprint, header.n_classes)
    try:
        table.places()
    except IndexFolderError as error:
        return error
    return None


def _opens(folder: Path) -> bool:
    try:
        stored_origin(folder)
    except IndexFolderError:  # where this process holds the lock, a lost version is busy, too
        return False
    return True


def _begin_anew(
    folder: Path, header: Header, corpus: Corpus | None, reason: IndexFolderError
) -> None:
    """Move the whole table to the quarantine, and make an empty one."""
    checksums = Checksums(folder)
    versions = manifest_names(folder)
    if any(name in checksums and not checksums.is_damaged(name) for name in versions):
        # Its own description is as it was written, so the fault lies elsewhere.
        raise reason
    if corpus is None:
        raise IndexFolderError(
            f"{folder}: no version of its table can be read. With its corpus it can be made again: "
            f"`earful index verify {as_argument(folder)} --repair --corpus CORPUS`"
        ) from reason
    if (folder / TABLE_FOLDER).exists():
        (folder / QUARANTINE).mkdir(exist_ok=True)
        replace_folder(folder / TABLE_FOLDER, mkdtemp(dir=folder / QUARANTINE, prefix="table-"))
    Table.create(folder, header.fingerprint, header.n_classes)
