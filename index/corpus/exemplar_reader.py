"""Exemplars from table rows: which column holds each field, and what its cells may say."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from earful.errors import CorpusError
from earful.index.corpus.exemplar import Exemplar, default_id, to_nfc
from earful.index.corpus.folders import require_inside
from earful.index.corpus.limits import MAX_PATH
from earful.index.corpus.tables import Record, as_text
from earful.wording import listed, quoted

# Names under which tables in the wild keep each field; the first that is there is used.
ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "audio": ("audio", "file_name", "filename", "path", "file", "audio_path"),
        "labels": ("labels", "label", "category", "class", "tags"),
        "id": ("id",),
        "start_s": ("start_s", "start"),
        "end_s": ("end_s", "end"),
        "question": ("question",),
        "answer": ("answer", "caption"),
        "task": ("task",),
        "split": ("split",),
        "group": ("group", "speaker", "recording"),
        "licence": ("licence", "license"),
    }
)

# A scheme and a slash; one letter would be a drive of another system.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:|.*://", re.IGNORECASE | re.DOTALL)
# Whatever else float() accepts, such as 1_0 and digits of other scripts, is a typing error.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


class ExemplarReader:
    """Turns the rows of one corpus's tables into exemplars.

    Args:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        columns: Column of a field, where it is none of ``ALIASES``.
        label_separator: Separates several labels in one text cell.
        allow_outside: Whether audio may lie outside the root.
    """

    def __init__(
        self,
        *,
        root: Path,
        columns: Mapping[str, str],
        label_separator: str,
        allow_outside: bool,
    ) -> None:
        self._root = root
        self._columns = columns
        self._label_separator = label_separator
        self._allow_outside = allow_outside

    def find_columns(self, record: Record, where: str) -> dict[str, str]:
        """Return the column of each field that a row has.

        Raises:
            CorpusError: A column that was named is not there, or none names the audio.
        """
        found: dict[str, str] = {}
        for field, column in self._columns.items():
            if field not in ALIASES:
                raise CorpusError(
                    f"no field {field!r} to map a column to; expected one of {', '.join(ALIASES)}"
                )
            if column not in record:
                raise CorpusError(
                    f"{where}: has no column {column!r} for {field}; found {listed(record)}"
                )
            found[field] = column
        for field, aliases in ALIASES.items():
            present = [alias for alias in aliases if alias in record]
            if field not in found and present:
                found[field] = present[0]
        if "audio" not in found:
            raise CorpusError(
                f"{where}: has no column that names the audio; found {listed(record)}, expected "
                f"one of {', '.join(ALIASES['audio'])}, or pass --column audio=COLUMN"
            )
        return found

    def read(
        self, record: Record, columns: Mapping[str, str], *, folder: Path, split: str, where: str
    ) -> Exemplar:
        """Make the exemplar of a row.

        Args:
            record: The row.
            columns: From ``find_columns``.
            folder: Folder that the row's paths are relative to.
            split: Split of a row that names none.
            where: The row's place, for messages.

        Raises:
            CorpusError: A cell breaks a rule; the message begins with the place.
        """

        def text(field: str) -> str:
            column = columns.get(field)
            return "" if column is None else as_text(record[column], where, column).strip()

        column = columns["audio"]
        audio = self._audio(as_text(record[column], where, column), folder, where)
        labels = self._labels(record, columns, where)
        start_s = _seconds(text("start_s"), where, "start_s") or 0.0
        end_s = _seconds(text("end_s"), where, "end_s")
        # Columns that hold no field are kept as text.
        used = set(columns.values())
        meta = {
            str(column): as_text(_joined(value), where, str(column))
            for column, value in record.items()
            if column not in used
        }
        try:
            return Exemplar(
                id=to_nfc(text("id")) or default_id(audio, start_s, end_s),
                audio=audio,
                start_s=start_s,
                end_s=end_s,
                question=text("question"),
                answer=text("answer"),
                labels=labels,
                task=text("task"),
                split=text("split") or split,
                group=text("group"),
                licence=text("licence"),
                meta=MappingProxyType(meta),
            )
        except CorpusError as error:
            raise CorpusError(f"{where}: {error}") from error

    def _labels(self, record: Record, columns: Mapping[str, str], where: str) -> tuple[str, ...]:
        column = columns.get("labels")
        if column is None or record[column] is None:
            return ()
        value = record[column]
        if isinstance(value, list):
            labels = [as_text(item, where, column).strip() for item in value]
        else:
            text = as_text(value, where, column)
            labels = [part.strip() for part in text.split(self._label_separator)]
            labels = labels if text.strip() else []
        return tuple(to_nfc(label) for label in labels)

    def _audio(self, text: str, folder: Path, where: str) -> PurePosixPath:
        """Return the path of a row's audio, relative to the root.

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
        if _URL.match(text):
            raise CorpusError(f"{where}: audio {quoted(text)} is a URL; expected a local file")
        if "\0" in text or not _can_be_file_name(text):
            raise CorpusError(f"{where}: audio {quoted(text)} cannot be the path of a file")
        path = Path(os.path.normpath(folder / text))
        require_inside(path, self._root, where, allow_outside=self._allow_outside)
        if not path.is_relative_to(self._root):
            return PurePosixPath(Path(os.path.relpath(path, self._root)).as_posix())
        return PurePosixPath(path.relative_to(self._root).as_posix())


def _seconds(text: str, where: str, field: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise CorpusError(f"{where}: {field} is {quoted(text)}; expected seconds as a number")
    return float(text)


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
