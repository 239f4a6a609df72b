"""Annotations of recordings as programs write them: which format a file has, and about what.

The format is told by what a file holds, never by its name. A file about one recording often does
not say which: it has the recording's name and lies beside it, as ``night.Table.1.selections.txt``
does beside ``night.wav``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from earful.errors import CorpusError
from earful.index.corpus.columns import KNOWN_COLUMNS
from earful.index.corpus.exemplar import to_nfc
from earful.index.corpus.fields import FieldReader
from earful.index.corpus.folders import AUDIO
from earful.index.corpus.tables import (
    Record,
    content_kind,
    is_class_table,
    is_own_table,
    polarity_column,
    read_polarity,
    read_rows,
)
from earful.wording import counted

AnnotationFormat = Literal[
    "earful", "raven", "birdnet", "kaleidoscope", "dcase", "audacity", "praat", "table"
]

FORMAT_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "earful": ("table of events", "tables of events"),
    "raven": ("Raven selection table", "Raven selection tables"),
    "birdnet": ("BirdNET table", "BirdNET tables"),
    "kaleidoscope": ("Kaleidoscope table", "Kaleidoscope tables"),
    "dcase": ("DCASE table", "DCASE tables"),
    "audacity": ("Audacity label track", "Audacity label tracks"),
    "praat": ("Praat TextGrid", "Praat TextGrids"),
    "table": ("table of stretches", "tables of stretches"),
}
"""What one and several files of each format are called."""

NUMBER_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "score": ("score", "confidence"),
    "low_hz": ("low_hz", "low freq (hz)", "low_freq", "low_frequency", "freq_min", "min_freq"),
    "high_hz": ("high_hz", "high freq (hz)", "high_freq", "high_frequency", "freq_max", "max_freq"),
    "channel": ("channel",),
}
"""Fields that only annotations have, and the usual names of their columns."""

_DCASE_EVENTS = frozenset({"filename", "onset", "offset", "event_label"})
_BIRDNET_FOR_R = frozenset({"start", "end", "common_name", "confidence"})
_RAVEN = frozenset({"begin time (s)", "end time (s)"})
# What programs put between a recording's name and the ending of its annotations.
_ENDINGS = re.compile(
    r"(?:\.table\.[0-9]+)?\.selections?$|\.birdnet(?:\..*)?$|\.audacity$|\.table\.[0-9]+$",
    re.IGNORECASE,
)


def annotation_format(path: Path, columns: Mapping[str, str] | None = None) -> str:
    """Return the format of a file of annotations; ``""`` for a file that is none.

    Args:
        path: The file.
        columns: Column of a field, where it has another name than usual.

    Returns:
        An ``AnnotationFormat``: ``"table"`` for any other table with starts, ends and labels.
    """
    try:
        kind = content_kind(path)
        if kind is None:
            return ""
        return _format_of(path, kind, columns or {})
    except CorpusError:
        return ""


def _format_of(path: Path, kind: str, columns: Mapping[str, str]) -> str:
    header: list[str] = []

    def check(names: Iterable[str], where: str) -> None:
        header.extend(names)

    known = KNOWN_COLUMNS | {name.lower() for name in columns.values()}
    with closing(read_rows(path, known, check, kind=kind)) as rows:
        _, record = next(rows, ("", Record()))
    if kind == "textgrid":
        return "praat"
    if kind == "txt" and record and not header:
        return "audacity"
    return _format_by_columns(header or list(record), record, str(path), columns)


def _format_by_columns(
    names: list[str], record: Record, where: str, columns: Mapping[str, str]
) -> str:
    folded = {name.lower() for name in names}
    if is_own_table(folded) and not is_class_table(names):
        return "earful"
    if is_class_table(names) or folded >= _DCASE_EVENTS:
        return "dcase"
    if folded >= {"start (s)", "end (s)"} and folded & {"confidence", "common name"}:
        return "birdnet"
    if folded >= _BIRDNET_FOR_R:
        return "birdnet"
    if folded >= _RAVEN:
        is_birdnet = folded & {"species code", "confidence"} and "common name" in folded
        return "birdnet" if is_birdnet else "raven"
    if folded >= {"in file", "offset", "duration"}:
        return "kaleidoscope"
    given = {field: name for field, name in columns.items() if field not in NUMBER_COLUMNS}
    reader = FieldReader(columns=given, label_separator="")
    record = record or dict.fromkeys(names, "")
    found = reader.find_columns(record, where, names_audio=False)
    has_times = "start_s" in found and found.keys() & {"end_s", "duration_s"}
    return "table" if has_times and "labels" in found else ""


class RecordingsBeside:
    """Finds the recordings that files of annotations are about, by their names.

    Folders are listed once.
    """

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, table: Path) -> Path | None:
        """Return the recording beside a file; ``None`` if there is none.

        Raises:
            CorpusError: There are several of the name.
        """
        stem = table.name
        beside = self._beside(table.parent)
        while "." in stem:
            stem = stem.rsplit(".", 1)[0]
            if len(found := beside.get(stem, [])) > 1:
                raise CorpusError(
                    f"{table}: may be about {' or '.join(found)}; name it after one of them, such "
                    f"as {found[0]}{table.suffix}"
                )
            if found:
                return table.parent / found[0]
        return None

    def _beside(self, folder: Path) -> dict[str, list[str]]:
        """Return the recordings of a folder by their names, with and without their endings."""
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in AUDIO:
                    names.setdefault(path.stem, []).append(path.name)
                    names[path.name] = [path.name]
            self._names[folder] = names
        return self._names[folder]


def recording_stem(table: Path) -> str:
    """Return the name of the recording that a file is about, without its ending.

    >>> recording_stem(Path("night.Table.1.selections.txt")), recording_stem(Path("a.b.TextGrid"))
    ('night', 'a.b')
    """
    return _ENDINGS.sub("", table.stem) or table.stem


_TRACK_ENDINGS: Final = frozenset({".txt", ".csv", ".tsv", ".textgrid", ".selections"})
# If so many texts beside recordings are no annotations, such as transcripts, none is.
_MOST_TEXTS: Final = 1_000
# What a program heard, not a person.
_OF_DETECTORS: Final = frozenset({"birdnet", "kaleidoscope", "earful"})
_NOTHING_FOUND: Final = "nocall"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFolder:
    """The annotations that lie beside the recordings of a folder.

    Attributes:
        formats: Format of each file of annotations that is used, in order.
        n_recordings: Recordings by format.
        notes: What is left out, a sentence each.
    """

    formats: Mapping[Path, str]
    n_recordings: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def is_used(self) -> bool:
        """Whether the folder's recordings are labelled by them."""
        return bool(self.formats)

    def usage_notes(self, n_rows: Mapping[Path, int]) -> list[str]:
        """Count what was used, a sentence for each format.

        Args:
            n_rows: How many stretches each file gave.
        """
        notes = []
        for name, n in self.n_recordings.items():
            rows = sum(n_rows.get(path, 0) for path, of in self.formats.items() if of == name)
            notes.append(
                f"{counted(n, 'recording')} with {FORMAT_NAMES[name][1]}: "
                f"{counted(rows, 'stretch', 'stretches')}"
            )
        return [*notes, *self.notes]


def find_tracks(
    folder: Path, columns: Mapping[str, str], *, follow_links: bool = False
) -> TrackFolder:
    """Find the annotations that lie beside the recordings below a folder.

    They are used where at least half of the recordings have some, or where no recording lies in a
    folder that could be its label. A person's go before a detector's.

    Args:
        folder: Where to look; hidden files and folders are left out.
        columns: Column of a field, where tables have another name than usual.
        follow_links: Whether links to folders are followed.
    """
    recordings, found = list[Path](), dict[Path, dict[Path, str]]()
    beside, n_texts = RecordingsBeside(), 0
    for parent, folders, names in os.walk(folder, followlinks=follow_links):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=to_nfc)
        paths = [Path(parent, name) for name in sorted(names, key=to_nfc) if name[:1] != "."]
        recordings += [path for path in paths if path.suffix.lower() in AUDIO]
        for path in paths:
            if path.suffix.lower() not in _TRACK_ENDINGS or (n_texts > _MOST_TEXTS and not found):
                continue
            with suppress(CorpusError, OSError):
                recording = beside.find(path)
                n_texts += recording is not None
                if recording is not None and (name := annotation_format(path, columns)):
                    found.setdefault(recording, {})[path] = name
    is_flat = all(path.parent == folder for path in recordings)
    if not found or not (is_flat or 2 * len(found) >= len(recordings)):
        n = counted(
            len(found), "recording has annotations beside it", "recordings have some beside them"
        )
        note = f"{n}, which are not used, as most recordings have none"
        return TrackFolder(formats={}, n_recordings={}, notes=(note,) if found else ())
    formats, n_recordings, n_heard = dict[Path, str](), Counter[str](), 0
    for tracks in found.values():
        by_people = {path: name for path, name in tracks.items() if name not in _OF_DETECTORS}
        n_heard += bool(by_people) and len(by_people) < len(tracks)
        formats.update(by_people or tracks)
        n_recordings.update(set((by_people or tracks).values()))
    return TrackFolder(
        formats=formats,
        n_recordings=dict(sorted(n_recordings.items())),
        notes=tuple(_notes_on_others([x for x in recordings if x not in found], n_heard)),
    )


def _notes_on_others(without: list[Path], n_heard: int) -> list[str]:
    notes = []
    if without:
        n = counted(
            len(without),
            "recording without annotations beside it is",
            "recordings without annotations beside them are",
        )
        notes.append(f"{n} left out, such as {without[0].name}")
    if n_heard:
        n = counted(n_heard, "recording", "recordings")
        notes.append(
            f"of {n} what a detector found is not used, as a person's annotations are there, too"
        )
    return notes


class WithoutSound:
    """Tells the rows of annotations whose sound is not there, or not surely.

    Those of which nobody is sure make no exemplar, nor do those of a recording in which BirdNET
    found nothing. A row that says which sound is not there makes one with ``not_labels``.

    Attributes:
        is_negative: Whether the last row says that its sound is not there.
    """

    def __init__(self) -> None:
        self.n_negative = self.n_nameless = self.n_unknown = self.n_nothing = 0
        self.is_negative = False
        self._names: tuple[str, ...] = ()
        self._polarity = ""
        self._is_birdnet = False

    def holds(self, record: Record, columns: Mapping[str, str], where: str) -> bool:
        """Whether a row makes no exemplar; ``is_negative`` is about it from then on.

        Args:
            record: The row.
            columns: Column of each field.
            where: The row's place, for messages.

        Raises:
            CorpusError: It says something else where that is said.
        """
        names = tuple(record)
        if names != self._names:
            folded = {name.lower(): name for name in names}
            column = polarity_column(folded)
            self._names, self._polarity = names, column and folded[column]
            # A column of labels may be called so, and without labels it is about something else.
            if columns.get("labels", self._polarity) == self._polarity:
                self._polarity = ""
            self._is_birdnet = "species code" in folded
        polarity = ""
        if self._polarity:
            polarity = read_polarity(record[self._polarity], self._polarity, where)
        is_nothing = self._is_birdnet and record.get(columns.get("labels", "")) == _NOTHING_FOUND
        self.is_negative = polarity == "negative" and not is_nothing
        is_named = bool(record.get(columns.get("labels", "")) or "not_labels" in columns)
        self.n_negative += self.is_negative and is_named
        self.n_nameless += self.is_negative and not is_named
        self.n_unknown += polarity == "unknown"
        self.n_nothing += is_nothing
        return is_nothing or polarity == "unknown" or (self.is_negative and not is_named)

    def notes(self) -> list[str]:
        """Count these rows, a sentence for each reason."""
        counts = (
            (self.n_nameless, "that a sound is not there, and not which", False),
            (self.n_unknown, "that nobody is sure", False),
            (self.n_nothing, "nocall, BirdNET's word for nothing found", False),
            (self.n_negative, "that a sound is not there", True),
        )
        return [
            f"{counted(n, 'row says', 'rows say')} {what}; "
            + ("kept as not_labels, which answer nothing" if kept else _no_exemplar(n))
            for n, what, kept in counts
            if n
        ]


def _no_exemplar(n: int) -> str:
    return f"{'it makes' if n == 1 else 'they make'} no exemplar"
