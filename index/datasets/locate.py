"""Finding the recording of a row: by its path, or by its name anywhere below the root."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.cells import fill
from earful.index.datasets.declaration import Audio

AUDIO_ENDINGS = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aiff", ".aif", ".au", ".webm"}
    | {".mkv", ".aac", ".wma", ".caf", ".flv", ".mov"}
)
_POINTER = b"version https://git-lfs"
_POINTER_BYTES = 1024


class Locator:
    """Looks for recordings below one folder.

    Args:
        root: The folder.
        audio: How a dataset names its recordings.
        allow_outside: Whether a link may lead out of the folder.
    """

    def __init__(self, root: Path, audio: Audio, *, allow_outside: bool = False) -> None:
        self._root = root
        self._resolved = root.resolve()
        self._audio = audio
        self._allow_outside = allow_outside

    def find(self, row: Mapping[str, Any], where: str) -> tuple[str, str]:
        """Return the recording's path below the root, or why there is none.

        Returns:
            ``(path, "")`` or ``("", what was looked for)``.

        Raises:
            CorpusError: The row names a path outside the root, or lacks a column.
        """
        looked_for: list[str] = []
        for template in self._audio.path:
            relative = fill(template, row, where)
            self._check(relative, where)
            looked_for.append(relative)
            if os.path.isfile(self._root / relative):
                return self._usable(os.path.normpath(relative), where)
        for template in self._audio.find:
            name = fill(template, row, where)
            looked_for.append(name)
            if found := self._named(os.path.basename(name)):
                return self._usable(found, where)
        return "", f"looked for {' and '.join(looked_for)}"

    def _usable(self, relative: str, where: str) -> tuple[str, str]:
        path = self._root / relative
        if not self._allow_outside and not path.resolve().is_relative_to(self._resolved):
            raise CorpusError(
                f"{where}: audio {str(path)!r} leads out of {self._root}; want it inside, or say "
                "--allow-outside"
            )
        size = path.stat().st_size
        if size <= _POINTER_BYTES:
            with open(path, "rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    return "", f"{relative} is a Git LFS pointer; fetch it with `git lfs pull`"
        if size < self._audio.min_bytes:
            return "", f"{relative} has {size} bytes; want {self._audio.min_bytes} or more"
        return relative, ""

    def _check(self, relative: str, where: str) -> None:
        path = os.path.normpath(relative)
        if os.path.isabs(path) or path == ".." or path.startswith(f"..{os.sep}"):
            raise CorpusError(
                f"{where}: audio {relative!r} lies outside {self._root}; want a path inside"
            )
        if "\0" in relative:
            raise CorpusError(f"{where}: the audio path holds a NUL character")

    def _named(self, name: str) -> str:
        """Look a base name up: as it is, without regard to case, then as a stem."""
        exact, folded, stems = self._names
        lower = name.lower()
        return exact.get(name) or folded.get(lower) or stems.get(lower, "")

    @cached_property
    def _names(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        exact: dict[str, str] = {}
        folded: dict[str, str] = {}
        stems: dict[str, str] = {}
        for parent, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                stem, ending = os.path.splitext(name)
                if name.startswith("._") or ending.lower() not in AUDIO_ENDINGS:
                    continue
                relative = os.path.relpath(os.path.join(parent, name), self._root)
                exact.setdefault(name, relative)
                folded.setdefault(name.lower(), relative)
                stems.setdefault(stem.lower(), relative)
        return exact, folded, stems

    @property
    def n_recordings(self) -> int:
        """How many recordings lie below the root, whatever names them."""
        return sum(
            os.path.splitext(name)[1].lower() in AUDIO_ENDINGS and not name.startswith("._")
            for _, _, names in os.walk(self._root)
            for name in names
        )


def placeholders(template: str) -> tuple[str, ...]:
    """Return the columns that a template names.

    >>> placeholders("audio/{fold}/{name:03d}.wav")
    ('fold', 'name')
    """
    return tuple(re.findall(r"{(\w+)[^}]*}", template))
