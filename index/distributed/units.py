"""The unit of work: some rows of a corpus, embedded without a table, in any process anywhere.

``embed_rows`` is what every engine runs: it reads the audio files and returns finished rows. What
the index knows of a row travels with it, so that a worker says "unchanged" without the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from earful.index.corpus import CorpusRow, Exemplar
from earful.index.intake import (
    BuildOptions,
    DoubtfulAudio,
    Intake,
    Rejected,
    classes_of,
    reject_row,
)
from earful.index.storage import AudioKey, IndexedRow, Row, table_schema, to_arrow
from earful.values import repr_of, short_repr

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.model import Embedder, Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A row of a corpus on its way to a worker; small, and it can be pickled.

    Attributes:
        number: Its place in the corpus, from 0.
        row: The row.
        known: What the index knows of its id; ``None`` where that is new.
        stored: The row that the index holds, where only its fields have changed: equal audio keeps
            its vector.
    """

    number: int
    row: CorpusRow
    known: IndexedRow | None = None
    stored: Row | None = None

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Rows that one worker takes at once.

    Attributes:
        name: The first and the last place of them, and how many: equal for equal rows.
        rows: In the corpus's order; at least one.
    """

    name: str
    rows: tuple[UnitRow, ...]

    @classmethod
    def of(cls, rows: Sequence[UnitRow]) -> Self:
        """Make a unit of at least one row."""
        first, last = rows[0].number, rows[-1].number
        return cls(name=f"{first:012}-{last:012}-{len(rows)}", rows=tuple(rows))

    def halves(self) -> tuple[Self, ...]:
        """Return two units of its rows, or itself where there is only one.

        >>> row = CorpusRow(exemplar=Exemplar(id="a", audio="a.wav"), where="a.csv:2")
        >>> unit = Unit.of([UnitRow(number=number, row=row) for number in range(3)])
        >>> [half.name[-1] for half in unit.halves()]
        ['1', '2']
        """
        if len(self.rows) == 1:
            return (self,)
        middle = len(self.rows) // 2
        return type(self).of(self.rows[:middle]), type(self).of(self.rows[middle:])

    def __repr__(self) -> str:
        return repr_of(self, name=self.name, n=len(self.rows))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitResult:
    """What became of the rows of a unit: each number is in one of the three.

    Attributes:
        unit: Name of the unit.
        batch: Finished rows with their digests: an Arrow batch of the columns of an index's table,
            with ``root`` 0.
        numbers: Place in the corpus of each row of the batch.
        unchanged: Places of rows that the index holds unchanged.
        rejected: Rows that cannot be used, by their places.
        n_reused: Rows of the batch with a vector that was made earlier.
        audio_s: Length of the audio embedded, in seconds.
        doubtful: Rows of which an encoder hears little.
        beyond: Counts of stretches beyond their files, as ``TimesBeyond`` has them.
    """

    unit: str
    batch: pa.RecordBatch
    numbers: tuple[int, ...]
    unchanged: tuple[int, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    n_reused: int = 0
    audio_s: float = 0.0
    doubtful: tuple[DoubtfulAudio, ...] = ()
    beyond: tuple[int, ...] = (0, 0, 0, 0, 0)

    def __repr__(self) -> str:
        counts = (len(self.numbers), len(self.unchanged), len(self.rejected))
        names = ("accepted", "unchanged", "rejected")
        return repr_of(self, unit=self.unit, **dict(zip(names, counts, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitHome:
    """Where the audio of units lies, as a worker sees it.

    Attributes:
        root: Folder that every ``exemplar.audio`` is relative to.
        kind: As of the corpus.
    """

    root: Path
    kind: str = ""

    def path(self, exemplar: Exemplar) -> Path:
        """Return where an exemplar's audio file lies."""
        return self.root / exemplar.audio


def embed_rows(
    rows: Unit | Sequence[UnitRow],
    embedder: Embedder,
    *,
    root: str | os.PathLike[str],
    kind: str = "",
    n_classes: int | None = None,
    options: BuildOptions = BuildOptions(),
) -> UnitResult:
    """Read, decode and embed rows as a build does; nothing is written.

    A fault of a recording rejects its row and nothing else; it is decoded in a process of its own.
    Rows of equal audio within the unit are embedded once.

    Args:
        rows: At least one, in the corpus's order.
        embedder: Of the index.
        root: Folder that the audio of the rows is relative to, resolved.
        kind: As of the corpus; ``"file"`` for a recording by itself.
        n_classes: Class scores of a row; ``None`` for what the embedder gives.
        options: Batches, threads and limits; when to commit does not matter here.

    Returns:
        The rows in the corpus's order; whatever the options, they are the same.
    """
    unit = rows if isinstance(rows, Unit) else Unit.of(rows)
    known = {row.row.exemplar.id: row.known for row in unit.rows if row.known is not None}
    intake = Intake(
        UnitHome(root=Path(root), kind=kind),
        embedder,
        n_classes=(n := classes_of(embedder) if n_classes is None else n_classes),
        options=options,
        indexed=known,
        source=_TravelledRows(unit.rows),
        keep_unchanged=True,
    )
    try:
        for _ in intake.process((row.number, row.row) for row in unit.rows):
            pass
        intake.finish_waiting()
    except BaseException:
        intake.abandon()
        raise
    finally:
        intake.close()
    numbered = intake.take_out()
    return UnitResult(
        unit=unit.name,
        batch=_to_batch([row for _, row in numbered], embedder.fingerprint, n),
        numbers=tuple(number for number, _ in numbered),
        unchanged=tuple(intake.unchanged),
        rejected=tuple(sorted(intake.rejected, key=lambda item: item.number)),
        n_reused=intake.n_reused,
        audio_s=intake.audio_s,
        doubtful=intake.doubts.doubtful,
        beyond=intake.beyond.counts,
    )


def reject_rows(
    unit: Unit, error: str, fingerprint: Fingerprint, *, home: UnitHome, n_classes: int = 0
) -> UnitResult:
    """Reject the rows of a unit that no worker could finish.

    Args:
        unit: Mostly of one row, after it was halved again and again.
        error: What became of its workers.
        fingerprint: The embedder of the index.
        home: Where the audio lies.
        n_classes: Class scores of a row of the index; 0 for none.
    """
    return UnitResult(
        unit=unit.name,
        batch=_to_batch([], fingerprint, n_classes),
        numbers=(),
        rejected=tuple(reject_row(home, row.number, row.row, error) for row in unit.rows),
    )


class _TravelledRows:
    """The stored rows that came along with a unit, as a source of vectors made before."""

    def __init__(self, rows: Iterable[UnitRow]) -> None:
        self._rows = {row.stored.exemplar.id: row.stored for row in rows if row.stored is not None}
        self._ids = {row.audio_key: id_ for id_, row in self._rows.items()}

    def holder(self, key: AudioKey) -> str | None:
        return self._ids.get(key)

    def rows(self, ids: Iterable[str]) -> Mapping[str, Row]:
        return {id_: self._rows[id_] for id_ in ids if id_ in self._rows}


def _to_batch(rows: Sequence[Row], fingerprint: Fingerprint, n_classes: int) -> pa.RecordBatch:
    import pyarrow as pa

    not_labels = any(row.exemplar.not_labels for row in rows)
    if not rows:
        schema = table_schema(fingerprint, n_classes)
        return pa.RecordBatch.from_pylist([], schema=schema)
    return to_arrow(rows, [0] * len(rows), fingerprint, n_classes, not_labels=not_labels)
