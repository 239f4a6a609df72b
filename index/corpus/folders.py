"""Corpus folders: their audio files and metadata tables, and the bounds of their root."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import NoReturn

from earful.errors import CorpusError
from earful.index.corpus.exemplar import to_nfc
from earful.index.corpus.tables import CLIP_COLUMNS, is_text_table, open_table, table_kind
from earful.object_stores import location_at, object_exists, object_head
from earful.wording import as_argument, quoted

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
CLIP_TABLE = "clips.csv"
SPLITS = ("train", "validation", "test")
# Endings of files that commonly lie beside audio and are none.
SIDECARS = frozenset(
    # texts, tables, pages and pictures
    {".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".parquet", ".toml", ".yaml", ".yml"}
    | {".html", ".pdf", ".png", ".jpg", ".rst", ".lab", ".textgrid", ".cue", "", ".jpeg", ".gif"}
    | {".svg", ".tif", ".tiff", ".bmp", ".webp", ".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt"}
    # annotations: ELAN, Sonic Visualiser, JAMS, Praat, transcripts, subtitles
    | {".eaf", ".etf", ".pfsx", ".svl", ".sv", ".jams", ".xml", ".trs", ".stm", ".ctm", ".rttm"}
    | {".srt", ".vtt", ".lrc", ".ass", ".pitchtier", ".ann", ".selections", ".mid", ".midi"}
    # what editors and players keep: waveforms, projects, lists
    | {".reapeaks", ".asd", ".pk", ".pkf", ".sfk", ".sfl", ".sfap0", ".ovw", ".wfm", ".peak"}
    | {".aup", ".aup3", ".rpp", ".rpp-bak", ".sesx", ".als", ".m3u", ".m3u8", ".pls"}
    # computers' own
    | {".log", ".ini", ".db", ".nfo", ".md5", ".sha1", ".sha256", ".sfv", ".bak", ".tmp", ".lnk"}
    | {".zip", ".gz", ".tar", ".7z", ".rar", ".npy", ".npz", ".pkl", ".h5", ".hdf5", ".mat"}
    | {".py", ".r", ".sh", ".ipynb", ".url", ".gpx", ".kml"}
)
# Endings of recordings: what cannot be read with one of them is a broken recording.
AUDIO = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3"}
    | {".mp2", ".mp1", ".mpga", ".m4a", ".m4b", ".mp4", ".aac", ".aif", ".aiff", ".aifc", ".au"}
    | {".snd", ".caf", ".wv", ".ape", ".tak", ".tta", ".wma", ".asf", ".webm", ".mka", ".mkv"}
    | {".amr", ".3gp", ".3g2", ".ac3", ".eac3", ".dts", ".mov", ".avi", ".mpg", ".mpeg", ".ts"}
    | {".flv", ".sph", ".nist", ".voc", ".gsm", ".raw", ".pcm", ".mpc", ".sd2", ".paf", ".svx"}
    | {".iff", ".ircam", ".sf", ".pvf", ".htk", ".sds", ".avr", ".wve", ".dsf", ".dff", ".vox"}
)
# How files begin that hold sound; with any other ending, or none, they count as audio.
_BEGINNINGS = (
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3", b"wvpk", b"MAC ", b"caff"),
    *(b".snd", b"dns.", b"NIST_1A", b"Creative Voice", b"#!AMR", b"TTA", b"tBaK", b"\x0bw"),
    *(b"riff", b"\x1aE\xdf\xa3", b"0&\xb2u", b"FLV", b"MP+", b"MPCK", b"DSD ", b"FRM8", b"ajkg"),
)
_HEAD_BYTES = 64
# So many recordings of a table that are not there are no accident.
_MOST_ABSENT, _FEWEST_ABSENT = 20, 3
_MOST_FOLDERS = 1_000
_TABLE_BYTES = 1 << 22


def audio_files(
    folder: Path, *, follow_links: bool = False, passed_over: Counter[str] | None = None
) -> Iterator[Path]:
    """Yield the recordings below a folder in a fixed order, and count what is none.

    Hidden files are left out. A file is a recording by the ending of its name, or by how it
    begins.

    Args:
        folder: Where to look.
        follow_links: Whether links to folders are followed.
        passed_over: Counts the files that are no audio, by their endings in lower case.

    Raises:
        CorpusError: A folder cannot be read, is a link that must not be followed, or is met
            twice: a link to a folder above would be followed for ever.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=follow_links, onerror=_unreadable):
        here = os.stat(parent)
        if (here.st_dev, here.st_ino) in seen:
            raise CorpusError(
                f"{parent}: was already read under another name, by a link; remove one of the two"
            )
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=to_nfc)
        for name in folders:
            if not follow_links and os.path.islink(os.path.join(parent, name)):
                raise CorpusError(
                    f"{os.path.join(parent, name)}: is a link to a folder; put the folder itself "
                    "there, or pass --allow-outside to follow links"
                )
        for name in sorted(names, key=to_nfc):
            path = Path(parent, name)
            if name.startswith("."):
                continue
            ending = path.suffix.lower()
            if ending not in SIDECARS and (ending in AUDIO or _begins_like_audio(path)):
                yield path
            elif passed_over is not None:
                passed_over[ending] += 1


def _begins_like_audio(path: Path) -> bool:
    """Whether a file of unknown ending begins like sound; also one of which that is unknown."""
    try:
        if not path.is_file():
            return True  # such as a pipe, or a link to nowhere: the decoder says what it is
        if (stored := location_at(path)) is not None:
            head = object_head(stored)
        else:
            with open(path, "rb") as file:
                head = file.read(_HEAD_BYTES)
    except OSError:
        return True
    is_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    is_utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    return (
        not head
        or head.startswith(_BEGINNINGS)
        or head[4:8] in (b"ftyp", b"moov", b"mdat")
        or (is_mpeg and not is_utf16)
    )


def recording_beside(table: Path, folder: Path) -> str:
    """Find the recording that a text of annotations is about, by its name.

    Args:
        table: Such as ``night.Table.1.selections.txt`` or ``night.txt``.
        folder: Holds ``night.wav``.

    Returns:
        The recording's name.

    Raises:
        CorpusError: There is none, or there are several.
    """
    stem = table.name
    found: list[str] = []
    while not found and "." in stem:
        stem = stem.rsplit(".", 1)[0]
        found = [
            path.name
            for path in sorted(folder.iterdir())
            if path.stem == stem and path.suffix.lower() in AUDIO
        ]
    if len(found) != 1:
        seen = f"{folder} holds {' and '.join(found)}" if found else f"{folder} holds none"
        first = table.name.split(".", 1)[0]
        raise CorpusError(
            f"{table}: no column names the audio, and {seen}; expected one recording of the same "
            f"name, such as {first}.wav, beside it"
        )
    return found[0]


class FirstFiles:
    """Looks whether the first recordings of a table are there: if none is, its root is wrong.

    Args:
        corpus_root: Folder that the recordings' paths are relative to.
        table: The table.
        advise_options: Whether options may be named.
    """

    def __init__(self, corpus_root: Path, table: Path, *, advise_options: bool) -> None:
        self._root, self._table, self._advise_options = corpus_root, table, advise_options
        self._absent: dict[str, None] = {}
        self._is_one_there = False

    def add(self, audio: PurePosixPath) -> None:
        """Look for a recording.

        Raises:
            CorpusError: None of the first ones is there.
        """
        if self._is_one_there or str(audio) in self._absent:
            return
        path = self._root / audio
        stored = location_at(path)
        self._is_one_there = os.path.lexists(path) if stored is None else object_exists(stored)
        self._absent[str(audio)] = None
        if len(self._absent) >= _MOST_ABSENT:
            self.require_one()

    def require_one(self) -> None:
        """Refuse a table of several recordings of which none is there.

        Raises:
            CorpusError: None of the recordings so far is there.
        """
        n = len(self._absent)
        if self._is_one_there or n < _FEWEST_ABSENT:
            return
        first = "" if n < _MOST_ABSENT else "first "
        shown = ", ".join(quoted(name) for name in list(self._absent)[:_FEWEST_ABSENT])
        fault = f"{self._table}: none of its {first}{n} recordings is below {self._root} ({shown})"
        if self._advise_options:
            here = self._folder_nearby(next(iter(self._absent)))
            table = as_argument(str(self._table))
            fault += (
                "; name the folder that they lie in, as does "
                f"`earful index build {table} --root {here}`"
            )
        raise CorpusError(fault)

    def _folder_nearby(self, name: str) -> str:
        """Return a folder near the table that holds a recording; ``"FOLDER"`` without one."""
        above = self._table.parent
        for parent in (above, above.parent):
            folders = list[Path]()
            with suppress(OSError):
                folders = sorted(x for x in islice(parent.iterdir(), _MOST_FOLDERS) if x.is_dir())
            for folder in (parent, *folders):
                if os.path.lexists(folder / name):
                    return as_argument(str(folder))
        return "FOLDER"


def require_audio(is_there: object, folder: Path) -> None:
    """Refuse a folder per label in which no recording was found, and say what it is instead.

    Args:
        is_there: Whether one was found.
        folder: The folder.

    Raises:
        CorpusError: None was.
    """
    if is_there:
        return
    for name, kind in (("index.json", "an index"), ("scan.json", "a scan")):
        if (folder / name).is_file():
            raise CorpusError(
                f"{folder}: is {kind}, expected a corpus; give the folder or table of its "
                "recordings"
            )
    raise CorpusError(f"{folder}: holds no audio files; expected a folder per label")


def tables_near(folder: Path, recordings: Iterable[str]) -> list[Path]:
    """Return the tables that name recordings, in a folder and its folders, in order.

    Args:
        folder: Such as ``ESC-50-master``, which holds ``meta/esc50.csv``.
        recordings: Names of files.
    """
    found, names = list[Path](), [os.fsencode(name) for name in recordings]
    for path in islice(chain(folder.glob("*"), folder.glob("*/*")), _MOST_FOLDERS):
        if table_kind(path) in ("csv", "tsv", "jsonl"):
            with suppress(CorpusError), open_table(path) as file:
                head = file.read(_TABLE_BYTES)
                found += [path] if all(name in head for name in names) else []
    return sorted(found)


def annotations_in(folder: Path, known: Collection[str]) -> list[str]:
    """Return the names of the tables of rows about recordings in a folder, in order."""
    found = []
    for path in sorted(folder.iterdir()):
        kind = table_kind(path)
        if kind is None or path.name.startswith(".") or not path.is_file():
            continue
        try:
            if kind != "txt" or is_text_table(path, known):
                found.append(path.name)
        except CorpusError:
            continue  # no text; its other reader says so
    return found


def _unreadable(error: OSError) -> NoReturn:
    raise CorpusError(f"{error.filename}: cannot be read ({error.strerror})") from error


def metadata_tables(folder: Path) -> tuple[tuple[Path, Path, str], ...]:
    """Find a folder's audiofolder tables, the folders of their paths, and their splits.

    Args:
        folder: Holds a ``metadata.*`` itself, or in its split folders, or the table of clips
            that were cut from a scan's events.

    Returns:
        ``(table, folder that its paths are relative to, split)`` each; empty when there is
        none.

    Raises:
        CorpusError: One folder holds several.
    """
    here = [folder / name for name in METADATA if os.path.lexists(folder / name)]
    if not here and _is_of_clips(folder / CLIP_TABLE):
        here = [folder / CLIP_TABLE]
    if len(here) > 1:
        names = " and ".join(path.name for path in here)
        raise CorpusError(f"{folder}: holds {names}; expected one of them")
    if here:
        return ((here[0], folder, ""),)
    return tuple(
        (folder / split / name, folder / split, split)
        for split in SPLITS
        for name in METADATA
        if os.path.lexists(folder / split / name)
    )


def _is_of_clips(path: Path) -> bool:
    """Whether a table is one that lists clips of a scan's events, with their groups."""
    with suppress(CorpusError, OSError):
        if os.path.isfile(path):
            with open_table(path) as file:
                header = ",".join(CLIP_COLUMNS).encode()
                return file.read(len(header) + 1).rstrip(b"\r\n") == header
    return False


def require_inside(path: Path, root: Path, where: str, *, allow_outside: bool) -> str:
    """Refuse a path that leads out of a corpus root, by itself or by a link.

    Args:
        path: Absolute path of an audio file.
        root: The resolved root.
        where: The row or file that names it, for messages.
        allow_outside: Whether any path is allowed.

    Returns:
        Why the file is not to be read, for a link to nothing; else ``""``.

    Raises:
        CorpusError: The path leads out of the root, and may not.
    """
    target = real_path(path)
    if allow_outside or target.is_relative_to(root):
        return ""
    if path.is_relative_to(root) and not os.path.lexists(target):
        return f"{path}: leads by a link to {quoted(str(target))}, which does not exist"
    leads = f" leads to {quoted(str(target))}, which" if path.is_relative_to(root) else ""
    raise CorpusError(
        f"{where}: audio {quoted(str(path))}{leads} lies outside {root}; move it inside, or pass "
        "--allow-outside"
    )


def real_path(path: Path) -> Path:
    """Follow all links; unlike ``Path.resolve`` this accepts links that lead in a circle."""
    return Path(os.path.realpath(path))
