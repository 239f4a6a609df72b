"""Builds: decode a labelled corpus in threads, embed it in batches, commit; resumable.

Nothing finished is done twice: a row whose id, audio bytes and fields are unchanged is
skipped, and audio that has a vector in the index keeps it, whichever row it belongs to now.
Rows are committed in the corpus's order, by an engine in that of its workers. After a kill at any
point, the same call resumes from the last commit.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import IndexFolderError
from earful.index.builder.changes import earlier_rejections, find_contested
from earful.index.builder.engine_work import EngineWork
from earful.index.builder.local_work import LocalWork
from earful.index.builder.report import BuildProgress, BuildReport
from earful.index.corpus import Corpus, CorpusRow, Rejection, Remarks, open_corpus
from earful.index.distributed import CorpusDigest, Shard, require_shard
from earful.index.intake import BuildOptions as BuildOptions
from earful.index.intake import (
    classes_of,
    require_class_scores,
    system_memory_for_arrow,
)
from earful.index.remote import local_folder
from earful.index.search import read_vector_set
from earful.index.storage import (
    HEADER_NAME,
    IndexFolder,
    ShardMark,
    UnseenRows,
    read_header,
)
from earful.model import DEFAULT_EMBEDDER, load_embedder
from earful.wording import as_argument

if TYPE_CHECKING:
    from earful.index.distributed import Engine
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
    engine: Engine | None = None,
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
        engine: Where rows are decoded and embedded: by ``RayEngine`` in processes of other
            machines, too; ``None`` for this process.
        progress: Called after every commit, and up to ten times a second in between.

    Raises:
        CorpusError: A table or a row of it is broken; nothing was written.
        IndexMismatchError: The index was made by another embedder, or with class scores, which
            this one does not give; nothing was written.
        IndexBusyError: Another process is writing the index.
        IndexFolderError: The index cannot be read or written, the disk is too full, an id
            belongs to a row from another corpus, or the index is not this shard; what was
            committed is kept.
        EngineError: The engine cannot be started, or its workers cannot work; what was committed
            is kept.
    """
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    remarks, n_rows, mark = _count(opened, shard)
    model = embedder
    if isinstance(model, str):
        # With an engine this one only says what is compared: its workers have the devices.
        model = embedder_for(index, model, device="cpu" if engine else "auto")
    target = IndexFolder.open_or_create(index, model.fingerprint, n_classes=classes_of(model))
    require_class_scores(target, model)
    with target.writer(), system_memory_for_arrow():
        require_shard(target, opened, mark)
        if mark is not None:
            target.write_header(target.header.with_shard(mark))
        work: LocalWork | EngineWork
        if engine is None:
            work = LocalWork(opened, target, model, options)
        else:
            counts = {"n_rows": n_rows, "n_places": remarks.n}
            work = EngineWork(opened, target, model, options, engine=engine, **counts)
        report = _Build(opened, target, work, progress, n_rows, shard).run()
        if mark is not None:
            target.write_header(target.header.with_shard(replace(mark, done=True)))
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
        work: LocalWork | EngineWork,
        progress: Callable[[BuildProgress], None] | None,
        n_rows: int,
        shard: Shard | None,
    ) -> None:
        self._corpus = corpus
        self._shard = shard
        self._index = index
        self._work = work
        self._progress = progress
        self._n_rows = n_rows
        self._started = self._last_progress = time.monotonic()
        self._indexed = index.indexed_rows()
        # Ids of the index that the corpus has not shown yet. A recording added by itself says
        # nothing about the others of its folder.
        self._unseen: UnseenRows | None = None
        if corpus.kind != "file" and corpus.root in self._indexed.roots:
            self._unseen = UnseenRows(self._indexed, corpus.root)

    def run(self) -> BuildReport:
        # Refuse what cannot succeed, before any work.
        self._refuse_foreign_ids()
        self._require_space()
        # Inspect, decode, embed and commit.
        work = self._work
        work.run(self._seen_rows(), self._report_progress)
        outdated = sorted({item.id for item in work.rejected if item.id in self._indexed})
        n = len(self._index.indexed_rows())
        stale = () if self._unseen is None else self._unseen.ids()
        self._notes = tuple(filter(None, [work.beyond.note()]))
        # Free the row lookup before indexing columns, which needs memory itself.
        work.free_lookup()
        del self._indexed
        self._unseen = None
        # Of a shard nothing is asked: what is made of all rows is made of the merged index.
        if work.n_accepted and n >= _ROWS_WORTH_AN_INDEX and self._shard is None:
            self._index.index_columns()
        rejected = tuple(item.rejection for item in work.rejected)
        # List what was rejected, and report.
        self._list_rejections(rejected)
        if n <= _MOST_MAPPED and self._shard is None:
            read_vector_set(self._index)  # which keeps a snapshot, so that questions find it
        self._report_progress(now=True)
        return BuildReport(
            accepted=work.n_accepted,
            reused=work.n_reused,
            skipped=work.n_unchanged,
            rejected=rejected,
            stale=stale,
            seconds=time.monotonic() - self._started,
            audio_s=work.audio_s,
            n=n,
            replaced=tuple(work.replaced),
            notes=self._notes,
            outdated=tuple(outdated),
            doubtful=work.doubtful,
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
        row_bytes = self._index.fingerprint.dim * 4 + self._index.n_classes * 2 + _BYTES_PER_ROW
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
            if self._unseen is not None:
                self._unseen.see(row.exemplar.id)
            yield number, row

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
                done=self._work.n_done,
                total=self._n_rows,
                accepted=self._work.n_accepted,
                committed=self._work.n_committed,
                skipped=self._work.n_unchanged,
                rejected=self._work.n_rejected,
                seconds=time_s - self._started,
            )
        )
