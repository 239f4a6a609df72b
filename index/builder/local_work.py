"""Local work: the rows of a build embedded in this process and committed in the corpus's order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from earful.index.corpus import Corpus, CorpusRow, TimesBeyond
from earful.index.intake import (
    BuildOptions,
    DoubtfulAudio,
    Intake,
    Rejected,
    Replaced,
    find_replaced,
)
from earful.index.storage import AudioKey, IndexFolder, Row

if TYPE_CHECKING:
    from earful.model import Embedder

_log = logging.getLogger(__name__)


class LocalWork:
    """One run in this process.

    Attributes:
        n_done: Rows finished.
        n_committed: Rows that a kill can no longer lose.
        replaced: Rows that took the place of one with their id.
    """

    def __init__(
        self,
        corpus: Corpus,
        index: IndexFolder,
        embedder: Embedder,
        options: BuildOptions,
    ) -> None:
        """Prepare for one run.

        Args:
            corpus: The corpus.
            index: The index, whose writer lock is held.
            embedder: Its embedder.
            options: How the build works.
        """
        self._index = index
        self._options = options
        self._last_commit = time.monotonic()
        self._indexed = index.indexed_rows()
        self._intake = Intake(
            corpus,
            embedder,
            n_classes=index.n_classes,
            options=options,
            indexed=self._indexed,
            source=_StoredRows(index),
        )
        self.n_done = self.n_committed = 0
        self.replaced: list[Replaced] = []

    @property
    def n_accepted(self) -> int:
        """Rows with a vector."""
        return self._intake.n_accepted

    @property
    def n_reused(self) -> int:
        """Rows of those with a vector made earlier."""
        return self._intake.n_reused

    @property
    def n_unchanged(self) -> int:
        """Rows that the index holds unchanged."""
        return self._intake.n_unchanged

    @property
    def n_rejected(self) -> int:
        """Rows that cannot be used."""
        return len(self._intake.rejected)

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The same, in the corpus's order."""
        return tuple(sorted(self._intake.rejected, key=lambda item: item.number))

    @property
    def audio_s(self) -> float:
        """Length of the audio embedded, in seconds."""
        return self._intake.audio_s

    @property
    def doubtful(self) -> tuple[DoubtfulAudio, ...]:
        """Rows of which an encoder hears little."""
        return self._intake.doubts.doubtful

    @property
    def beyond(self) -> TimesBeyond:
        """Counts of stretches that lie beyond their files."""
        return self._intake.beyond

    def run(self, rows: Iterable[tuple[int, CorpusRow]], on_progress: Callable[..., None]) -> None:
        """Embed rows and commit them.

        Args:
            rows: Each with its place in the corpus.
            on_progress: Called after each row, and with ``now=True`` after each commit.
        """
        self._on_progress = on_progress
        intake = self._intake
        try:
            for _ in intake.process(rows):
                self.n_done += 1
                self._commit_if_due()
                on_progress()
            self._commit()
        except BaseException as error:
            intake.abandon()
            if isinstance(error, KeyboardInterrupt):
                self._commit_embedded()
            raise
        finally:
            intake.close()

    def free_lookup(self) -> None:
        """Free what is known of the index, once nothing more is to be embedded."""
        self._intake.free_lookup()
        del self._indexed

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
            self.replaced += replaced
            self._intake.forget_expected(rows)
            self.n_committed += len(rows)
            _log.info(
                "committed %d rows, %d in this run",
                len(rows),
                self.n_committed,
                extra={"n_rows": len(rows), "n_committed": self.n_committed},
            )
            self._on_progress(now=True)


class _StoredRows:
    """The rows of an index, as a source of vectors that were made before."""

    def __init__(self, index: IndexFolder) -> None:
        self._index = index

    def holder(self, key: AudioKey) -> str | None:
        return self._index.indexed_rows().holder(key)

    def rows(self, ids: Iterable[str]) -> Mapping[str, Row]:
        return self._index.rows(ids)
