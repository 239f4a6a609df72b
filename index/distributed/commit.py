"""The driver: hands units out, takes results in any order, and commits them.

Only the driver writes the index, under the writer lock, and the table is the only checkpoint: what
is committed is known to the next run, and nothing else has to be remembered. Each place of the
corpus is answered once; what is reported a second time is dropped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earful.errors import IndexFolderError
from earful.index.corpus import CorpusRow, Rejection, TimesBeyond
from earful.index.distributed.batches import add_fitted, n_classes_in, require_whole
from earful.index.distributed.staging import Staging
from earful.index.distributed.units import Unit, UnitResult, UnitRow
from earful.index.intake import (
    BuildOptions,
    DoubtCounter,
    DoubtfulAudio,
    Rejected,
    Replaced,
    find_replaced,
)
from earful.index.storage import (
    AudioKey,
    IndexFolder,
    Row,
    exemplar_digest,
    whole_rows,
)
from earful.wording import counted, quoted

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)

# Rows whose stored vectors are read at once, to travel with their units.
_ROWS_AT_ONCE: Final = 4096


class UnitDriver:
    """Commits the results of units to one index; the caller holds its writer lock.

    Attributes:
        n_done: Places of the corpus that are answered.
        n_accepted: Rows with a vector.
        n_committed: Rows of those that a kill can no longer lose.
        n_unchanged: Rows that the index holds unchanged.
        n_reused: Rows with a vector that was made earlier.
        audio_s: Length of the audio embedded, in seconds.
        replaced: Rows that took the place of one with their id.
        beyond: Counts of stretches that lie beyond their files.
    """

    def __init__(
        self,
        index: IndexFolder,
        *,
        root: Path,
        n_rows: int,
        options: BuildOptions = BuildOptions(),
        staging: Staging | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """Prepare for one run.

        Args:
            index: The index.
            root: The corpus root, resolved.
            n_rows: Places of the corpus, answered or not: its rows, or the highest number and one.
            options: How often to commit; few large commits make few files.
            staging: Where records of this run lie, if workers stage them.
            on_commit: Called after each commit.
        """
        self._index = index
        self._root = root
        self._options = options
        self._staging = staging
        self._on_commit = on_commit
        self._indexed = index.indexed_rows()
        # Places that were handed out and are not answered are 1, answered ones 2.
        self._places = bytearray(n_rows)
        self._n_out = 0
        self._batches: list[pa.RecordBatch] = []
        self._n_waiting = 0
        self._staged: list[Path] = []
        self._last_commit = time.monotonic()
        self._rejected: list[Rejected] = []
        self._doubts = DoubtCounter()
        self.n_done = self.n_accepted = self.n_committed = 0
        self.n_unchanged = self.n_reused = 0
        self.audio_s = 0.0
        self.replaced: list[Replaced] = []
        self.beyond = TimesBeyond()

    @property
    def n_rejected(self) -> int:
        """Rows that cannot be used."""
        return len(self._rejected)

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Rows that cannot be used, in the corpus's order."""
        return tuple(sorted(self._rejected, key=lambda item: item.number))

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The same, as an index lists them."""
        return tuple(item.rejection for item in self.rejected)

    @property
    def doubtful(self) -> tuple[DoubtfulAudio, ...]:
        """Rows of which an encoder hears little, by what is wrong."""
        return self._doubts.doubtful

    # --- units out -------------------------------------------------------------------------

    def units(self, rows: Iterable[tuple[int, CorpusRow]], *, n_rows: int) -> Iterator[Unit]:
        """Cut rows into units, with what the index knows of each.

        Args:
            rows: Each with its place in the corpus, from 0; taken as units are asked for.
            n_rows: Most rows of a unit.

        Raises:
            IndexFolderError: An id belongs to a row from another corpus root.
        """
        unit: list[UnitRow] = []
        for row in self._known_rows(rows):
            if self._places[row.number]:
                raise ValueError(f"row {row.number} of the corpus was handed out before")
            self._places[row.number] = 1
            self._n_out += 1
            unit.append(row)
            if len(unit) >= n_rows:
                yield Unit.of(unit)
                unit = []
        if unit:
            yield Unit.of(unit)

    def _known_rows(self, rows: Iterable[tuple[int, CorpusRow]]) -> Iterator[UnitRow]:
        found: list[tuple[int, CorpusRow]] = []
        for numbered in rows:
            found.append(numbered)
            if len(found) >= _ROWS_AT_ONCE:
                yield from self._with_known(found)
                found = []
        yield from self._with_known(found)

    def _with_known(self, rows: Sequence[tuple[int, CorpusRow]]) -> Iterator[UnitRow]:
        known = {}
        for number, row in rows:
            if (indexed := self._indexed.get(row.exemplar.id)) is None:
                continue
            if indexed.root != self._root:
                raise IndexFolderError(
                    f"{self._index.path}: id {quoted(row.exemplar.id)} belongs to a row from "
                    f"{indexed.root}, and now comes from {self._root}; give it another id, or "
                    "remove the old row first"
                )
            known[number] = indexed
        changed = {
            row.exemplar.id
            for number, row in rows
            if number in known and known[number].exemplar_sha256 != exemplar_digest(row.exemplar)
        }
        stored = self._index.rows(changed) if changed else {}
        for number, row in rows:
            yield UnitRow(
                number=number,
                row=row,
                known=known.get(number),
                stored=stored.get(row.exemplar.id) if number in known else None,
            )

    # --- results in ------------------------------------------------------------------------

    def take(self, result: UnitResult) -> bool:
        """Take a result, of any unit, in any order; commit if it is time.

        Args:
            result: Of a unit of this run, or of a half of one.

        Returns:
            Whether it said something new: a result that comes a second time says nothing.

        Raises:
            IndexFolderError: A row does not match its own digests, or is not of this index; or
                the index cannot be written. What was committed is kept.
        """
        self._require_fit(result)
        require_whole(result.batch, where=f"unit {result.unit}")
        return self._take(result)

    def _take(self, result: UnitResult) -> bool:
        """Take a result that is of this index and matches its own digests."""
        is_new = [self._answer(number) for number in result.numbers]
        if not all(is_new):
            batch = result.batch.take(_indices([at for at, new in enumerate(is_new) if new]))
        else:
            batch = result.batch
        unchanged = sum(self._answer(number) for number in result.unchanged)
        rejected = [item for item in result.rejected if self._answer(item.number)]
        n_new = batch.num_rows + unchanged + len(rejected)
        if not n_new:
            _log.info("unit %s came twice", result.unit, extra={"unit": result.unit})
            return False
        self.n_done += n_new
        self.n_accepted += batch.num_rows
        self.n_unchanged += unchanged
        self._rejected += rejected
        self.n_reused += min(result.n_reused, batch.num_rows)
        self.audio_s += result.audio_s
        self.beyond.add_counts(result.beyond)
        self._doubts.add_counts(result.doubtful)
        if batch.num_rows:
            self._batches.append(batch)
            self._n_waiting += batch.num_rows
        self._commit_if_due()
        return True

    def take_record(self, record: Path) -> bool:
        """Take the result of a unit from its staged record, which is removed once committed.

        Raises:
            IndexFolderError: As ``take``; or the record is damaged.
        """
        if self._staging is None:
            raise ValueError("this run has no staging")
        result = self._staging.read(record, self._index.fingerprint, self._index.n_classes)
        # Before it is taken, as that may commit it.
        self._staged.append(record)
        return self._take(result)

    def take_up(self) -> int:
        """Commit the rows that a dead driver's workers staged and that are not in the table yet.

        Their places are not answered by that: the rows are looked at again like all that the index
        holds, which decodes nothing. What was staged of other rows is left out, as it may have
        changed since.

        Returns:
            How many rows were committed.

        Raises:
            IndexFolderError: As ``take_record``.
        """
        if self._staging is None:
            return 0
        n_before = self.n_committed
        taken: set[str] = set()
        for record in self._staging.records():
            result = self._staging.read(record, self._index.fingerprint, self._index.n_classes)
            self._staged.append(record)
            if (batch := self._not_stored(result.batch, taken)) is not None:
                self._batches.append(batch)
                self._n_waiting += batch.num_rows
                taken.update(batch.column("id").to_pylist())
            if self._n_waiting >= self._options.commit_rows:
                self.commit()
        self.commit()
        self._indexed = self._index.indexed_rows()
        n_taken, self.n_committed = self.n_committed - n_before, n_before
        return n_taken

    def commit(self) -> None:
        """Commit what was taken, in one commit.

        Raises:
            IndexFolderError: The index cannot be written; what was committed before is kept.
        """
        self._last_commit = time.monotonic()
        # Clear the list first: rows whose commit is interrupted must not be written twice.
        batches, self._batches, self._n_waiting = self._batches, [], 0
        if batches:
            root = self._index.number_root(self._root)
            known = self._known_among(batches)
            replaced = find_replaced(self._index, self._indexed, known) if known else []
            add_fitted(self._index, batches, root=root, replaces_any=bool(known))
            self.replaced += replaced
            n_rows = sum(batch.num_rows for batch in batches)
            self.n_committed += n_rows
            _log.info(
                "committed %d rows, %d in this run",
                n_rows,
                self.n_committed,
                extra={"n_rows": n_rows, "n_committed": self.n_committed},
            )
        records, self._staged = self._staged, []
        for record in records:
            if self._staging is not None:
                self._staging.remove(record)
        if self._on_commit is not None:
            self._on_commit()

    def finish(self) -> None:
        """Commit the rest, and require that every row that was handed out is answered.

        Raises:
            IndexFolderError: A row is not; what is committed is kept.
        """
        self.commit()
        if (n_open := self._n_out - self.n_done) > 0:
            first = self._places.index(1)
            raise IndexFolderError(
                f"{self._index.path}: {counted(n_open, 'row')} of {self._n_out:,} were neither "
                f"accepted nor rejected, the first is row {first + 1} of the corpus; expected an "
                "answer to each. What was committed is kept: run the same command again"
            )
        if self._staging is not None:
            self._staging.clear()

    def free_lookup(self) -> None:
        """Free what is known of the index; no unit can be handed out or committed afterwards."""
        del self._indexed

    # --- private ---------------------------------------------------------------------------

    def _answer(self, number: int) -> bool:
        """Note that a place is answered; tell whether it was open."""
        if not (number < len(self._places) and self._places[number]):
            raise IndexFolderError(
                f"{self._index.path}: a result names row {number} of the corpus, which was not "
                "handed out; expected one of this run. Run the same command again"
            )
        is_open = self._places[number] == 1
        self._places[number] = 2
        return is_open

    def _require_fit(self, result: UnitResult) -> None:
        dim = result.batch.schema.field("vector").type.list_size
        found, wanted = (
            (dim, n_classes_in(result.batch)),
            (self._index.fingerprint.dim, self._index.n_classes),
        )
        if found != wanted:
            raise IndexFolderError(
                f"{self._index.path}: unit {result.unit} has rows of {found[0]} numbers and "
                f"{found[1]} class scores, expected {wanted[0]} and {wanted[1]}; give every worker "
                "the embedder of the index"
            )

    def _commit_if_due(self) -> None:
        waited_s = time.monotonic() - self._last_commit
        is_due = self._n_waiting >= self._options.commit_rows or waited_s >= self._options.commit_s
        if self._n_waiting and is_due:
            self.commit()

    def _not_stored(self, batch: pa.RecordBatch, taken: set[str]) -> pa.RecordBatch | None:
        """Return the rows of a batch that the table does not hold as they are."""
        names = ("id", "file_sha256", "start_s", "end_s", "exemplar_sha256")
        columns = (batch.column(name).to_pylist() for name in names)
        wanted = []
        for at, (id_, *audio, exemplar) in enumerate(zip(*columns, strict=True)):
            known = self._indexed.get(id_)
            made = (AudioKey(*audio), exemplar)
            is_stored = known is not None and (known.audio_key, known.exemplar_sha256) == made
            if not (is_stored or id_ in taken):
                wanted.append(at)
        return batch.take(_indices(wanted)) if wanted else None

    def _known_among(self, batches: Sequence[pa.RecordBatch]) -> list[Row]:
        """Return the rows whose ids the table holds."""
        import pyarrow as pa

        known: list[Row] = []
        for batch in batches:
            ids = batch.column("id").to_pylist()
            if own := [at for at, id_ in enumerate(ids) if id_ in self._indexed]:
                table = pa.Table.from_batches([batch.take(_indices(own))])
                known += whole_rows(table, [self._root], self._index.fingerprint.dim)
        return known


def _indices(rows: Sequence[int]) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows, pa.int64())
