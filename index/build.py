"""A labelled corpus into an index: decode in threads, embed in batches, commit, go on.

Nothing finished is done twice: a row whose id, audio bytes and fields are unchanged is
left alone, and one whose audio is unchanged keeps its vector. Killed anywhere, the same
call goes on where the last commit stood.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, MissingExtraError
from earful.index.corpus import Corpus, CorpusRow, Rejection, open_corpus
from earful.index.schema import Row, exemplar_digest
from earful.index.store import Index, KnownRow
from earful.model.audio import AudioLimits, Clip, file_sha256, load_audio
from earful.model.registry import load_embedder

if TYPE_CHECKING:
    from earful.model.protocols import Embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How a build works; the result does not depend on it.

    Attributes:
        limits: What audio is accepted.
        batch_clips: Most clips given to the embedder at once.
        batch_s: Most seconds of audio given to it at once, a single longer clip apart.
        commit_rows: Rows after which a commit is due.
        commit_s: Seconds after which a commit is due.
        n_decoders: Threads that decode; 0 takes one per CPU that this process may use.
    """

    limits: AudioLimits = field(default_factory=AudioLimits)
    batch_clips: int = 16
    batch_s: float = 160.0
    commit_rows: int = 512
    commit_s: float = 30.0
    n_decoders: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_clips", "batch_s", "commit_rows", "commit_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}; want more than 0")
        if self.n_decoders < 0:
            raise ValueError(f"n_decoders={self.n_decoders}; want 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Where a build stands.

    Attributes:
        done: Rows dealt with.
        total: Rows in the corpus.
        accepted: Rows embedded, or renewed with their old vector, and committed or about to be.
        committed: Rows of those that a kill can no longer lose.
        skipped: Rows that were there unchanged.
        rejected: Rows that could not be used.
        seconds: Since the build began.
    """

    done: int
    total: int
    accepted: int
    committed: int
    skipped: int
    rejected: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build did.

    Attributes:
        accepted: Rows embedded, or renewed with their old vector.
        skipped: Rows that were there unchanged.
        rejected: Rows that could not be used, each with its reason; tried again next time.
        stale: Rows of the index from this corpus root that the corpus no longer has. They
            are kept.
        seconds: How long it took.
        audio_s: Length of the audio embedded, in seconds.
        n: Rows in the index now.
    """

    accepted: int
    skipped: int
    rejected: tuple[Rejection, ...]
    stale: int
    seconds: float
    audio_s: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "accepted": self.accepted,
            "rejected": [rejection.to_dict() for rejection in self.rejected],
            "skipped": self.skipped,
            "stale": self.stale,
            "seconds": round(self.seconds, 3),
            "audio_s": round(self.audio_s, 3),
            "n": self.n,
        }


def build_index(
    corpus: str | os.PathLike[str] | Corpus,
    index: str | os.PathLike[str],
    *,
    embedder: str | Embedder = "earful-tiny",
    options: BuildOptions = BuildOptions(),
    progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Embed a corpus into an index, made when it is not there.

    The whole table is read once before anything is embedded, so that a broken row is told
    before any work is done. A recording that cannot be used never stops the build: it is
    reported, kept in the index's own list and tried again next time.

    Args:
        corpus: A folder or a table as ``open_corpus`` takes it, or an open corpus.
        index: The index folder.
        embedder: A name for ``load_embedder``, or an embedder.
        options: How to work.
        progress: Called after every batch and every commit.

    Raises:
        CorpusError: A table or a row of it is broken; nothing was written.
        IndexMismatchError: The index was made by another embedder.
        IndexBusyError: Another process is writing the index.
        IndexFolderError: The index cannot be read or written; what was committed is kept.
    """
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    ids = {row.exemplar.id for row in opened}
    model = load_embedder(embedder) if isinstance(embedder, str) else embedder
    target = Index.open_or_create(index, model.fingerprint)
    with target.writer():
        target.refresh()
        return _Build(opened, target, model, options, progress, ids).run()


class _Build:
    """One run: what was done so far, and the rows that wait for their batch or commit."""

    def __init__(
        self,
        corpus: Corpus,
        index: Index,
        embedder: Embedder,
        options: BuildOptions,
        progress: Callable[[BuildProgress], None] | None,
        ids: set[str],
    ) -> None:
        self._corpus = corpus
        self._index = index
        self._embedder = embedder
        self._options = options
        self._progress = progress
        self._ids = ids
        self._started = self._last_commit = time.monotonic()
        self._done = self._accepted = self._committed = self._skipped = 0
        self._audio_s = 0.0
        self._rejected: list[Rejection] = []
        self._batch: list[_Decoded] = []
        self._rows: list[Row] = []

    def run(self) -> BuildReport:
        known = dict(self._index.known())
        for outcome in self._outcomes(known):
            self._done += 1
            if isinstance(outcome, Rejection):
                self._rejected.append(outcome)
            elif isinstance(outcome, Row):
                self._rows.append(outcome)
                self._accepted += 1
            elif outcome is None:
                self._skipped += 1
            else:
                if self._batch and not self._fits(outcome):
                    self._embed()
                self._batch.append(outcome)
                if len(self._batch) == self._options.batch_clips:
                    self._embed()
            self._commit_if_due()
        self._embed()
        self._commit()
        self._index.set_rejections(self._rejected)
        self._tell()
        root = self._corpus.root
        stale = sum(row.root == root and id_ not in self._ids for id_, row in known.items())
        return BuildReport(
            accepted=self._accepted,
            skipped=self._skipped,
            rejected=tuple(self._rejected),
            stale=stale,
            seconds=time.monotonic() - self._started,
            audio_s=self._audio_s,
            n=len(self._index.known()),
        )

    def _outcomes(self, known: dict[str, KnownRow]) -> Iterator[_Outcome]:
        """Yield what became of each row, in the corpus's order, a few decoded ahead."""
        n_threads = self._options.n_decoders or len(os.sched_getaffinity(0))
        ahead = 2 * n_threads + self._options.batch_clips
        waiting: deque[Future[_Outcome]] = deque()
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="earful-decode")
        try:
            for row in self._corpus:
                waiting.append(pool.submit(self._prepare, row, known.get(row.exemplar.id)))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, row: CorpusRow, known: KnownRow | None) -> _Outcome:
        """Decide what one row needs, and decode it if it needs embedding."""
        exemplar = row.exemplar
        path = self._corpus.path(exemplar)
        try:
            digest = file_sha256(path)
            if known is not None and known.root == self._corpus.root:
                same_audio = known.file_sha256 == digest
                same_stretch = (known.start_s, known.end_s) == (exemplar.start_s, exemplar.end_s)
                if same_audio and known.exemplar_sha256 == exemplar_digest(exemplar):
                    return None
                if same_audio and same_stretch:
                    return self._index.renewed(exemplar)
            clip = load_audio(
                path,
                sample_rate=self._embedder.fingerprint.sample_rate,
                start_s=exemplar.start_s,
                end_s=exemplar.end_s,
                limits=self._options.limits,
            )
        except (AudioError, MissingExtraError) as error:
            return Rejection(audio=str(exemplar.audio), where=row.where, error=str(error))
        return _Decoded(row=row, clip=clip, file_sha256=digest)

    def _fits(self, decoded: _Decoded) -> bool:
        seconds = sum(other.clip.duration_s for other in self._batch)
        return seconds + decoded.clip.duration_s <= self._options.batch_s

    def _embed(self) -> None:
        if not self._batch:
            return
        vectors = self._embedder.embed([decoded.clip for decoded in self._batch])
        for decoded, vector in zip(self._batch, vectors, strict=True):
            if reason := _unusable(vector):
                exemplar = decoded.row.exemplar
                self._rejected.append(
                    Rejection(audio=str(exemplar.audio), where=decoded.row.where, error=reason)
                )
                continue
            self._accepted += 1
            self._audio_s += decoded.clip.duration_s
            self._rows.append(
                Row(
                    exemplar=decoded.row.exemplar,
                    root=self._corpus.root,
                    duration_s=decoded.clip.duration_s,
                    file_sha256=decoded.file_sha256,
                    content_sha256=decoded.clip.content_sha256,
                    vector=vector,
                )
            )
        self._batch.clear()
        self._tell()

    def _commit_if_due(self) -> None:
        waited = time.monotonic() - self._last_commit
        if len(self._rows) >= self._options.commit_rows or waited >= self._options.commit_s:
            self._commit()

    def _commit(self) -> None:
        self._last_commit = time.monotonic()
        if not self._rows:
            return
        self._index.add(self._rows)
        self._committed += len(self._rows)
        self._rows.clear()
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(
                BuildProgress(
                    done=self._done,
                    total=len(self._ids),
                    accepted=self._accepted,
                    committed=self._committed,
                    skipped=self._skipped,
                    rejected=len(self._rejected),
                    seconds=time.monotonic() - self._started,
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoded:
    row: CorpusRow
    clip: Clip
    file_sha256: str


# A row to store as it is, one to embed first, one that is fine (None), or one to reject.
_Outcome = Row | _Decoded | Rejection | None


def _unusable(vector: NDArray[np.float32]) -> str:
    norm = float(np.linalg.norm(vector))
    if np.isfinite(norm) and abs(norm - 1.0) <= 1e-3:
        return ""
    return f"the embedder gave a vector of norm {norm:g}; want 1"
