"""Annotations of files, folders and lists of them, whatever program wrote them.

Raven's selection tables, Audacity's label tracks, what BirdNET and Kaleidoscope write, DCASE's
tables, Praat's TextGrids, our own tables, and any table with starts and ends: each is told by
what it holds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from earful.errors import CorpusError
from earful.index.annotations.annotation import Annotation
from earful.index.annotations.readers.annotation_reader import AnnotationReader
from earful.index.corpus import RecordingsBeside, annotation_format, content_kind
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import counted

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations(Sequence[Annotation]):
    """Annotations in the order of their files and rows, and what a reader should know of them.

    Attributes:
        rows: The annotations.
        formats: Number of files by format: ``"raven"``, ``"audacity"``, ``"birdnet"``,
            ``"kaleidoscope"``, ``"dcase"``, ``"praat"``, ``"earful"`` or ``"table"``.
        notes: What was passed over, a sentence each.
        nameless: Files that name no recording and have none of their name beside them.
        unreviewed: Places of the rows of which nobody has said anything, in tables in which others
            were reviewed; their polarity is unknown.
    """

    rows: tuple[Annotation, ...] = ()
    formats: Mapping[str, int] = field(default_factory=ReadOnlyDict, hash=False)
    notes: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    unreviewed: tuple[str, ...] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "formats", ReadOnlyDict(self.formats))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Annotation: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Annotation, ...]: ...

    def __getitem__(self, at: int | slice) -> Annotation | tuple[Annotation, ...]:
        return self.rows[at]

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.rows)


def read_annotations(
    source: PathLike | Iterable[PathLike],
    *,
    label_column: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Annotations:
    """Read annotations of any format, which is told by what a file holds.

    A file about one recording that does not name it is about the recording of its name beside
    it; without one, its annotations name the recording by the file's name without its ending.

    Args:
        source: A file, a folder, of which all files of annotations are read, or several of them.
        label_column: Column that names the sound, or a tier of a TextGrid; default: the first of
            ``Label``, ``Species``, ``Common Name``, ``Annotation``, ``Tags`` in Raven's tables,
            else the usual names.
        columns: Column of a field, such as ``{"start_s": "von"}``, as ``--column`` takes it; also
            of ``score``, ``low_hz``, ``high_hz`` and ``channel``.

    Returns:
        The annotations; those with ``NEG`` and ``UNK``, or reviewed as such, with that polarity.

    Raises:
        CorpusError: A file is broken or holds no annotations; the message begins with its place.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    rows = list[Annotation]()
    formats = Counter[str]()
    notes, nameless, unreviewed = list[str](), list[str](), list[str]()
    beside = RecordingsBeside()
    for path in map(Path, given):
        files = [path]
        if path.is_dir():
            of_labels = {} if label_column is None else {"labels": label_column}
            files = _files_of(path, {**(columns or {}), **of_labels}, notes)
        for file in files:
            read = _read_file(file, label_column, columns or {}, beside)
            rows += read.rows
            formats.update(read.formats)
            notes += read.notes
            nameless += read.nameless
            unreviewed += read.unreviewed
    return Annotations(
        rows=tuple(rows),
        formats=dict(sorted(formats.items())),
        notes=tuple(notes),
        nameless=tuple(dict.fromkeys(nameless)),
        unreviewed=tuple(unreviewed),
    )


def _files_of(folder: Path, columns: Mapping[str, str], notes: list[str]) -> list[Path]:
    """Return the files of annotations below a folder, in order."""
    found, n_others = list[Path](), 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            if annotation_format(path, columns):
                found.append(path)
            else:
                n_others += 1
    if not found:
        raise CorpusError(
            f"{folder}: holds no annotations; expected {_EXPECTED}, or name the columns of a table "
            "with --column start_s=COLUMN"
        )
    if n_others:
        notes.append(f"{folder}: {counted(n_others, 'file')} without annotations passed over")
    return found


_EXPECTED = "tables of Raven or BirdNET, Audacity's label tracks, TextGrids, or tables with times"


def _read_file(
    path: Path,
    label_column: str | None,
    columns: Mapping[str, str],
    beside: RecordingsBeside,
) -> Annotations:
    if not path.exists():
        raise CorpusError(f"{path}: there is no such file or folder; expected annotations")
    kind = content_kind(path)
    if kind is None:
        raise CorpusError(f"{path}: is no text and no Parquet file; expected {_EXPECTED}")
    if path.stat().st_size == 0:
        # What Audacity writes of a track without labels.
        return Annotations(notes=(f"{path}: is empty, so it holds no annotations",))
    reader = AnnotationReader(path, kind, label_column, columns, beside)
    rows = tuple(reader.read())
    found = annotation_format(path, columns)
    return Annotations(
        rows=rows,
        formats={found: 1} if found else {},
        notes=tuple(reader.notes()),
        nameless=() if reader.names_recording else (str(path),),
        unreviewed=reader.unreviewed,
    )
