"""Names of the files that each recording gets one of."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from earful.system import folded_name, portable_name

# With the longest ending this still fits into the 255 bytes that file systems allow.
_MOST_BYTES: Final = 200


def names_of_recordings(recordings: Iterable[str]) -> dict[str, str]:
    """Return a name for each recording's files: its own without the ending, where that is enough.

    Of ``a/night.wav`` and ``b/night.wav`` they are ``a_night`` and ``b_night``; where even those
    meet, as with ``night.wav`` and ``night.flac``, the ending stays; at last a digest tells them.

    >>> names_of_recordings(["a/night.wav", "b/night.wav", "c/day.flac"])
    {'a/night.wav': 'a_night', 'b/night.wav': 'b_night', 'c/day.flac': 'day'}
    """
    wanted = list(dict.fromkeys(recordings))
    left = wanted
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name_of in (_stem, _stem_and_folders, _name_and_folders, _with_digest):
        names = {recording: fitting_name(name_of(recording), recording) for recording in left}
        times = Counter(map(folded_name, names.values()))
        found |= {
            recording: name
            for recording, name in names.items()
            if times[folded_name(name)] == 1 and folded_name(name) not in taken
        }
        taken.update(folded_name(name) for name in found.values())
        left = [recording for recording in left if recording not in found]
    return {recording: found[recording] for recording in wanted}


def _stem(recording: str) -> str:
    return PurePosixPath(recording).stem


def _stem_and_folders(recording: str) -> str:
    path = PurePosixPath(recording)
    return "_".join([*_folders(path), path.stem])


def _name_and_folders(recording: str) -> str:
    path = PurePosixPath(recording)
    return "_".join([*_folders(path), path.name])


def _with_digest(recording: str) -> str:
    digest = hashlib.sha256(recording.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_name_and_folders(recording)}_{digest[:16]}"


def _folders(path: PurePosixPath) -> list[str]:
    return [part for part in path.parent.parts if part not in ("/", ".", "..")]


def fitting_name(name: str, whole: str) -> str:
    """Return a name that a file may have; a long one is cut, and gets a digest of the whole."""
    name = portable_name(name.lstrip(".") or "recording")
    if len(name.encode("utf-8", "surrogateescape")) <= _MOST_BYTES:
        return name
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    cut = name.encode("utf-8", "surrogateescape")[: _MOST_BYTES - len(digest) - 1]
    return f"{cut.decode('utf-8', 'ignore')}_{digest}"
