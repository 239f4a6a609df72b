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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import IndexFolderError
from earful.index.builder.arrow_memory import system_memory_for_arrow
from earful.index.builder.changes import (
    Replaced,
    earlier_rejections,
    find_contested,
    find_replaced,
)
from earful.index.builder.decode_queue import (
    Decoded,
    Inspected,
    Rejected,
    RowDecoder,
    Unchanged,
    in_order,
)
from earful.index.builder.doubtful import DoubtCounter
from earful.index.builder.embedding import (
    classes_of,
    embed_batch,
    require_class_scores,
    vector_fault,
)
from earful.index.builder.options import BuildOptions
from earful.index.builder.report import BuildProgress, BuildReport
from earful.index.corpus import Corpus, CorpusRow, Rejection, Remarks, open_corpus
from earful.index.search import read_vector_set
from earful.index.storage import (
    HEADER_NAME,
    AudioKey,
    IndexFolder,
    Row,
    read_header,
)
from earful.model import DEFAULT_EMBEDDER, load_embedder
from earful.model.audio import hearing_faults, stop_decoding
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
    progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Embed a corpus into an index; the index is created if it does not exist.

    The whole table is read once before anything is embedded, so that a broken row is
    reported before any work is done. A recording that cannot be used never stops the build:
    it is reported, kept in the index's own list and tried again next time. Rows that left
    the corpus stay in the index and are counted in the report.

    Args:
        corpus: A folder or a table as ``open_corpus`` takes it, or an open corpus.
        index: The index folder.
        embedder: An embedder, or a name that ``embedder_for`` loads.
        options: How the build works; they do not change the rows.
        progress: Called after every commit, and up to ten times a second in between.

    Raises:
        CorpusError: A table or a row of it is broken; nothing was written.
        IndexMismatchError: The index was made by another embedder, or with class scores, which
            this one does not give; nothing was written.
        IndexBusyError: Another process is writing the index.
        IndexFolderError: The index cannot be read or written, the disk is too full, or an
            id belongs to a row from another corpus; what was committed is kept.
    """
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    remarks = Remarks.of(opened)
    model = embedder_for(index, embedder) if isinstance(embedder, str) else embedder
    target = IndexFolder.open_or_create(index, model.fingerprint, n_classes=classes_of(model))
    require_class_scores(target, model)
    with target.writer(), system_memory_for_arrow():
        report = _Build(opened, target, model, options, progress, remarks.n).run()
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
    if dtype == "auto" and (Path(index) / HEADER_NAME).is_file():
        stored = read_header(Path(index)).fingerprint
        if stored.name in (name, str(Path(name).resolve())):
            dtype = stored.dtype
    return load_embedder(name, revision=revision, device=device, dtype=dtype)


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
    ) -> None:
        self._corpus = corpus
        self._index = index
        self._embedder = embedder
        self._options = options
        self._progress = progress
        self._n_rows = n_rows
        self._started = self._last_commit = self._last_progress = time.monotonic()
        self._done = self._accepted = self._reused = self._committed = self._skipped = 0
        self._audio_s = 0.0
        self._rejected: list[Rejected] = []
        self._doubts = DoubtCounter()
        self._batch: list[Decoded] = []
        self._renewals: list[_Renewal] = []
        self._replaced: list[Replaced] = []
        self._rows: list[tuple[int, Row]] = []
        self._indexed = index.indexed_rows()
        self._decoder = RowDecoder(
            corpus,
            self._indexed,
            sample_rate=embedder.fingerprint.sample_rate,
            limits=options.limits,
        )
        # Audio that will get its vector in this run; the index knows what already has one.
        self._expected: set[AudioKey] = set()
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
        n_threads = self._options.n_threads
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="earful-decode")
        try:
            for outcome in self._outcomes(pool, n_threads):
                self._done += 1
                self._take(outcome)
                self._commit_if_due()
                self._report_progress()
            self._commit()
        except BaseException as error:
            # Nobody needs the rest, and whoever pressed Ctrl-C does not want to wait for it.
            pool.shutdown(wait=False, cancel_futures=True)
            stop_decoding()
            if isinstance(error, KeyboardInterrupt):
                self._commit_embedded()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        outdated = sorted({item.id for item in self._rejected if item.id in self._indexed})
        n, stale = len(self._index.indexed_rows()), tuple(sorted(self._unseen))
        self._notes = tuple(filter(None, [self._decoder.beyond.note()]))
        # Free the row lookup before indexing columns, which needs memory itself.
        del self._indexed, self._decoder
        self._unseen.clear()
        if self._accepted and n >= _ROWS_WORTH_AN_INDEX:
            self._index.index_columns()
        rejected = tuple(
            item.rejection for item in sorted(self._rejected, key=lambda item: item.number)
        )
        # List what was rejected, and report.
        self._list_rejections(rejected)
        if n <= _MOST_MAPPED:
            read_vector_set(self._index)  # which keeps a snapshot, so that questions find it
        self._report_progress(now=True)
        return BuildReport(
            accepted=self._accepted,
            reused=self._reused,
            skipped=self._skipped,
            rejected=rejected,
            stale=stale,
            seconds=time.monotonic() - self._started,
            audio_s=self._audio_s,
            n=n,
            replaced=tuple(self._replaced),
            notes=self._notes,
            outdated=tuple(outdated),
            doubtful=self._doubts.doubtful,
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

    # --- rows in, one after the other ------------------------------------------------------

    def _outcomes(self, pool: ThreadPoolExecutor, n_threads: int) -> Iterator[_Outcome]:
        """Yield the outcome of each row, in the corpus's order."""
        inspected = in_order(
            pool, self._decoder.inspect, enumerate(self._seen_rows()), n_most=4 * n_threads
        )
        return in_order(
            pool,
            self._decode_if_needed,
            map(self._route, inspected),
            n_most=2 * n_threads + self._options.batch_clips,
            cost=lambda item: item.decoded_bytes if isinstance(item, Inspected) else 0,
            budget=self._options.ahead_bytes,
        )

    def _seen_rows(self) -> Iterator[CorpusRow]:
        for row in self._corpus:
            self._unseen.discard(row.exemplar.id)
            yield row

    def _route(
        self, outcome: Unchanged | Inspected | Rejected
    ) -> Unchanged | Inspected | Rejected | _Renewal:
        """Turn a row into a renewal if another row has or will have the vector of its audio."""
        if not isinstance(outcome, Inspected):
            return outcome
        key = outcome.audio_key
        if key in self._expected or self._indexed.holder(key) is not None:
            return _Renewal(inspected=outcome)
        self._expected.add(key)
        return outcome

    def _decode_if_needed(self, outcome: Unchanged | Inspected | Rejected | _Renewal) -> _Outcome:
        return self._decoder.decode(outcome) if isinstance(outcome, Inspected) else outcome

    def _take(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Unchanged):
            self._skipped += 1
        elif isinstance(outcome, Rejected):
            self._rejected.append(outcome)
        elif isinstance(outcome, _Renewal):
            self._renewals.append(outcome)
        else:
            if self._batch_s() + outcome.clip.duration_s > self._options.batch_s:
                self._embed()
            self._batch.append(outcome)
            full = len(self._batch) == self._options.batch_clips
            if full or self._batch_s() >= self._options.batch_s:
                self._embed()

    def _batch_s(self) -> float:
        return sum(decoded.clip.duration_s for decoded in self._batch)

    # --- vectors ---------------------------------------------------------------------------

    def _embed(self) -> None:
        if not self._batch:
            return
        clips = [decoded.clip for decoded in self._batch]
        embedded = embed_batch(self._embedder, clips, self._index.n_classes)
        for decoded, made in zip(self._batch, embedded, strict=True):
            inspected, clip = decoded.inspected, decoded.clip
            if made.fault:
                self._rejected.append(self._decoder.reject(inspected, made.fault))
                continue
            self._accepted, self._audio_s = self._accepted + 1, self._audio_s + clip.duration_s
            exemplar, faults = inspected.row.exemplar, hearing_faults(clip, self._embedder)
            self._doubts.add(exemplar, inspected.audio_key, faults)
            row = Row(
                exemplar=exemplar,
                root=self._corpus.root,
                duration_s=clip.duration_s,
                file_sha256=inspected.audio_key.file_sha256,
                content_sha256=clip.content_sha256,
                vector=made.vector,
                class_scores=made.class_scores,
            )
            self._rows.append((inspected.number, row))
        self._batch.clear()

    def _renew(self) -> None:
        """Fill waiting renewals with the vectors of their audio."""
        if not self._renewals:
            return
        fresh = {row.audio_key: row for _, row in self._rows}
        renewals, self._renewals = self._renewals, []
        keys = {renewal.inspected.audio_key for renewal in renewals}
        holders = {key: id_ for key in keys - fresh.keys() if (id_ := self._indexed.holder(key))}
        stored = self._index.rows(holders.values())
        for renewal in renewals:
            inspected, key = renewal.inspected, renewal.inspected.audio_key
            source = fresh.get(key) or stored.get(holders.get(key, ""))
            if source is None or source.audio_key != key or vector_fault(source.vector):
                # Its holder was rejected, got other audio in this very run, or is damaged.
                self._take(self._decoder.decode(inspected))
                continue
            self._accepted, self._reused = self._accepted + 1, self._reused + 1
            self._doubts.add(inspected.row.exemplar, key)
            row = replace(source, exemplar=inspected.row.exemplar, root=self._corpus.root)
            self._rows.append((inspected.number, row))
        self._embed()

    # --- rows out --------------------------------------------------------------------------

    def _commit_if_due(self) -> None:
        n_waiting = len(self._rows) + len(self._batch) + len(self._renewals)
        waited_s = time.monotonic() - self._last_commit
        if n_waiting >= self._options.commit_rows or waited_s >= self._options.commit_s:
            self._commit()

    def _commit(self) -> None:
        self._embed()
        self._renew()
        self._commit_embedded()

    def _commit_embedded(self) -> None:
        self._last_commit = time.monotonic()
        # Clear the list first: rows whose commit is interrupted must not be written twice.
        numbered, self._rows = self._rows, []
        if numbered:
            rows = [row for _, row in sorted(numbered, key=lambda pair: pair[0])]
            replaced = find_replaced(self._index, self._indexed, rows)
            self._index.add(rows)
            self._replaced += replaced
            self._expected.difference_update(row.audio_key for row in rows)
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
                accepted=self._accepted,
                committed=self._committed,
                skipped=self._skipped,
                rejected=len(self._rejected),
                seconds=time_s - self._started,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    """A row to write with the vector that its audio has, or will have, in another row."""

    inspected: Inspected


_Outcome = Unchanged | Decoded | Rejected | _Renewal
