"""Corpora: folders and tables of labelled recordings, read as a stream of exemplars.

A corpus has one of three forms:

- a **folder per label**: ``root/dog/rex/1.wav`` is labelled ``dog``, the first folder
  below the root;
- **metadata beside the files**: a folder with ``metadata.csv``, ``.jsonl`` or
  ``.parquet`` whose ``file_name`` column is relative to it (the hub's audiofolder form),
  or with such files in its split folders ``train``, ``validation``, ``test``;
- **any table** (CSV, TSV, JSON Lines, Parquet) with a column that names the audio.

In a folder per label, hidden files and files that commonly lie beside audio (text, tables,
pictures; ``folders.SIDECARS``) are left out; every other file counts as audio.
A corpus can be read again and again and gives the same rows in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from earful.errors import CorpusError
from earful.index.corpus.exemplar import Exemplar, default_id, to_nfc
from earful.index.corpus.exemplar_reader import ExemplarReader
from earful.index.corpus.folders import audio_files, metadata_tables, real_path, require_inside
from earful.index.corpus.limits import exemplar_fault
from earful.index.corpus.seen_ids import SeenIds
from earful.index.corpus.tables import read_rows, table_kind
from earful.wording import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A file or row that could not be used.

    Attributes:
        audio: The audio file as the corpus names it.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
        error: What was found and what was expected.
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
    """An exemplar and its place in the corpus.

    Attributes:
        exemplar: The labelled segment.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
    """

    exemplar: Exemplar
    where: str


class Corpus:
    """Labelled recordings below one root folder, as a stream that can be read again.

    ``open_corpus`` makes one of a folder or a table; iterating over it reads its rows.

    Attributes:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        source: The folder or table that was opened.
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
        """Call ``open_corpus`` or ``single_recording`` instead."""
        self.root = root
        self.source = source
        self.kind = kind
        self._tables = tables
        self._allow_outside = allow_outside
        self._given_rows = rows
        self._reader = ExemplarReader(
            root=root,
            columns=dict(columns or {}),
            label_separator=label_separator,
            allow_outside=allow_outside,
        )

    def path(self, exemplar: Exemplar) -> Path:
        """Return where an exemplar's audio file lies."""
        return self.root / exemplar.audio

    def __iter__(self) -> Iterator[CorpusRow]:
        """Yield the rows in order.

        Raises:
            CorpusError: A table is broken, a row breaks a rule, or an id occurs twice;
                the message begins with the row's place.
        """
        seen = SeenIds()
        # Closed by name: with an error's traceback a table would stay open.
        with closing(self._read_rows()) as rows:
            for row in rows:
                if fault := exemplar_fault(row.exemplar, check_characters=self.check_characters):
                    raise CorpusError(f"{row.where}: {fault}")
                if seen.add(row.exemplar.id) and (first := self._first_place(row)):
                    raise CorpusError(
                        f"{row.where}: id {quoted(row.exemplar.id)} already occurs at {first}; "
                        "give one of them another id"
                    )
                yield row

    def _first_place(self, again: CorpusRow) -> str:
        """Return where an id occurred before; empty when two ids only share their hash."""
        for row in self._read_rows():
            if row.where == again.where and row.exemplar == again.exemplar:
                return ""
            if row.exemplar.id == again.exemplar.id:
                return row.where
        return ""

    def _read_rows(self) -> Generator[CorpusRow, None, None]:
        """Yield the rows in order, before their rules are checked."""
        if self._tables:
            for table, folder, split in self._tables:
                yield from self._table_rows(table, folder, split)
        elif self._given_rows:
            yield from self._given_rows
        else:
            yield from self._folder_rows()

    # --- a folder per label ---------------------------------------------------------------

    def _folder_rows(self) -> Iterator[CorpusRow]:
        found = False
        for path in audio_files(self.root, follow_links=self._allow_outside):
            relative = PurePosixPath(path.relative_to(self.root).as_posix())
            require_inside(path, self.root, str(path), allow_outside=self._allow_outside)
            if len(relative.parts) < 2:
                raise CorpusError(
                    f"{path}: lies beside the label folders; move it into a folder named by its "
                    "label, or add a metadata.csv that gives its labels"
                )
            found = True
            yield CorpusRow(
                exemplar=Exemplar(
                    id=to_nfc(str(relative)), audio=relative, labels=(to_nfc(relative.parts[0]),)
                ),
                where=str(path),
            )
        if not found:
            raise CorpusError(f"{self.root}: holds no audio files; expected a folder per label")

    # --- tables ------------------------------------------------------------------------------

    def _table_rows(self, table: Path, folder: Path, split: str) -> Iterator[CorpusRow]:
        columns: dict[str, str] | None = None
        n_rows = 0
        with closing(read_rows(table)) as records:
            for where, record in records:
                # JSON Lines may leave a key out of some rows, so each row is looked at.
                if columns is None or table_kind(table) == "jsonl":
                    columns = self._reader.find_columns(record, where)
                n_rows += 1
                exemplar = self._reader.read(
                    record, columns, folder=folder, split=split, where=where
                )
                yield CorpusRow(exemplar=exemplar, where=where)
        if not n_rows:
            raise CorpusError(f"{table}: has no rows; expected one per recording")


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
        columns: Column of a field, such as ``{"audio": "clip_path"}``; the usual names
            (``exemplar_reader.ALIASES``) are found without.
        root: Folder that a table's paths are relative to; default: the table's own.
        label_separator: Separates several labels in one text cell.
        allow_outside: Whether audio may lie outside the root.

    Raises:
        CorpusError: There is nothing there that could be a corpus. Mistakes inside it are
            raised when the corpus is read.
    """
    path = Path(source)
    columns = dict(columns or {})
    if os.path.isdir(path):
        folder = real_path(path if root is None else Path(root))
        tables = metadata_tables(real_path(path))
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
        raise CorpusError(f"{path}: there is no such file or folder; expected a corpus")
    table = table_kind(path)
    if table is None:
        raise CorpusError(f"{path}: is neither a folder nor a .csv, .tsv, .jsonl or .parquet table")
    base = real_path(path).parent if root is None else real_path(Path(root))
    return Corpus(
        root=base,
        source=path,
        kind=table,
        tables=((real_path(path), base, ""),),
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
        start_s: Where the segment begins, in seconds.
        end_s: Where it ends, in seconds; ``None`` for the end of the file.
        group: Recording, site or speaker it came from.
        id: Its key; default: the file name, with the segment if there is one.

    Raises:
        CorpusError: A label is empty or occurs twice, or the segment ends before it begins.
    """
    path = Path(audio)
    name = PurePosixPath(path.name)
    exemplar = Exemplar(
        id=id or default_id(name, start_s, end_s),
        audio=name,
        start_s=start_s,
        end_s=end_s,
        labels=tuple(to_nfc(label) for label in labels),
        group=group,
    )
    row = CorpusRow(exemplar=exemplar, where=str(path))
    return Corpus(root=real_path(path).parent, source=path, kind="file", rows=(row,))
