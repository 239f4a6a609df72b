"""Folders and tables of labelled recordings, as a stream of exemplars.

Three shapes are understood:

- a **folder per label**: ``root/dog/rex/1.wav`` is labelled ``dog``, the first folder
  below the root;
- **metadata beside the files**: a folder with ``metadata.csv``, ``.jsonl`` or
  ``.parquet`` whose ``file_name`` column is relative to it (the hub's audiofolder form),
  or with such files in its split folders ``train``, ``validation``, ``test``;
- **any table** (CSV, TSV, JSON Lines, Parquet) with a column that names the audio.

In a folder per label, hidden files and what is commonly kept beside audio (text, tables,
pictures; ``folders.SIDECARS``) are left out; every other file is taken for audio.
A corpus can be read again and again and gives the same rows in the same order.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Self

from earful.errors import CorpusError
from earful.index.corpus.exemplar import Exemplar
from earful.index.corpus.folders import audio_files, metadata_tables, normal
from earful.index.corpus.limits import MAX_PATH, exemplar_fault
from earful.index.corpus.tables import Record, as_text, read_rows, table_kind
from earful.wording import listed, quoted

# Names under which tables in the wild keep each field, first match wins.
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
# What float() takes beside this, such as 1_0 and digits of other scripts, is a slip.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A file or row that could not be used.

    Attributes:
        audio: The audio file as the corpus names it.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
        error: What was found and what was wanted.
    """

    audio: str
    where: str
    error: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values, ``where`` under the name ``row``."""
        return {"audio": self.audio, "row": self.where, "error": self.error}

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            KeyError: A field is missing.
        """
        return cls(audio=values["audio"], where=values["row"], error=values["error"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRow:
    """An exemplar and where it stands in its corpus.

    Attributes:
        exemplar: The labelled stretch.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
    """

    exemplar: Exemplar
    where: str


class Corpus:
    """A re-iterable stream of exemplars with one root folder.

    Attributes:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        source: What was opened: a folder or a table.
        kind: ``"folder"``, ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"parquet"`` or ``"file"``.
        check_characters: Whether texts with control characters are refused.
    """

    check_characters = True

    def __init__(
        self,
        *,
        root: Path,
        source: Path,
        kind: str,
        tables: tuple[tuple[Path, Path, str], ...] = (),
        columns: Mapping[str, str] | None = None,
        label_separator: str = "|",
        allow_outside: bool = False,
        rows: tuple[CorpusRow, ...] = (),
    ) -> None:
        """Use ``open_corpus`` or ``single_recording``."""
        self.root = root
        self.source = source
        self.kind = kind
        self._tables = tables
        self._columns = dict(columns or {})
        self._label_separator = label_separator
        self._allow_outside = allow_outside
        self._rows = rows

    def path(self, exemplar: Exemplar) -> Path:
        """Return where an exemplar's audio file lies."""
        return self.root / exemplar.audio

    def __iter__(self) -> Iterator[CorpusRow]:
        """Yield the rows in order.

        Raises:
            CorpusError: A table is broken, a row breaks a rule, or an id stands twice;
                the message begins with the row's place.
        """
        seen = _Seen()
        for row in self._unchecked():
            if fault := exemplar_fault(row.exemplar, check_characters=self.check_characters):
                raise CorpusError(f"{row.where}: {fault}")
            if seen.add(row.exemplar.id) and (first := self._first_place(row)):
                raise CorpusError(
                    f"{row.where}: id {quoted(row.exemplar.id)} stands already at {first}; "
                    "give one of them another id"
                )
            yield row

    def _first_place(self, again: CorpusRow) -> str:
        """Return where an id stood before; empty when two ids only share their hash."""
        for row in self._unchecked():
            if row.where == again.where and row.exemplar == again.exemplar:
                return ""
            if row.exemplar.id == again.exemplar.id:
                return row.where
        return ""

    def _unchecked(self) -> Iterator[CorpusRow]:
        if self._tables:
            for table, beside, split in self._tables:
                yield from self._table_rows(table, beside, split)
        elif self._rows:
            yield from self._rows
        else:
            yield from self._folder_rows()

    # --- a folder per label ---------------------------------------------------------------

    def _folder_rows(self) -> Iterator[CorpusRow]:
        found = False
        for path in audio_files(self.root, follow_links=self._allow_outside):
            relative = PurePosixPath(path.relative_to(self.root).as_posix())
            self._inside(path, str(path))
            if len(relative.parts) < 2:
                raise CorpusError(
                    f"{path}: lies beside the label folders; want it in a folder named by its "
                    "label, or a metadata.csv that gives its labels"
                )
            found = True
            yield CorpusRow(
                exemplar=Exemplar(
                    id=normal(str(relative)), audio=relative, labels=(normal(relative.parts[0]),)
                ),
                where=str(path),
            )
        if not found:
            raise CorpusError(f"{self.root}: holds no audio files; want a folder per label")

    # --- tables ------------------------------------------------------------------------------

    def _table_rows(self, table: Path, beside: Path, split: str) -> Iterator[CorpusRow]:
        names: dict[str, str] | None = None
        n_rows = 0
        for where, record in read_rows(table):
            # JSON Lines may leave a key out of some rows, so each row is looked at.
            if names is None or table_kind(table) == "jsonl":
                names = self._names(record, where)
            n_rows += 1
            yield CorpusRow(
                exemplar=self._exemplar(record, names, beside, split, where), where=where
            )
        if not n_rows:
            raise CorpusError(f"{table}: has no rows; want one per recording")

    def _names(self, record: Record, where: str) -> dict[str, str]:
        """Find the column of each field."""
        names: dict[str, str] = {}
        for field, column in self._columns.items():
            if field not in ALIASES:
                raise CorpusError(f"no field {field!r} to map; want one of {', '.join(ALIASES)}")
            if column not in record:
                raise CorpusError(
                    f"{where}: has no column {column!r} for {field}; found {listed(record)}"
                )
            names[field] = column
        for field, aliases in ALIASES.items():
            present = [alias for alias in aliases if alias in record]
            if field not in names and present:
                names[field] = present[0]
        if "audio" not in names:
            raise CorpusError(
                f"{where}: has no column that names the audio; found {listed(record)}, want one "
                f"of {', '.join(ALIASES['audio'])}, or say --column audio=COLUMN"
            )
        return names

    def _exemplar(
        self, record: Record, names: Mapping[str, str], beside: Path, split: str, where: str
    ) -> Exemplar:
        def text(field: str) -> str:
            column = names.get(field)
            return "" if column is None else as_text(record[column], where, column).strip()

        audio = self._audio(text("audio"), beside, where)
        labels = self._labels(record, names, where)
        start_s = _seconds(text("start_s"), where, "start_s") or 0.0
        end_s = _seconds(text("end_s"), where, "end_s")
        used = set(names.values())
        meta = {
            str(column): as_text(_flat(value), where, str(column))
            for column, value in record.items()
            if column not in used
        }
        try:
            return Exemplar(
                id=normal(text("id")) or _default_id(audio, start_s, end_s),
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

    def _labels(self, record: Record, names: Mapping[str, str], where: str) -> tuple[str, ...]:
        column = names.get("labels")
        if column is None or record[column] is None:
            return ()
        value = record[column]
        if isinstance(value, list):
            labels = [as_text(item, where, column).strip() for item in value]
        else:
            text = as_text(value, where, column)
            labels = [part.strip() for part in text.split(self._label_separator)]
            labels = labels if text.strip() else []
        return tuple(normal(label) for label in labels)

    def _audio(self, text: str, beside: Path, where: str) -> PurePosixPath:
        if not text:
            raise CorpusError(f"{where}: names no audio file; want a path")
        if len(text) > MAX_PATH:
            raise CorpusError(
                f"{where}: audio {quoted(text)} is a path of {len(text)} characters; want at most "
                f"{MAX_PATH}"
            )
        if _URL.match(text):
            raise CorpusError(f"{where}: audio {quoted(text)} is a URL; want a local file")
        if "\0" in text or not _is_spelt(text):
            raise CorpusError(f"{where}: audio {quoted(text)} is no path that a file can have")
        path = Path(os.path.normpath(beside / text))
        self._inside(path, where)
        if not path.is_relative_to(self.root):
            return PurePosixPath(Path(os.path.relpath(path, self.root)).as_posix())
        return PurePosixPath(path.relative_to(self.root).as_posix())

    def _inside(self, path: Path, where: str) -> None:
        target = _resolved(path)
        if not self._allow_outside and not target.is_relative_to(self.root):
            leads = (
                f" leads to {quoted(str(target))}, which" if path.is_relative_to(self.root) else ""
            )
            raise CorpusError(
                f"{where}: audio {quoted(str(path))}{leads} lies outside {self.root}; want it "
                "inside, or say --allow-outside (or --root with a folder above)"
            )


class _Seen:
    """Ids met so far, as hashes in open addressing: 16 to 32 bytes each, not a hundred."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._n = 0

    def add(self, id_: str) -> bool:
        """Add an id, and say whether it, or one of the same hash, was there."""
        digest = hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # 0 marks an empty slot.
        key = int.from_bytes(digest, "little") or 1
        if 2 * self._n >= len(self._slots):
            before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for known in before:
                if known:
                    self._slots[self._place(known)] = known
        place = self._place(key)
        if self._slots[place]:
            return True
        self._slots[place] = key
        self._n += 1
        return False

    def _place(self, key: int) -> int:
        mask = len(self._slots) - 1
        place = key & mask
        while (found := self._slots[place]) and found != key:
            place = (place + 1) & mask
        return place


def open_corpus(
    source: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike[str] | None = None,
    label_separator: str = "|",
    allow_outside: bool = False,
) -> Corpus:
    """Open a folder or a table of labelled recordings.

    Args:
        source: A folder per label, a folder with ``metadata.*``, or a table.
        columns: Which column holds a field, such as ``{"audio": "clip_path"}``; the usual
            names (``ALIASES``) are found without.
        root: Folder that a table's paths are relative to; default: the table's own.
        label_separator: What stands between several labels in one text cell.
        allow_outside: Whether audio may lie outside the root.

    Raises:
        CorpusError: There is nothing there that could be a corpus. What is wrong inside
            comes out when the corpus is read.
    """
    path = Path(source)
    columns = dict(columns or {})
    if os.path.isdir(path):
        folder = _resolved(path if root is None else Path(root))
        tables = metadata_tables(_resolved(path))
        if columns and not tables:
            raise CorpusError(f"{path}: is a folder per label; columns are for tables")
        kind = table_kind(tables[0][0]) or "folder" if tables else "folder"
        return Corpus(
            root=folder,
            source=path,
            kind=kind,
            tables=tables,
            columns=columns,
            label_separator=label_separator,
            allow_outside=allow_outside,
        )
    if not os.path.exists(path):
        raise CorpusError(f"{path}: there is no such file or folder; want a corpus")
    table = table_kind(path)
    if table is None:
        raise CorpusError(
            f"{path}: is neither a folder nor a .csv, .tsv, .jsonl or .parquet table; want one"
        )
    base = _resolved(path).parent if root is None else _resolved(Path(root))
    return Corpus(
        root=base,
        source=path,
        kind=table,
        tables=((_resolved(path), base, ""),),
        columns=columns,
        label_separator=label_separator,
        allow_outside=allow_outside,
    )


def single_recording(
    audio: str | os.PathLike[str],
    *,
    labels: tuple[str, ...],
    start_s: float = 0.0,
    end_s: float | None = None,
    group: str = "",
    id: str = "",
) -> Corpus:
    """Make a corpus of one labelled recording; its folder is the root.

    Args:
        audio: The file.
        labels: Its labels.
        start_s: Where the stretch begins, in seconds.
        end_s: Where it ends, in seconds; ``None`` for the end of the file.
        group: Recording, site or speaker it came from.
        id: Its key; default: the file name, with the stretch if there is one.

    Raises:
        CorpusError: A label is empty or stands twice, or the stretch is none.
    """
    path = Path(audio)
    name = PurePosixPath(path.name)
    exemplar = Exemplar(
        id=id or _default_id(name, start_s, end_s),
        audio=name,
        start_s=start_s,
        end_s=end_s,
        labels=tuple(normal(label) for label in labels),
        group=group,
    )
    row = CorpusRow(exemplar=exemplar, where=str(path))
    return Corpus(root=_resolved(path).parent, source=path, kind="file", rows=(row,))


def _default_id(audio: PurePosixPath, start_s: float, end_s: float | None) -> str:
    name = normal(str(audio))
    if start_s == 0 and end_s is None:
        return name
    return f"{name}#{start_s:g}-{'' if end_s is None else f'{end_s:g}'}"


def _seconds(text: str, where: str, field: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise CorpusError(f"{where}: {field} is {quoted(text)}; want seconds as a number")
    return float(text)


def _is_spelt(text: str) -> bool:
    """Whether the file system can spell a name: JSON can hold halves of characters."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _flat(value: Any) -> object:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "|".join(value)
    return value


def _resolved(path: Path) -> Path:
    """Follow all links; unlike ``Path.resolve`` not failing of those that lead in a circle."""
    return Path(os.path.realpath(path))
