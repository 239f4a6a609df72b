"""Recordings below some paths: files as given, folders read to their bottom in a fixed order."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from earful.errors import CorpusError
from earful.index.corpus import source_path
from earful.object_stores import is_address
from earful.values import short_repr
from earful.wording import quoted

# Of a folder; any file may be given by itself.
_ENDINGS: Final = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif"}
    | {".aiff", ".aifc", ".au", ".caf"}
    # By the extra `media`; without it each is a row that says so.
    | {".m4a", ".m4b", ".mp4", ".aac", ".wma", ".webm", ".mka", ".amr", ".3gp", ".wv", ".ac3"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecording:
    """A recording that was asked for.

    Attributes:
        path: Its path: as given, or below a folder as that was given.
        skipped: Why it is not read; empty if it is.
    """

    path: str
    skipped: str = ""

    __repr__ = short_repr


def find_recordings(
    paths: Sequence[str | os.PathLike[str]], *, allow_outside: bool = False
) -> list[FoundRecording]:
    """Find recordings by their endings, in any case; hidden files and folders are left out.

    Args:
        paths: Files, of any ending, and folders.
        allow_outside: Whether links that lead out of a folder are followed.

    Returns:
        Each once, in the order of the paths, folders sorted. What is no file, or leads out of its
        folder by a link, is there with the reason why it is skipped.

    Raises:
        CorpusError: A path does not exist, a folder cannot be read, or there is no recording.
    """
    found: dict[str, FoundRecording] = {}
    given = [str(source_path(path) if is_address(path) else path) for path in paths]
    for path in given:
        if not os.path.lexists(path):
            raise CorpusError(
                f"{path}: no such file or folder; expected a recording, or a folder of some"
            )
        if os.path.isdir(path):
            each: Iterator[FoundRecording] = _below(path, allow_outside=allow_outside)
        else:
            each = iter([FoundRecording(path=path, skipped=_no_file(path))])
        for recording in each:
            # The same file given twice, by itself and by its folder.
            found.setdefault(os.path.abspath(recording.path), recording)
    if not found:
        raise CorpusError(
            f"{', '.join(given) or 'no path'}: no recording is there; expected "
            "files such as .wav, .flac, .ogg or .mp3"
        )
    return list(found.values())


def _below(folder: str, *, allow_outside: bool) -> Iterator[FoundRecording]:
    root = os.path.realpath(folder)
    seen = {root}
    for parent, folders, names in os.walk(folder, followlinks=allow_outside, onerror=_unreadable):
        kept = []
        for name in sorted(folders, key=_in_order):
            path = os.path.join(parent, name)
            if name.startswith("."):
                continue
            if os.path.islink(path):
                target = os.path.realpath(path)
                if not allow_outside:
                    yield FoundRecording(
                        path=path,
                        skipped="is a link to a folder; put the folder itself there, or pass "
                        "--allow-outside",
                    )
                    continue
                if target in seen or root.startswith(target + os.sep):
                    yield FoundRecording(path=path, skipped="is a link to a folder read already")
                    continue
                seen.add(target)
            kept.append(name)
        folders[:] = kept
        for name in sorted(names, key=_in_order):
            path = os.path.join(parent, name)
            if not name.startswith(".") and Path(name).suffix.lower() in _ENDINGS:
                skipped = _no_file(path)
                if not skipped and not allow_outside:
                    skipped = _outside(path, root)
                yield FoundRecording(path=path, skipped=skipped)


def _no_file(path: str) -> str:
    """Return why a path is not read; ``""`` if it is, or if the decoder says it better."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    )
    for is_kind, kind in kinds:
        if is_kind(mode):
            return f"is {kind}, expected a file"
    return ""


def _outside(path: str, root: str) -> str:
    """Return where a link leads, out of a folder; ``""`` if it stays in it."""
    if not os.path.islink(path):
        return ""
    target = os.path.realpath(path)
    if target.startswith(root + os.sep):
        return ""
    return f"leads to {quoted(target)}, outside the folder; move it inside, or pass --allow-outside"


def _in_order(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _unreadable(error: OSError) -> NoReturn:
    raise CorpusError(f"{error.filename}: cannot be read ({error.strerror})") from error
