"""TableRows: the rows of a corpus's tables as exemplars, and what of them is passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from earful.errors import CorpusError
from earful.index.corpus.exemplar import CorpusRow
from earful.index.corpus.exemplar_reader import ExemplarReader
from earful.index.corpus.folders import recording_beside
from earful.index.corpus.stretches import OncePerSelection
from earful.index.corpus.tables import content_kind, read_rows, table_kind
from earful.index.corpus.tracks import (
    RecordingsBeside,
    TrackFolder,
    WithoutSound,
    annotation_format,
)


class TableRows:
    """Reads the tables of one corpus, and counts what each gives.

    Args:
        reader: Makes exemplars of rows.
        known: Names of columns, in lower case, by which a header is told from other text.
        given_columns: Column of a field, where it has another name than usual.
        tracks: Where the tables are annotations beside recordings.

    Attributes:
        columns: Column of each field, of the last row that was read; ``None`` before.
        other_columns: The other columns of that row.
        n_rows: Exemplars by table, since ``restart``.
        n_views: Rows of a further view of a selection, since ``restart``.
    """

    def __init__(
        self,
        reader: ExemplarReader,
        known: Collection[str],
        given_columns: Mapping[str, str],
        tracks: TrackFolder | None,
    ) -> None:
        self._reader, self._known, self._tracks = reader, known, tracks
        self._given_columns = {field: name for field, name in given_columns.items() if name}
        self._beside = RecordingsBeside()
        self.columns: Mapping[str, str] | None = None
        self.other_columns: tuple[str, ...] = ()
        self.restart()

    def restart(self) -> None:
        """Count from nothing: the corpus is read again."""
        self.n_rows: Counter[Path] = Counter()
        self.n_views = 0
        self._without_sound = WithoutSound()
        self._notes: list[str] = []

    def apart(self) -> TableRows:
        """Return a reader of the same tables with counts of its own."""
        return TableRows(self._reader, self._known, self._given_columns, self._tracks)

    def notes(self) -> list[str]:
        """Return what was used and passed over since ``restart``, a sentence each."""
        used = self._tracks.usage_notes(self.n_rows) if self._tracks else []
        return [*used, *self._without_sound.notes(), *self._notes, *self._reader.notes()]

    def read(self, table: Path, folder: Path, split: str) -> Iterator[CorpusRow]:
        """Yield the rows of a table in order, before their rules are checked.

        Args:
            table: The file.
            folder: Folder that its paths are relative to.
            split: Split of a row that names none.

        Raises:
            CorpusError: The table or a row is broken; the message begins with the place.
        """
        n_rows = 0
        kind = table_kind(table) or content_kind(table)
        is_delimited = kind in ("csv", "tsv", "txt")
        recording = self._recording_beside(table, folder, kind)
        is_text = kind in ("txt", "textgrid") or recording != ""
        selections = OncePerSelection()
        check = partial(self._reader.named_columns, names_audio=not is_text)
        rows = read_rows(table, self._known, check, kind=kind, notes=self._notes)
        # Of a table with a column a class, one row gives up to three in a row.
        waiting: CorpusRow | None = None
        with closing(rows) as records:
            for where, record in records:
                if waiting is not None and waiting.where != where:
                    yield waiting
                    waiting = None
                n_rows += 1
                if is_delimited and len(record) > 1 and _is_blank(record):
                    continue  # a spreadsheet's empty row
                # JSON Lines may leave a key out of some rows, so each row is looked at.
                columns = self._reader.find_columns(record, where, names_audio=not is_text)
                self.columns = columns
                self.other_columns = tuple(x for x in record if x not in columns.values())
                if is_text and "audio" not in columns:
                    recording = recording or recording_beside(table, folder)
                if selections.is_further_view(record, columns):
                    continue
                if self._without_sound.holds(record, columns, where):
                    continue
                exemplar, fault = self._reader.read(
                    record,
                    columns,
                    folder=folder,
                    split=split,
                    where=where,
                    recording=recording,
                    is_negative=self._without_sound.is_negative,
                )
                if waiting is not None:
                    own = replace(waiting.exemplar, not_labels=exemplar.not_labels)
                    waiting = replace(waiting, exemplar=own)
                    continue
                self.n_rows[table] += 1
                row = CorpusRow(exemplar=exemplar, where=where, fault=fault)
                if isinstance(record.get("label"), list) and "polarity" in record:
                    waiting = row
                else:
                    yield row
        if waiting is not None:
            yield waiting
        self.n_views += selections.n_further
        if not n_rows and not self._tracks:
            raise CorpusError(f"{table}: has no rows; expected one per recording")

    def _recording_beside(self, table: Path, folder: Path, kind: str | None) -> str:
        """Return the recording beside a table of stretches that may name none; ``""`` if none.

        A text says itself that it has none; of other tables it is an error.
        """
        if not self._tracks and (kind not in ("csv", "tsv") or table.parent != folder):
            return ""
        if not annotation_format(table, self._given_columns):
            return ""
        found = self._beside.find(table)
        return "" if found is None else found.name


def _is_blank(record: Mapping[str, object]) -> bool:
    """Whether all cells are blank; a list of labels is not."""
    return not any(value.strip() if isinstance(value, str) else value for value in record.values())
