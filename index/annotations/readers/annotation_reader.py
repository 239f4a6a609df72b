"""AnnotationReader: the annotations of one file, whatever its columns are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from earful.errors import CorpusError
from earful.index.annotations.annotation import Annotation, Polarity
from earful.index.corpus import (
    KNOWN_COLUMNS,
    NUMBER_COLUMNS,
    FieldReader,
    OncePerSelection,
    Record,
    RecordingsBeside,
    as_text,
    is_of_kaleidoscope,
    listed_labels,
    path_of_kaleidoscope,
    polarity_column,
    read_polarity,
    read_rows,
    recording_stem,
    to_nfc,
)
from earful.wording import counted, listed, quoted

# Where a table has none of the usual columns of labels: guesses of programs.
_GUESSED_LABELS: Final = ("common_name", "scientific_name", "top1match", "auto id")
# BirdNET writes a row of its own for a recording in which it found nothing.
_NOTHING_FOUND: Final = "nocall"
_WINDOWS_PATH = re.compile(r"[a-zA-Z]:\\|\\\\")
_SEVERAL = "labels"


class AnnotationReader:
    """Reads the annotations of one file.

    Args:
        path: The file.
        kind: What it holds, as ``content_kind`` says.
        label_column: Column that names the sound, or a tier of a TextGrid; ``None`` for the usual.
        columns: Column of a field, where it has another name than usual.
        beside: Finds the recording of a file that names none.

    Attributes:
        unreviewed: Places of the rows of which nobody has said anything, where others were
            reviewed; after ``read``.
    """

    unreviewed: tuple[str, ...] = ()

    def __init__(
        self,
        path: Path,
        kind: str,
        label_column: str | None,
        columns: Mapping[str, str],
        beside: RecordingsBeside,
    ) -> None:
        self._path, self._kind, self._beside = path, kind, beside
        self._tier = label_column if kind == "textgrid" else None
        own = {field: name for field, name in columns.items() if field in NUMBER_COLUMNS}
        given = {field: name for field, name in columns.items() if field not in NUMBER_COLUMNS}
        if label_column is not None and self._tier is None:
            given["labels"] = label_column
        self._given_numbers = own
        self._known = KNOWN_COLUMNS | {name.lower() for name in given.values()}
        self._fields = FieldReader(columns=given, label_separator="")
        self._selections = OncePerSelection()
        self._names: tuple[str, ...] = ()
        self._columns: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._polarity = ""
        self._recording = ""
        self._tiers: dict[str, None] = {}
        self._names_one = False
        self._n_unlabelled = self._n_nothing = self._n_unreviewed = 0
        self._notes: list[str] = []

    def read(self) -> list[Annotation]:
        """Return the annotations, in the order of the rows.

        Rows of a table that was reviewed in part are unknown where nobody has said anything.

        Raises:
            CorpusError: A row is broken; the message begins with its place.
        """
        found, unreviewed = list[Annotation](), set[int]()
        rows = read_rows(self._path, self._known, self._check, kind=self._kind, notes=self._notes)
        is_reviewed = False
        with closing(rows):
            for where, record in rows:
                if self._kind in ("txt", "csv") and not any(map(str.strip, _texts(record))):
                    continue  # a spreadsheet's empty row
                self._look_at(record, where)
                if self._tier is not None and record["tier"] != self._tier:
                    self._tiers[record["tier"]] = None
                    continue
                said = ""
                if self._polarity:
                    said = read_polarity(record.get(self._polarity), self._polarity, where)
                is_reviewed = is_reviewed or said != ""
                for annotation in self._annotations(record, said, where):
                    if self._polarity and not said:
                        unreviewed.add(len(found))
                    found.append(annotation)
        if self._tier is not None and not found and self._tiers:
            raise CorpusError(
                f"{self._path}: has no tier {quoted(self._tier)} with labels; found "
                f"{listed(self._tiers)}"
            )
        if is_reviewed and unreviewed:
            self._n_unreviewed = len(unreviewed)
            self.unreviewed = tuple(dict.fromkeys(found[at].where for at in sorted(unreviewed)))
            for at in unreviewed:
                found[at] = replace(found[at], polarity="unknown")
        return found

    @property
    def names_recording(self) -> bool:
        """Whether the rows name a recording, or one of the file's name lies beside it."""
        return self._names_one or not self._recording

    def notes(self) -> list[str]:
        """Return what was passed over, a sentence each."""
        notes = list(self._notes)
        if self._n_unlabelled:
            what = ("row without a label is", "rows without a label are")
            notes.append(f"{self._path}: {counted(self._n_unlabelled, *what)} passed over")
        if self._n_nothing:
            notes.append(
                f"{self._path}: {counted(self._n_nothing, 'row is', 'rows are')} passed over that "
                f"say{'s' if self._n_nothing == 1 else ''} {_NOTHING_FOUND}, BirdNET's word for "
                "nothing found"
            )
        if self._n_unreviewed:
            one, several = ("event was", "events were")
            why = "not reviewed, as others were,"
            if self._polarity.lower() != "review":
                one, several = ("row says", "rows say")
                why = f"nothing in {self._polarity}, as others do,"
            notes.append(
                f"{self._path}: {counted(self._n_unreviewed, one, several)} {why} and "
                f"count{'s' if self._n_unreviewed == 1 else ''} as unknown"
            )
        return notes

    def _check(self, names: object, where: str) -> None:
        """Accept any header: what is missing is said of the first row."""

    def _look_at(self, record: Record, where: str) -> None:
        """Find the columns of a row, unless they are those of the row before."""
        names = tuple(record)
        if names == self._names:
            return
        folded = {name.lower(): name for name in reversed(names)}
        columns = dict(self._fields.find_columns(record, where, names_audio=False))
        if "audio" not in columns and "recording" in folded:
            columns["audio"] = folded["recording"]
        if "labels" not in columns and not self._fields.leaves_out_labels:
            for name in reversed([name for name in _GUESSED_LABELS if name in folded]):
                columns["labels"] = folded[name]
        if "labels" not in columns:
            raise CorpusError(
                f"{where}: has no column that names the sound; found {listed(names)}, expected one "
                "such as label, species, annotation, or pass --column labels=COLUMN"
            )
        numbers = {}
        for field, aliases in NUMBER_COLUMNS.items():
            wanted = self._given_numbers.get(field)
            if wanted and wanted not in record:
                raise CorpusError(
                    f"{where}: has no column {wanted!r} for {field}; found {listed(names)}"
                )
            present = [folded[name] for name in aliases if name in folded]
            if wanted or (wanted is None and present):
                numbers[field] = wanted or present[0]
        self._names, self._columns, self._numbers = names, columns, numbers
        polarity = polarity_column(folded)
        self._polarity = polarity and folded[polarity]
        if self._polarity == columns["labels"]:
            self._polarity = ""

    def _annotations(self, record: Record, said: str, where: str) -> Iterator[Annotation]:
        """Yield the annotations of a row that says something of its sound: one for each label."""
        if self._selections.is_further_view(record, self._columns):
            return
        labels = self._labels(record, where)
        if not labels:
            self._n_unlabelled += 1
            return
        if labels == [_NOTHING_FOUND] and "species code" in (name.lower() for name in record):
            self._n_nothing += 1
            return
        start_s, end_s = self._fields.times(record, self._columns, where)
        if end_s is None:
            raise CorpusError(
                f"{where}: has no end; expected a column such as end_s or duration_s, or pass "
                "--column end_s=COLUMN"
            )
        numbers = {
            field: self._fields.number(record, column, where, field)
            for field, column in self._numbers.items()
        }
        channel = numbers.pop("channel", None)
        recording = self._recording_of(record, where)
        for label in labels:
            yield Annotation(
                recording=recording,
                start_s=start_s,
                end_s=end_s,
                label=label,
                polarity=cast("Polarity", said or "positive"),
                channel=int(channel) if channel is not None and channel >= 1 else None,
                where=where,
                **numbers,
            )

    def _labels(self, record: Record, where: str) -> list[str]:
        """Return the labels of a row; several only where a column is named so."""
        column = self._columns["labels"]
        if column.lower() == _SEVERAL and isinstance(record[column], str):
            text = record[column]
            found = listed_labels(text)
            labels = text.split("|") if found is None else found
        elif isinstance(record[column], list):
            labels = list(self._fields.labels(record, self._columns, where))
        else:
            labels = [as_text(record[column], where, column)]
        return [to_nfc(label.strip()) for label in labels if label.strip()]

    def _recording_of(self, record: Record, where: str) -> str:
        """Return the recording that a row names; else that of the file's name."""
        column = self._columns.get("audio")
        named = "" if column is None else as_text(record[column], where, column).strip()
        if named and is_of_kaleidoscope(column):
            named = path_of_kaleidoscope(record, named, self._path.parent)
        if _WINDOWS_PATH.match(named):
            named = named.replace("\\", "/")
        self._names_one = self._names_one or bool(named)
        if not named and not self._recording:
            found = self._beside.find(self._path)
            self._names_one = self._names_one or found is not None
            self._recording = recording_stem(self._path) if found is None else str(found)
        return named or self._recording


def _texts(record: Record) -> Iterator[str]:
    return (value if isinstance(value, str) else "x" for value in record.values())
