"""Corpora: folders and tables of labelled recordings, read as a stream of exemplars.

A corpus has one of four forms:

- a **folder per label**: ``root/dog/rex/1.wav`` is labelled ``dog``, the first folder
  below the root;
- **metadata beside the files**: a folder with ``metadata.csv``, ``.jsonl`` or
  ``.parquet`` whose ``file_name`` column is relative to it (the hub's audiofolder form),
  or with such files in its split folders ``train``, ``validation``, ``test``;
- **annotations beside the files**: ``night.wav`` with ``night.Table.1.selections.txt`` or
  ``night.TextGrid``, as Raven, Audacity, Praat, BirdNET and DCASE write them (``tracks.py``);
- **any table** (CSV, TSV, JSON, Parquet) with a column that names the audio, or one such file.

In a folder per label, hidden files are left out, and files that are no audio by name and content
(``folders.audio_files``) are counted.
A corpus can be read again and again and gives the same rows in the same order.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from earful.errors import CorpusError
from earful.index.corpus.columns import KNOWN_COLUMNS, ColumnContents, times_options
from earful.index.corpus.exemplar import CorpusRow, Exemplar, default_id, to_nfc
from earful.index.corpus.exemplar_reader import ExemplarReader
from earful.index.corpus.folders import (
    annotations_in,
    audio_files,
    metadata_tables,
    real_path,
    require_audio,
    require_inside,
    tables_near,
)
from earful.index.corpus.in_stores import root_of_table, root_path, source_path
from earful.index.corpus.limits import exemplar_fault
from earful.index.corpus.recorders import GroupBy, Grouping
from earful.index.corpus.stretches import (
    FurtherTexts,
    StretchMerger,
    same_stretch,
)
from earful.index.corpus.table_rows import TableRows
from earful.index.corpus.tables import content_kind, is_text_table, table_kind
from earful.index.corpus.tracks import (
    TrackFolder,
    annotation_format,
    find_tracks,
)
from earful.object_stores import shown_path
from earful.values import repr_of
from earful.wording import as_argument, counted, listed, quoted

_MERGED = ("tracks", "textgrid")


class Corpus:
    """Labelled recordings below one root folder, as a stream that can be read again.

    ``open_corpus`` makes one of a folder or a table; iterating over it reads its rows.

    >>> import earful
    >>> corpus = earful.open_corpus("sounds")
    >>> rows = list(corpus)
    >>> len(rows), rows[0].exemplar.id, rows[0].exemplar.labels
    (15, 'dog/0.wav', ('dog',))
    >>> corpus.path(rows[0].exemplar).exists()
    True

    Attributes:
        root: Resolved folder that every ``exemplar.audio`` is relative to.
        source: The folder or table that was opened.
        kind: ``"folder"``, ``"tracks"``, ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"parquet"``,
            ``"txt"``, ``"textgrid"`` or ``"file"``.
        check_characters: Whether texts with control characters are refused.
        advise_options: Whether messages may name options of commands.
        passed_over: Files of a folder that are no audio, by their endings, in the last pass.
        n_merged: Rows merged into another in the last pass.
        n_further: Rows that give a stretch a further question or answer, in the last pass.
    """

    check_characters = True
    n_merged = n_further = 0

    def __init__(
        self,
        *,
        root: Path,
        source: Path,
        kind: str,
        tables: tuple[tuple[Path, Path, str], ...] = (),
        columns: Mapping[str, str] | None = None,
        label_separator: str = "|",
        drop_missing: bool = False,
        merge_rows: bool = False,
        grouping: Grouping | None = None,
        advise_options: bool = True,
        allow_outside: bool = False,
        rows: tuple[CorpusRow, ...] = (),
        tracks: TrackFolder | None = None,
    ) -> None:
        """Call ``open_corpus`` or ``single_recording`` instead."""
        self.root = root
        self.source = source
        self.kind = kind
        self._tables = tables
        self._allow_outside = allow_outside
        self._given_rows = rows
        self._label_separator = label_separator
        self.advise_options = advise_options
        self._grouping = grouping or Grouping()
        # Tiers of a TextGrid, and files about one recording, label the same stretches.
        self._merger = StretchMerger() if merge_rows or kind in _MERGED else None
        self._known = KNOWN_COLUMNS | {name.lower() for name in (columns or {}).values()}
        self.passed_over: Counter[str] = Counter()
        self._contents = ColumnContents()
        self._reader = ExemplarReader(
            root=root,
            columns=dict(columns or {}),
            label_separator=label_separator,
            drop_missing=drop_missing,
            advise_options=advise_options,
            allow_outside=allow_outside,
        )
        self._rows = TableRows(self._reader, self._known, columns or {}, tracks)

    @property
    def columns(self) -> Mapping[str, str] | None:
        """Column of each field, of the last row that was read; ``None`` without a table."""
        return self._rows.columns

    @property
    def other_columns(self) -> tuple[str, ...]:
        """The other columns, which are kept as text."""
        return self._rows.other_columns

    @property
    def n_views(self) -> int:
        """Rows of a further view of a selection in the last pass."""
        return self._rows.n_views

    @property
    def leaves_out_labels(self) -> bool:
        """Whether it was said that there are no labels."""
        return self._reader.leaves_out_labels

    @property
    def chose_labels(self) -> bool:
        """Whether it was said which column holds the labels."""
        return self._reader.chose_labels

    @property
    def unused_times(self) -> tuple[str, ...]:
        """Columns that look like times and are not used, of the rows that were read."""
        return self._reader.unused_times

    def reading_notes(self) -> list[str]:
        """Return what was used, which groups are sites, what was found elsewhere or not kept."""
        merged = self._merger.notes() if self._merger else []
        return [*self._grouping.notes(), *self._rows.notes(), *merged]

    @property
    def n_without_group(self) -> int:
        """Rows that the group pattern did not match in the last pass."""
        return self._grouping.n_without

    def no_labels_fault(self) -> str:
        """Explain that no column gives labels or answers; empty when one does, or none should."""
        if self.columns is None or self.leaves_out_labels:
            return ""
        return self._contents.no_labels_fault(
            self.columns, self.other_columns, advise=self.advise_options
        )

    @property
    def likely_labels(self) -> str:
        """The column that looks most like labels, of those that hold no field; ``""`` if none."""
        return self._contents.likely_labels()

    def path(self, exemplar: Exemplar) -> Path:
        """Return where an exemplar's audio file lies."""
        return self.root / exemplar.audio

    def __repr__(self) -> str:
        return repr_of(self, source=self.source, kind=self.kind)

    def __iter__(self) -> Iterator[CorpusRow]:
        """Yield the rows in order.

        Raises:
            CorpusError: A table is broken, a row breaks a rule, or an id occurs twice;
                the message begins with the row's place.
        """
        seen: set[str] = set()
        self._grouping.begin()
        self._contents = ColumnContents()
        texts = FurtherTexts()
        # Closed by name: with an error's traceback a table would stay open.
        with closing(self._merged_rows()) as rows:
            for found in rows:
                row = self._grouping.group(found, self.root, self._read_rows_aside)
                self._contents.add(row.exemplar.meta)
                if fault := exemplar_fault(row.exemplar, check_characters=self.check_characters):
                    raise CorpusError(f"{row.where}: {fault}")
                if self._tables and "id" not in (self.columns or {}):
                    is_taken = row.exemplar.id in seen
                    own = texts.with_own_id(row.exemplar, is_taken=is_taken)
                    row = replace(row, exemplar=own)
                if row.exemplar.id in seen:
                    if fault := self.no_labels_fault():
                        raise CorpusError(f"{self.source}: {fault}")
                    first = self._first_row(row)
                    raise CorpusError(
                        f"{row.where}: id {quoted(row.exemplar.id)} already occurs at "
                        f"{first.where}; {self._remedy(first.exemplar, row.exemplar)}"
                    )
                seen.add(row.exemplar.id)
                self.n_further = texts.n_further
                yield row

    def _first_row(self, again: CorpusRow) -> CorpusRow:
        """Return the row in which an id occurred before."""
        with closing(self._merged_rows()) as rows:
            return next((row for row in rows if row.exemplar.id == again.exemplar.id), again)

    def _remedy(self, first: Exemplar, again: Exemplar) -> str:
        """Explain what two rows of one id have in common, and what to do."""
        if not (self._tables and same_stretch(first, again)):
            return "give one of them another id"
        if self.unused_times:
            names = listed(self.unused_times)
            options = f": {times_options(self.unused_times)}" if self.advise_options else ""
            return f"most likely because times in {names} are not used{options}"
        if first.labels == again.labels:
            what = "labels" if again.labels else "texts"
            return f"both are the same stretch with the same {what}, so remove one of them"
        both = quoted(self._label_separator.join(dict.fromkeys(first.labels + again.labels)))
        option = ", or pass --merge-rows, which does" if self.advise_options else ""
        one_row = f"make them one row with the labels {both}{option}"
        channels = [_channel(one) for one in (first, again)]
        if "" not in channels and channels[0] != channels[1]:
            return (
                f"both are the same stretch, on channels {channels[0]} and {channels[1]}, of which "
                "the average is heard: write each channel to a file of its own and name those, or "
                + one_row
            )
        return f"both are the same stretch, so {one_row}"

    def _merged_rows(self) -> Generator[CorpusRow, None, None]:
        """Yield the rows in order, those of one stretch as one if that is wanted."""
        if self._merger is None:
            yield from self._read_rows()
        else:
            yield from self._merger.merge(self._read_rows)
            self.n_merged = self._merger.n_merged

    def _read_rows_aside(self) -> Generator[CorpusRow, None, None]:
        """Yield the rows in order while another pass goes on, whose counts stay as they are."""
        return self._read_tables(self._rows.apart()) if self._tables else self._read_rows()

    def _read_tables(self, rows: TableRows) -> Generator[CorpusRow, None, None]:
        rows.restart()
        for table, folder, split in self._tables:
            yield from rows.read(table, folder, split)

    def _read_rows(self) -> Generator[CorpusRow, None, None]:
        """Yield the rows in order, before their rules are checked."""
        if self._tables:
            yield from self._read_tables(self._rows)
        elif self._given_rows:
            yield from self._given_rows
        else:
            yield from self._folder_rows()

    # --- a folder per label ---------------------------------------------------------------

    def _folder_rows(self) -> Iterator[CorpusRow]:
        found = False
        passed_over = self.passed_over = Counter()
        for path in audio_files(
            self.root, follow_links=self._allow_outside, passed_over=passed_over
        ):
            relative = PurePosixPath(path.relative_to(self.root).as_posix())
            fault = require_inside(path, self.root, str(path), allow_outside=self._allow_outside)
            if len(relative.parts) < 2:
                raise CorpusError(self._without_label_folder(path))
            found = True
            yield CorpusRow(
                exemplar=Exemplar(
                    id=to_nfc(str(relative)), audio=relative, labels=(to_nfc(relative.parts[0]),)
                ),
                where=shown_path(path),
                fault=fault,
            )
        require_audio(found, self.root)

    def _without_label_folder(self, path: Path) -> str:
        """Explain why a recording at the top of a folder has no label, and what gives it one."""
        files = list(audio_files(self.root, follow_links=self._allow_outside))
        if any(file.parent != self.root for file in files):
            return (
                f"{path}: lies beside the label folders; move it into a folder named by its "
                "label, or add a metadata.csv that gives its labels"
            )
        n = counted(len(files), "recording")
        held = f"{self.source}: holds {n} and no folder named by a label"
        tables = [str(self.source / name) for name in annotations_in(self.root, self._known)]
        own_root = [] if tables else ["--root", as_argument(str(self.source))]
        above, names = self.source.absolute().parent, [file.name for file in files[:20]]
        tables = tables or [str(table) for table in tables_near(above, names)]
        if tables and self.advise_options:
            more = f" (or another of {listed(tables[1:])})" if tables[1:] else ""
            given = f"`earful index build {' '.join([as_argument(tables[0]), *own_root])}`{more}"
            return f"{held}; give the table itself: {given}"
        return (
            f"{held}; move each into a folder named by its label, or give a table with the columns "
            "file_name and label"
        )


def _channel(exemplar: Exemplar) -> str:
    """Return the text of a row's column for the channel."""
    return next((text for name, text in exemplar.meta.items() if name.lower() == "channel"), "")


def open_corpus(
    source: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike[str] | None = None,
    label_separator: str = "|",
    drop_missing: bool = False,
    merge_rows: bool = False,
    group_pattern: str = "",
    group_by: GroupBy = "auto",
    advise_options: bool = True,
    allow_outside: bool = False,
) -> Corpus:
    """Open a folder or a table of labelled recordings.

    Args:
        source: A folder per label, a folder with ``metadata.*`` or with annotations beside its
            recordings, or a table.
        columns: Column of a field, such as ``{"audio": "clip_path"}``, or ``""`` to leave a
            field out; the usual names (``columns.ALIASES``) are found without.
        root: Folder that a table's paths are relative to; default: the table's own.
        label_separator: Separates several labels in one text cell.
        drop_missing: Whether labels that look like missing values, such as ``NA``, are left out.
        merge_rows: Whether rows of one stretch of one file become one row with all their labels.
        group_pattern: Regular expression that finds a row's group in the path of its audio, where
            no column gives one: its first group, or all that it matches.
        group_by: ``"site"`` to make the site that a field recorder wrote into a recording or its
            name the group of rows without one, ``"auto"`` to do so where labels occur at several
            of several sites, ``"none"``; a group pattern goes first.
        advise_options: Whether messages may name options, as those of ``earful index build``.
        allow_outside: Whether audio may lie outside the root.

    Raises:
        CorpusError: There is nothing there that could be a corpus, or the separator is empty or
            the pattern is none. Mistakes inside it are raised when the corpus is read.
    """
    path = source_path(source)
    root = None if root is None else root_path(root)
    columns = dict(columns or {})
    if not label_separator:
        raise CorpusError("label separator '': expected at least one character")
    grouping = Grouping(pattern=group_pattern, by=group_by, advise_options=advise_options)
    opened = partial(
        Corpus,
        source=path,
        columns=columns,
        label_separator=label_separator,
        drop_missing=drop_missing,
        merge_rows=merge_rows,
        grouping=grouping,
        advise_options=advise_options,
        allow_outside=allow_outside,
    )
    if os.path.isdir(path):
        folder = real_path(path if root is None else root)
        tables = metadata_tables(real_path(path))
        tracks = None if tables else find_tracks(folder, columns, follow_links=allow_outside)
        if tracks and tracks.is_used:
            labelled = tuple((track, track.parent, "") for track in tracks.formats)
            return opened(root=folder, kind="tracks", tables=labelled, tracks=tracks)
        if columns and not tables:
            raise CorpusError(f"{path}: is a folder per label; columns are for tables")
        kind = table_kind(tables[0][0]) or "folder" if tables else "folder"
        return opened(root=folder, kind=kind, tables=tables, tracks=tracks)
    if not os.path.exists(path):
        raise CorpusError(f"{shown_path(path)}: there is no such file or folder; expected a corpus")
    table = table_kind(path)
    if table is None and annotation_format(path, columns):
        table = content_kind(path)
    known = KNOWN_COLUMNS | {name.lower() for name in columns.values()}
    if table is None or (table == "txt" and not is_text_table(path, known)):
        raise CorpusError(
            f"{path}: is neither a folder nor a .csv, .tsv, .jsonl, .json or .parquet table, nor a "
            ".txt with a selection table or a label track, nor a TextGrid"
        )
    own = real_path(path).parent
    base = root_of_table(path, own, known, columns) if root is None else real_path(root)
    return opened(root=base, kind=table, tables=((real_path(path), base, ""),))


def single_recording(
    audio: str | os.PathLike[str],
    *,
    labels: tuple[str, ...],
    not_labels: tuple[str, ...] = (),
    start_s: float = 0.0,
    end_s: float | None = None,
    group: str = "",
    id: str = "",
) -> Corpus:
    """Make a corpus of one labelled recording; its folder is the root.

    Args:
        audio: The file.
        labels: Its labels; may be empty where ``not_labels`` are given.
        not_labels: What was found not to be there.
        start_s: Where the segment begins, in seconds.
        end_s: Where it ends, in seconds; ``None`` for the end of the file.
        group: Recording, site or speaker it came from.
        id: Its key; default: the file name, with the segment if there is one.

    Raises:
        CorpusError: A label is empty, occurs twice or is in both, or the segment ends before it
            begins.
    """
    path = source_path(audio)
    name = PurePosixPath(path.name)
    exemplar = Exemplar(
        id=id or default_id(name, start_s, end_s),
        audio=name,
        start_s=start_s,
        end_s=end_s,
        labels=tuple(to_nfc(label) for label in labels),
        not_labels=tuple(to_nfc(label) for label in not_labels),
        group=group,
    )
    row = CorpusRow(exemplar=exemplar, where=str(path))
    return Corpus(root=real_path(path).parent, source=path, kind="file", rows=(row,))
