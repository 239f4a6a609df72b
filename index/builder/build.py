"""Builds: decode a labelled corpus in threads, embed it in batches, commit; resumable.

Nothing finished is done twice: a row whose id, audio bytes and fields are unchanged is
skipped, and audio that has a vector in the index keeps it, whichever row it belongs to now.
Rows are committed in the corpus's order. After a kill at any point, the same call resumes
from the last commit.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import IndexFolderError
from earful.index.builder.changes import earlier_rejections, find_contested
from earful.index.builder.report import BuildProgress, BuildReport
from earful.index.corpus import Corpus, CorpusRow, Rejection, Remarks, open_corpus
from earful.index.distributed import CorpusDigest, Shard, require_shard
from earful.index.intake import BuildOptions as BuildOptions
from earful.index.intake import (
    Intake,
    Replaced,
    classes_of,
    find_replaced,
    require_class_scores,
    system_memory_for_arrow,
)
from earful.index.remote import local_folder
from earful.index.search import read_vector_set
from earful.index.storage import (
    HEADER_NAME,
    AudioKey,
    IndexFolder,
    Row,
    ShardMark,
    read_header,
)
from earful.model import DEFAULT_EMBEDDER, load_embedder
from earful.wording import as_argument

if TYPE_CHECKING:
    from earful.model import Embedder

_log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 0.1
# Disk space of a row without its vector, commits and headers included.
_BYTES_PER_ROW = 1024
# From this size on, conditions on labels are answered from an index of the column.
_ROWS_WORTH_AN_INDEX = 10_000
# Of larger indexes the first reader makes the snapshot: it takes all rows in memory.
_MOST_MAPPED = 10_000


def build_index(
    corpus: str | os.PathLike[str] | Corpus,
    index: str | os.PathLike[str],
    *,
    embedder: str | Embedder = DEFAULT_EMBEDDER,
    options: BuildOptions = BuildOptions(),
    shard: Shard | None = None,
    progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Embed a corpus into an index; the index is created if it does not exist.

    The whole table is read once before anything is embedded, so that a broken row is
    reported before any work is done. A recording that cannot be used never stops the build:
    it is reported, kept in the index's own list and tried again next time. Rows that left
    the corpus stay in the index and are counted in the report.

    Args:
        corpus: A folder or a table as ``open_corpus`` takes it, or an open corpus.
        index: The index folder, or an address such as ``s3://bucket/sounds.index``.
        embedder: An embedder, or a name that ``embedder_for`` loads.
        options: How the build works; they do not change the rows.
        shard: Build only this part of the corpus, into an index of its own that
            ``merge_indexes`` puts together with the others; ``None`` for all.
        progress: Called after every commit, and up to ten times a second in between.

    Raises:
        CorpusError: A table or a row of it is broken; nothing was written.
        IndexMismatchError: The index was made by another embedder, or with class scores, which
            this one does not give; nothing was written.
        IndexBusyError: Another process is writing the index.
        IndexFolderError: The index cannot be read or written, the disk is too full, an id
            belongs to a row from another corpus, or the index is not this shard; what was
            committed is kept.
    """
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    remarks, n_rows, mark = _count(opened, shard)
    model = embedder_for(index, embedder) if isinstance(embedder, str) else embedder
    target = IndexFolder.open_or_create(index, model.fingerprint, n_classes=classes_of(model))
    require_class_scores(target, model)
    with target.writer(), system_memory_for_arrow():
        require_shard(target, opened, mark)
        if mark is not None:
            target.mark_shard(mark)
        report = _Build(opened, target, model, options, progress, n_rows, shard).run()
        if mark is not None:
            target.mark_shard(replace(mark, done=True))
    notes = (*report.notes, *remarks.notes())
    return replace(report, contested=find_contested(target), notes=notes)


def embedder_for(
    index: str | os.PathLike[str],
    name: str,
    *,
    revision: str = "",
    device: str = "auto",
    dtype: str = "auto",
) -> Embedder:
    """Load the embedder for a new index, or for one that is to grow.

    Args:
        index: The index folder, which need not exist.
        name: As for ``load_embedder``.
        revision: As for ``load_embedder``.
        device: As for ``load_embedder``.
        dtype: Arithmetic of the encoder. ``"auto"`` takes that of the index if the embedder
            of this name began it, and otherwise the choice of ``load_embedder``.

    Raises:
        IndexFolderError: The index is damaged.
        ModelError: The embedder cannot be loaded.
    """
    folder = local_folder(index)
    if dtype == "auto" and (folder / HEADER_NAME).is_file():
        stored = read_header(folder).fingerprint
        if stored.name in (name, str(Path(name).resolve())):
            dtype = stored.dtype
    return load_embedder(name, revision=revision, device=device, dtype=dtype)


def _count(corpus: Corpus, shard: Shard | None) -> tuple[Remarks, int, ShardMark | None]:
    """Read all rows once, and count those that are to be built.

    Raises:
        CorpusError: A table or a row of it is broken, or no column of it gives labels.
    """
    if shard is None:
        return (remarks := Remarks.of(corpus)), remarks.n, None
    remarks, digest, n_rows = Remarks(corpus=corpus), CorpusDigest(), 0
    for row in corpus:
        remarks.add(row)
        digest.add(row)
        n_rows += shard.holds(row.exemplar)
    remarks.require_labels()
    return remarks, n_rows, ShardMark(i=shard.i, n=shard.n, corpus=digest.hexdigest())


class _Build:
    """One run: its counts so far, and the rows that wait for their batch or commit."""

    def __init__(
        self,
        corpus: Corpus,
        index: IndexFolder,
        embedder: Embedder,
        options: BuildOptions,
        progress: Callable[[BuildProgress], None] | None,
        n_rows: int,
        shard: Shard | None,
    ) -> None:
        self._corpus = corpus
        self._shard = shard
        self._index = index
        self._embedder = embedder
        self._options = options
        self._progress = progress
        self._n_rows = n_rows
        self._started = self._last_commit = self._last_progress = time.monotonic()
        self._done = self._committed = 0
        self._replaced: list[Replaced] = []
        self._indexed = index.indexed_rows()
        self._intake = Intake(
            corpus,
            embedder,
            n_classes=index.n_classes,
            options=options,
            indexed=self._indexed,
            source=_StoredRows(index),
        )
        # Ids of the index that the corpus has not shown yet. A recording added by itself says
        # nothing about the others of its folder.
        self._unseen: set[str] = set()
        if corpus.kind != "file" and corpus.root in self._indexed.roots:
            self._unseen = set(self._indexed)
            if self._indexed.roots != (corpus.root,):
                self._unseen = {i for i in self._unseen if self._indexed[i].root == corpus.root}

    def run(self) -> BuildReport:
        # Refuse what cannot succeed, before any work.
        self._refuse_foreign_ids()
        self._require_space()
        # Inspect, decode, embed and commit, in the corpus's order.
        intake = self._intake
        try:
            for _ in intake.process(self._seen_rows()):
                self._done += 1
                self._commit_if_due()
                self._report_progress()
            self._commit()
        except BaseException as error:
            intake.abandon()
            if isinstance(error, KeyboardInterrupt):
                self._commit_embedded()
            raise
        finally:
            intake.close()
        outdated = sorted({item.id for item in intake.rejected if item.id in self._indexed})
        n, stale = len(self._index.indexed_rows()), tuple(sorted(self._unseen))
        self._notes = tuple(filter(None, [intake.beyond.note()]))
        # Free the row lookup before indexing columns, which needs memory itself.
        intake.free_lookup()
        del self._indexed
        self._unseen.clear()
        # Of a shard nothing is asked: what is made of all rows is made of the merged index.
        if intake.n_accepted and n >= _ROWS_WORTH_AN_INDEX and self._shard is None:
            self._index.index_columns()
        rejected = tuple(
            item.rejection for item in sorted(intake.rejected, key=lambda item: item.number)
        )
        # List what was rejected, and report.
        self._list_rejections(rejected)
        if n <= _MOST_MAPPED and self._shard is None:
            read_vector_set(self._index)  # which keeps a snapshot, so that questions find it
        self._report_progress(now=True)
        return BuildReport(
            accepted=intake.n_accepted,
            reused=intake.n_reused,
            skipped=intake.n_unchanged,
            rejected=rejected,
            stale=stale,
            seconds=time.monotonic() - self._started,
            audio_s=intake.audio_s,
            n=n,
            replaced=tuple(self._replaced),
            notes=self._notes,
            outdated=tuple(outdated),
            doubtful=intake.doubts.doubtful,
        )

    # --- before the work -----------------------------------------------------------------

    def _refuse_foreign_ids(self) -> None:
        root = self._corpus.root
        if set(self._indexed.roots) <= {root}:
            return
        for row in self._corpus:
            indexed = self._indexed.get(row.exemplar.id)
            if indexed is not None and indexed.root != root:
                way_out = "give it another id, or remove the old row first"
                if not indexed.root.is_dir():
                    way_out = (
                        f"if that folder has become this one: `earful index verify "
                        f"{as_argument(self._index.path)} --repair --corpus "
                        f"{as_argument(self._corpus.source)}`"
                    )
                raise IndexFolderError(
                    f"{row.where}: id {row.exemplar.id!r} belongs in {self._index.path} to a row "
                    f"from {indexed.root}, and this corpus lies in {root}; {way_out}. Nothing was "
                    "written"
                )

    def _require_space(self) -> None:
        n_new = max(0, self._n_rows - len(self._indexed))
        row_bytes = self._embedder.fingerprint.dim * 4 + self._index.n_classes * 2 + _BYTES_PER_ROW
        needed = n_new * row_bytes
        free = shutil.disk_usage(self._index.path).free
        if free < needed:
            raise IndexFolderError(
                f"{self._index.path}: {n_new} new rows need about {needed:,} bytes and the disk "
                f"has {free:,} free; free some space and run the same command again"
            )

    def _seen_rows(self) -> Iterator[tuple[int, CorpusRow]]:
        """Yield the rows to build, each with its place in the corpus."""
        rows = enumerate(self._corpus) if self._shard is None else self._shard.rows(self._corpus)
        for number, row in rows:
            self._unseen.discard(row.exemplar.id)
            yield number, row

    # --- rows out --------------------------------------------------------------------------

    def _commit_if_due(self) -> None:
        waited_s = time.monotonic() - self._last_commit
        is_due = self._intake.n_waiting >= self._options.commit_rows
        if is_due or waited_s >= self._options.commit_s:
            self._commit()

    def _commit(self) -> None:
        self._intake.finish_waiting()
        self._commit_embedded()

    def _commit_embedded(self) -> None:
        self._last_commit = time.monotonic()
        rows = [row for _, row in self._intake.take_out()]
        if rows:
            replaced = find_replaced(self._index, self._indexed, rows)
            self._index.add(rows)
            self._replaced += replaced
            self._intake.forget_expected(rows)
            self._committed += len(rows)
            _log.info(
                "committed %d rows, %d in this run",
                len(rows),
                self._committed,
                extra={"n_rows": len(rows), "n_committed": self._committed},
            )
            self._report_progress(now=True)

    def _list_rejections(self, rejected: tuple[Rejection, ...]) -> None:
        """Replace this corpus's part of the index's list."""
        for rejection in rejected:
            _log.info("rejected: %s", rejection.error, extra=rejection.to_dict())
        kept = earlier_rejections(self._index, self._corpus)
        self._index.set_rejections([*kept, *rejected])

    def _report_progress(self, *, now: bool = False) -> None:
        time_s = time.monotonic()
        is_due = now or time_s - self._last_progress >= _PROGRESS_EVERY_S
        if self._progress is None or not is_due:
            return
        self._last_progress = time_s
        self._progress(
            BuildProgress(
                done=self._done,
                total=self._n_rows,
                accepted=self._intake.n_accepted,
                committed=self._committed,
                skipped=self._intake.n_unchanged,
                rejected=len(self._intake.rejected),
                seconds=time_s - self._started,
            )
        )


class _StoredRows:
    """The rows of an index, as a source of vectors that were made before."""

    def __init__(self, index: IndexFolder) -> None:
        self._index = index

    def holder(self, key: AudioKey) -> str | None:
        return self._index.indexed_rows().holder(key)

    def rows(self, ids: Iterable[str]) -> Mapping[str, Row]:
        return self._index.rows(ids)
