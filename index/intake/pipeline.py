"""The intake: rows read, decoded in threads and embedded in batches, ahead of whoever commits.

A build on this machine and a worker on another one take rows in by the same code, so that both
make the same rows, digests and rejections of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from earful.index.corpus import CorpusRow, TimesBeyond
from earful.index.intake.decode_queue import (
    Decoded,
    Inspected,
    Rejected,
    RowDecoder,
    RowHome,
    Unchanged,
    in_order,
)
from earful.index.intake.doubtful import DoubtCounter
from earful.index.intake.embedding import embed_batch, vector_fault
from earful.index.intake.options import BuildOptions
from earful.index.storage import AudioKey, IndexedRow, Row
from earful.model.audio import hearing_faults, stop_decoding

if TYPE_CHECKING:
    from earful.model import Embedder


class RowSource(Protocol):
    """Rows that have their vectors already."""

    def holder(self, key: AudioKey) -> str | None:
        """Return the id of a row that holds the vector of some audio, or ``None``."""

    def rows(self, ids: Iterable[str]) -> Mapping[str, Row]:
        """Return rows by id; those that are not there or are damaged are left out."""


class Intake:
    """Takes in the rows of one run, and holds those that are embedded until they are taken out.

    Attributes:
        n_accepted: Rows with a vector, taken out or not.
        n_reused: Rows of those with a vector made earlier for the same audio.
        unchanged: Places of the rows that the index holds unchanged; empty unless kept.
        n_unchanged: How many they are.
        rejected: Rows that cannot be used, in the order of their coming.
        audio_s: Length of the audio embedded, in seconds.
        doubts: Rows of which an encoder hears little.
    """

    def __init__(
        self,
        home: RowHome,
        embedder: Embedder,
        *,
        n_classes: int,
        options: BuildOptions,
        indexed: Mapping[str, IndexedRow],
        source: RowSource,
        keep_unchanged: bool = False,
    ) -> None:
        """Prepare for one run.

        Args:
            home: Where the audio of the rows lies.
            embedder: With class scores if ``n_classes`` is above 0.
            n_classes: Class scores of a row; 0 for none.
            options: Batches, threads and limits.
            indexed: What is known of rows, by id.
            source: Rows with vectors that are taken again for equal audio.
            keep_unchanged: Whether the places of unchanged rows are kept, and not only counted.
        """
        self._home = home
        self._embedder = embedder
        self._n_classes = n_classes
        self._options = options
        self._source = source
        self._keep_unchanged = keep_unchanged
        self.n_accepted = self.n_reused = self.n_unchanged = 0
        self.unchanged: list[int] = []
        self.rejected: list[Rejected] = []
        self.audio_s = 0.0
        self.doubts = DoubtCounter()
        self._batch: list[Decoded] = []
        self._renewals: list[_Renewal] = []
        self._rows: list[tuple[int, Row]] = []
        self._decoder = RowDecoder(
            home,
            indexed,
            sample_rate=embedder.fingerprint.sample_rate,
            limits=options.limits,
        )
        # Audio that will get its vector in this run; the source knows what already has one.
        self._expected: set[AudioKey] = set()
        self._pool = ThreadPoolExecutor(options.n_threads, thread_name_prefix="earful-decode")

    @property
    def beyond(self) -> TimesBeyond:
        """Counts of stretches that lie beyond their files."""
        return self._decoder.beyond

    def free_lookup(self) -> None:
        """Free what is known of the index; nothing can be taken in afterwards."""
        del self._decoder

    @property
    def n_waiting(self) -> int:
        """Rows that were taken in and not out."""
        return len(self._rows) + len(self._batch) + len(self._renewals)

    # --- threads ---------------------------------------------------------------------------

    def abandon(self) -> None:
        """Stop decoding: nobody needs the rest, and who pressed Ctrl-C does not want to wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        stop_decoding()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- rows in, one after the other ------------------------------------------------------

    def process(self, rows: Iterable[tuple[int, CorpusRow]]) -> Iterator[None]:
        """Take rows in, in their order, and yield after each.

        Args:
            rows: Each with its place in the corpus, from 0.
        """
        n_threads = self._options.n_threads
        inspected = in_order(self._pool, self._decoder.inspect, rows, n_most=4 * n_threads)
        outcomes = in_order(
            self._pool,
            self._decode_if_needed,
            map(self._route, inspected),
            n_most=2 * n_threads + self._options.batch_clips,
            cost=lambda item: item.decoded_bytes if isinstance(item, Inspected) else 0,
            budget=self._options.ahead_bytes,
        )
        for outcome in outcomes:
            self._take(outcome)
            yield

    def _route(
        self, outcome: Unchanged | Inspected | Rejected
    ) -> Unchanged | Inspected | Rejected | _Renewal:
        """Turn a row into a renewal if another row has or will have the vector of its audio."""
        if not isinstance(outcome, Inspected):
            return outcome
        key = outcome.audio_key
        if key in self._expected or self._source.holder(key) is not None:
            return _Renewal(inspected=outcome)
        self._expected.add(key)
        return outcome

    def _decode_if_needed(self, outcome: Unchanged | Inspected | Rejected | _Renewal) -> _Outcome:
        return self._decoder.decode(outcome) if isinstance(outcome, Inspected) else outcome

    def _take(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Unchanged):
            self.n_unchanged += 1
            if self._keep_unchanged:
                self.unchanged.append(outcome.number)
        elif isinstance(outcome, Rejected):
            self.rejected.append(outcome)
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
        embedded = embed_batch(self._embedder, clips, self._n_classes)
        for decoded, made in zip(self._batch, embedded, strict=True):
            inspected, clip = decoded.inspected, decoded.clip
            if made.fault:
                self.rejected.append(self._decoder.reject(inspected, made.fault))
                continue
            self.n_accepted, self.audio_s = self.n_accepted + 1, self.audio_s + clip.duration_s
            exemplar, faults = inspected.row.exemplar, hearing_faults(clip, self._embedder)
            self.doubts.add(exemplar, inspected.audio_key, faults)
            row = Row(
                exemplar=exemplar,
                root=self._home.root,
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
        holders = {key: id_ for key in keys - fresh.keys() if (id_ := self._source.holder(key))}
        stored = self._source.rows(holders.values())
        for renewal in renewals:
            inspected, key = renewal.inspected, renewal.inspected.audio_key
            source = fresh.get(key) or stored.get(holders.get(key, ""))
            if source is None or source.audio_key != key or vector_fault(source.vector):
                # Its holder was rejected, got other audio in this very run, or is damaged.
                self._take(self._decoder.decode(inspected))
                continue
            self.n_accepted, self.n_reused = self.n_accepted + 1, self.n_reused + 1
            self.doubts.add(inspected.row.exemplar, key)
            row = replace(source, exemplar=inspected.row.exemplar, root=self._home.root)
            self._rows.append((inspected.number, row))
        self._embed()

    # --- rows out --------------------------------------------------------------------------

    def finish_waiting(self) -> None:
        """Embed what waits for its batch, and give rows of equal audio their vectors."""
        self._embed()
        self._renew()

    def take_out(self) -> list[tuple[int, Row]]:
        """Take out the rows that are embedded, each with its place, in the corpus's order."""
        # Clear the list first: rows whose commit is interrupted must not be written twice.
        numbered, self._rows = self._rows, []
        return sorted(numbered, key=lambda pair: pair[0])

    def forget_expected(self, rows: Iterable[Row]) -> None:
        """Leave it to the source to know rows that were committed."""
        self._expected.difference_update(row.audio_key for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    """A row to write with the vector that its audio has, or will have, in another row."""

    inspected: Inspected


_Outcome = Unchanged | Decoded | Rejected | _Renewal
