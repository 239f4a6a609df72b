"""Merges: the shards of one corpus, or several people's indexes, become one index.

All that can be refused is refused before anything is written. Rows are taken as they are, each
compared with its own digests on its way; those that are there already are passed over, so that
the same merge goes on after a kill, and changes nothing when it is done again.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.errors import IndexFolderError
from earful.index.corpus import Rejection
from earful.index.distributed.batches import (
    add_fitted,
    exemplar_digests,
    fitted,
    require_whole,
    row_digests,
    schema_of,
    with_column,
)
from earful.index.distributed.merge_checks import (
    Part,
    merged_shards,
    natural_order,
    require_distinct_groups,
    require_free_of_clashes,
    require_parts,
    require_shards,
)
from earful.index.intake import stored_stretches, system_memory_for_arrow
from earful.index.labels import JOURNAL_FILE
from earful.index.remote import local_folder
from earful.index.search import read_vector_set
from earful.index.storage import (
    HEADER_NAME,
    IndexFolder,
    class_scores_of,
    root_of,
    vectors_of,
)
from earful.plain import plain_fields
from earful.values import short_repr
from earful.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)

# A commit is one file of the table: few large ones, and no more in memory than this.
_COMMIT_ROWS: Final = 250_000
_COMMIT_BYTES: Final = 256 << 20
# Disk space of a row without its vector, as of a build.
_BYTES_PER_ROW: Final = 1024
# As of a build: larger indexes get indices of columns, and their first reader the snapshot.
_ROWS_WORTH_AN_INDEX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """Result of a merge.

    Attributes:
        parts: How many indexes were merged.
        added: Rows that were written.
        same: Rows that were there already, in the index or in an earlier part.
        n: Rows of the merged index now.
        rejected: Files that the parts could not use.
        missing: Shards that the index lacks, from 1.
        roots: Corpus roots of the merged index, where they lie now.
        notes: What its owner should know, a sentence each.
        seconds: How long it took.
    """

    parts: int
    added: int
    same: int
    n: int
    rejected: tuple[Rejection, ...]
    missing: tuple[int, ...]
    roots: tuple[Path, ...]
    notes: tuple[str, ...]
    seconds: float

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self, digits=3)


def merge_indexes(
    parts: Sequence[str | os.PathLike[str]],
    into: str | os.PathLike[str],
    *,
    partial: bool = False,
    prefix: bool = False,
    same_groups: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MergeReport:
    """Merge indexes into one, which is made if it does not exist; the parts stay as they are.

    Parts are the shards of one corpus (``build_index(..., shard=...)``), or indexes of their own
    by the same embedder, such as those of two sites. Nobody may write a part meanwhile; it
    may lie where this process may not write.

    Args:
        parts: Their folders, or addresses in object stores; at least one.
        into: The merged index.
        partial: Accept that shards are missing; the report names them. Those that an earlier merge
            has put into the index need not be given again.
        prefix: Put the name of each part's folder before the ids and groups of its rows, as
            ``site-a/``, so that those of two sites are never taken for one.
        same_groups: A group that parts with different corpus roots name is the same recording,
            site or speaker in all of them.
        progress: Called with the number of rows done and the number of all rows.

    Raises:
        IndexMismatchError: Two of them were made by different embedders.
        IndexFolderError: Shards are missing, doubled, unfinished or of different corpora; an id
            stands for different rows, or a group for what may be different recordings; a part
            is damaged, or a part and the merged index are the same. Nothing was written. Or the
            disk is full: the same merge goes on where it ended.
        IndexBusyError: Another process is writing one of them.
    """
    began = time.monotonic()
    target_path = local_folder(into)
    opened = [Part.open(path) for path in parts]
    with ExitStack() as held, system_memory_for_arrow():
        require_parts(opened, target_path)
        for part in opened:
            held.enter_context(part.folder.kept_still())
            part.folder.refresh()
        first = opened[0].folder
        target = None
        if os.path.lexists(target_path / HEADER_NAME):
            target = IndexFolder.open(target_path)
            held.enter_context(target.writer())
        missing = require_shards(opened, target, partial=partial, prefix=prefix)
        for part in opened:
            part.folder.table.check()
        if not prefix and not same_groups:
            require_distinct_groups(opened, target)
        known = require_free_of_clashes(opened, target, prefix=prefix, read=_renamed_rows)
        _require_space(target_path, opened, n_there=len(known))
        if target is None:
            target = IndexFolder.create(target_path, first.fingerprint, n_classes=first.n_classes)
            held.enter_context(target.writer())
        merge = _Merge(target, opened, known, prefix=prefix, progress=progress)
        merge.run()
        rejected = _rejections(target, opened)
        target.set_rejections(rejected)
        if (merged := merged_shards(opened)) is not None:
            merged = merged.with_all_of(target.header.merged)
            if merged != target.header.merged:
                target.write_header(target.header.with_merged(merged))
        n = len(target.table)
        if merge.n_added and n >= _ROWS_WORTH_AN_INDEX:
            target.index_columns()
        elif n < _ROWS_WORTH_AN_INDEX:
            read_vector_set(target)  # which keeps a snapshot, so that questions find it
    return MergeReport(
        parts=len(opened),
        added=merge.n_added,
        same=merge.n_same,
        n=n,
        rejected=rejected,
        missing=missing,
        roots=target.roots(),
        notes=tuple(_notes(opened, missing)),
        seconds=time.monotonic() - began,
    )


class _Merge:
    """The writing of one merge."""

    def __init__(
        self,
        target: IndexFolder,
        parts: Sequence[Part],
        known: set[str],
        *,
        prefix: bool,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._target = target
        self._parts = parts
        # Ids that are there already, or in several parts: all others are new.
        self._known = known
        self._prefix = prefix
        self._progress = progress
        self._taken: set[str] = set()
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = self._bytes_waiting = 0
        self._n_rows = sum(len(part.folder.table) for part in parts)
        self.n_added = self.n_same = 0

    def run(self) -> None:
        if self._known:
            self._taken = self._known.intersection(
                self._target.table.read(["id"]).column("id").to_pylist()
            )
        for part in self._parts:
            numbers = {
                number: self._target.number_root(
                    root, came=bool(part.folder.header.roots[number].absolute) or root.is_dir()
                )
                for number, root in enumerate(part.folder.roots())
            }
            for batch in (_renamed_rows if self._prefix else _rows)(part):
                self._take(batch, numbers)
        self._commit()

    def _take(self, batch: pa.RecordBatch, numbers: dict[int, int]) -> None:
        n_before = batch.num_rows
        if self._known:
            batch = self._without_known(batch)
        self.n_same += n_before - batch.num_rows
        if batch.num_rows:
            roots = [numbers[number] for number in batch.column("root").to_pylist()]
            self._waiting.append(with_column(batch, "root", roots))
            self._n_waiting += batch.num_rows
            self._bytes_waiting += batch.nbytes
        if self._n_waiting >= _COMMIT_ROWS or self._bytes_waiting >= _COMMIT_BYTES:
            self._commit()
        if self._progress is not None:
            done = self.n_added + self._n_waiting + self.n_same
            self._progress(done, self._n_rows)

    def _without_known(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out rows that are there already; those of equal ids are known to be equal."""
        import pyarrow as pa

        keep = []
        for at, id_ in enumerate(batch.column("id").to_pylist()):
            if id_ in self._taken:
                continue
            if id_ in self._known:
                self._taken.add(id_)
            keep.append(at)
        return batch if len(keep) == batch.num_rows else batch.take(pa.array(keep, pa.int64()))

    def _commit(self) -> None:
        if not self._waiting:
            return
        batches, n_rows = self._waiting, self._n_waiting
        self._waiting, self._n_waiting, self._bytes_waiting = [], 0, 0
        add_fitted(self._target, batches, replaces_any=False)
        self.n_added += n_rows
        _log.info("merged %d rows", n_rows, extra={"n_rows": n_rows, "n_merged": self.n_added})


def _rows(part: Part) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part, in batches, compared with their digests."""
    folder = part.folder
    schema = schema_of(folder)
    roots = folder.roots()
    for found in folder.table.stream(schema.names):
        batch = fitted(found, schema)
        require_whole(batch, where=str(folder.path))
        try:
            for number in set(batch.column("root").to_pylist()):
                root_of(roots, number)
        except IndexError as error:
            raise folder.damaged(error) from error
        yield batch


def _renamed_rows(part: Part) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part with its name before their ids and groups."""
    return (_prefixed(batch, f"{part.name}/") for batch in _rows(part))


def _prefixed(batch: pa.RecordBatch, prefix: str) -> pa.RecordBatch:
    """Put a name before ids and groups, and make the digests anew."""
    ids, groups = batch.column("id").to_pylist(), batch.column("group").to_pylist()
    batch = with_column(batch, "id", [prefix + id_ for id_ in ids])
    batch = with_column(batch, "group", [group and prefix + group for group in groups])
    exemplars = exemplar_digests(batch)
    dim = batch.schema.field("vector").type.list_size
    digests = row_digests(batch, exemplars, vectors_of(batch, dim), class_scores_of(batch))
    return with_column(with_column(batch, "exemplar_sha256", exemplars), "row_sha256", digests)


def _require_space(target: Path, parts: Sequence[Part], *, n_there: int) -> None:
    """Refuse a merge for which the disk is too full; rows that are there already take no more."""
    there = next(path for path in (target, *target.absolute().parents) if path.exists())
    folder = parts[0].folder
    row_bytes = folder.fingerprint.dim * 4 + folder.n_classes * 2 + _BYTES_PER_ROW
    n_rows = sum(len(part.folder.table) for part in parts) - n_there
    needed, free = n_rows * row_bytes, shutil.disk_usage(there).free
    if free < needed:
        raise IndexFolderError(
            f"{target}: {n_rows:,} rows need about {needed:,} bytes and the disk has {free:,}; "
            "free some space and run the same command again. Nothing was written"
        )


def _rejections(target: IndexFolder, parts: Sequence[Part]) -> tuple[Rejection, ...]:
    """Return the lists of the merged index and all parts as one, each file and row once."""
    found = [*target.rejections(), *(one for part in parts for one in part.folder.rejections())]
    # What was said last of a row counts.
    last = {(one.root, one.where, one.stretch): one for one in found}
    # Of an earlier merge's, some may have become rows since.
    stored = stored_stretches(target) if target.rejections() else set()
    kept = (one for one in last.values() if (one.root, one.stretch) not in stored)
    return tuple(sorted(kept, key=lambda one: natural_order(one.where)))


def _notes(parts: Sequence[Part], missing: Sequence[int]) -> Iterator[str]:
    if missing:
        n = parts[0].folder.header.shard.n if parts[0].folder.header.shard else 0
        yield (
            f"{counted(len(missing), 'shard')} of {n} left out: merge again with "
            f"{'it' if len(missing) == 1 else 'them'} when built"
        )
    for part in parts:
        if (part.folder.path / JOURNAL_FILE).exists():
            yield (
                f"{part.folder.path / JOURNAL_FILE}, what reviewers said, stays there; the merged "
                "rows have the labels that were taken from it"
            )
