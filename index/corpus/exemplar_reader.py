"""Exemplars from table rows: the recording each is cut from, its texts, and what else is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from earful.errors import CorpusError, StoreError
from earful.index.corpus.columns import MAY_BE_MISSING, MovedPaths, looks_like_time
from earful.index.corpus.exemplar import Exemplar, default_id, to_nfc
from earful.index.corpus.fields import FieldReader, is_of_kaleidoscope, path_of_kaleidoscope
from earful.index.corpus.folders import require_inside
from earful.index.corpus.limits import MAX_PATH
from earful.index.corpus.tables import NestedCell, Record, as_text
from earful.object_stores import location_at, stored_path
from earful.system import relative_path
from earful.wording import listed, quoted

_RAVEN_PATH = "begin path"
# A scheme and a slash; one letter would be a drive of another system.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:|.*://", re.IGNORECASE | re.DOTALL)


class ExemplarReader(FieldReader):
    """Turns the rows of one corpus's tables into exemplars.

    Args:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        columns: As for ``FieldReader``, like the next three.
        label_separator: Separates several labels in one text cell.
        drop_missing: Whether labels that say that there is none are left out.
        advise_options: Whether messages may name options of commands.
        allow_outside: Whether audio may lie outside the root.
    """

    def __init__(
        self,
        *,
        root: Path,
        columns: Mapping[str, str],
        label_separator: str,
        drop_missing: bool = False,
        advise_options: bool = True,
        allow_outside: bool,
    ) -> None:
        super().__init__(
            columns=columns,
            label_separator=label_separator,
            drop_missing=drop_missing,
            advise_options=advise_options,
        )
        self._root = root
        self._unused_times: dict[str, None] = {}
        self._left_out: dict[str, None] = {}
        self._moved = MovedPaths(root)
        self._allow_outside = allow_outside

    @property
    def unused_times(self) -> tuple[str, ...]:
        """Columns of the rows so far that look like times and are not used."""
        return tuple(self._unused_times)

    def notes(self) -> list[str]:
        """Return what was found under another path, and which columns are not kept."""
        left_out = f"left out, as no text or number: {listed(self._left_out)}"
        return [*self._moved.notes(), *([left_out] if self._left_out else [])]

    def read(
        self,
        record: Record,
        columns: Mapping[str, str],
        *,
        folder: Path,
        split: str,
        where: str,
        recording: str = "",
        is_negative: bool = False,
    ) -> tuple[Exemplar, str]:
        """Make the exemplar of a row, and say why its audio cannot be used, or ``""``.

        Args:
            record: The row.
            columns: From ``find_columns``.
            folder: Folder that the row's paths are relative to.
            split: Split of a row that names none.
            where: The row's place, for messages.
            recording: Audio of a table without a column for it.
            is_negative: Whether the row says that its labels are not there.

        Raises:
            CorpusError: A cell breaks a rule; the message begins with the place.
        """

        def text(field: str) -> str:
            column = columns.get(field)
            found = "" if column is None else as_text(record[column], where, column).strip()
            return "" if field in MAY_BE_MISSING and self._means_nothing(found) else found

        column = columns.get("audio")
        if column is not None and isinstance(record[column], NestedCell | dict):
            raise CorpusError(
                f"{where}: {column} holds objects, such as recordings themselves; expected a path: "
                "write each recording to a file, and its path into the table"
            )
        named = recording if column is None else as_text(record[column], where, column)
        named = named if named.strip() else recording
        if is_of_kaleidoscope(column):
            named = path_of_kaleidoscope(record, named, folder)
        is_raven = (column or "").lower() == _RAVEN_PATH
        audio, fault = self._audio(named, folder, where, by_tail=is_raven)
        labels = self.labels(record, columns, where)
        not_labels = self.labels(record, columns, where, "not_labels")
        if is_negative:
            labels, not_labels = (), tuple(dict.fromkeys(labels + not_labels))
        start_s, end_s = self.times(record, columns, where)
        for name in self._perhaps_times:
            if looks_like_time(name, str(record[name])):
                self._unused_times[name] = None
        # Columns that hold no field are kept as text.
        used = set(columns.values())
        if is_negative:
            # They are about a sound that is not there.
            used -= {columns.get("answer"), columns.get("question")}
        meta = {}
        for name, value in record.items():
            if name not in used:
                try:
                    meta[str(name)] = as_text(_joined(value), where, str(name))
                except CorpusError:
                    self._left_out[str(name)] = None
        try:
            exemplar = Exemplar(
                id=to_nfc(text("id")) or default_id(audio, start_s, end_s),
                audio=audio,
                start_s=start_s,
                end_s=end_s,
                question="" if is_negative else text("question"),
                answer="" if is_negative else text("answer"),
                labels=labels,
                not_labels=not_labels,
                task=text("task"),
                split=text("split") or split,
                group=text("group"),
                licence=text("licence"),
                meta=meta,
            )
        except CorpusError as error:
            raise CorpusError(f"{where}: {error}") from error
        return exemplar, fault

    def _audio(
        self, text: str, folder: Path, where: str, *, by_tail: bool
    ) -> tuple[PurePosixPath, str]:
        """Return the path of a row's audio, relative to the root, and why it is not there.

        Blanks at its ends count where a file has them, as three names of Clotho's do.
        """
        stripped = text.strip()
        if text != stripped and not (stripped and os.path.isfile(folder / text)):
            text = stripped
        if not text:
            raise CorpusError(f"{where}: names no audio file; expected a path")
        if len(text) > MAX_PATH:
            raise CorpusError(
                f"{where}: audio {quoted(text)} is a path of {len(text)} characters; expected at "
                f"most {MAX_PATH}"
            )
        try:
            stored = location_at(text)
        except StoreError as error:
            raise CorpusError(f"{where}: audio {error}") from error
        if stored is None and _URL.match(text):
            raise CorpusError(
                f"{where}: audio {quoted(text)} is a URL; expected a file, or an object of a store "
                "such as s3://bucket/a.wav"
            )
        if "\0" in text or not _can_be_file_name(text):
            raise CorpusError(f"{where}: audio {quoted(text)} cannot be the path of a file")
        fault = ""
        if stored is not None:
            path = stored_path(stored)
        else:
            text, fault = self._moved.find(text, folder, where, by_tail=by_tail)
            path = Path(os.path.normpath(folder / text))
        fault = fault or require_inside(path, self._root, where, allow_outside=self._allow_outside)
        if not path.is_relative_to(self._root):
            return PurePosixPath(relative_path(path, self._root)), fault
        return PurePosixPath(path.relative_to(self._root).as_posix()), fault


def _can_be_file_name(text: str) -> bool:
    """Whether the file system can spell a text: JSON can hold halves of characters."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _joined(value: Any) -> object:
    """Return a list of texts as one text; anything else as it is."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "|".join(value)
    return value
