"""RecordingNames: which recording annotations mean by a path, a name, or a name without ending."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath


class RecordingNames:
    """The recordings of a scan, to be found by what annotations call them.

    Args:
        recordings: Their paths.
    """

    def __init__(self, recordings: Sequence[str]) -> None:
        self._given = {os.path.realpath(path): path for path in recordings}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_folders: dict[str, list[str]] = defaultdict(list)
        for path in dict.fromkeys(recordings):
            name = PurePath(path).name
            self._by_name[_folded(name)].append(path)
            self._by_stem[_folded(PurePath(name).stem)].append(path)
            # Exports are named so where several recordings have one name.
            folders = [part for part in PurePath(path).parent.parts if part not in ("/", "..")]
            for last in {name, PurePath(name).stem}:
                self._by_folders[_folded("_".join([*folders, last]))].append(path)

    def __len__(self) -> int:
        return len(self._given)

    @property
    def paths(self) -> list[str]:
        """The recordings, each once, as the scan calls them."""
        return list(self._given.values())

    def as_given(self, path: str) -> str:
        """Return a recording as the scan calls it, another path as it is."""
        return self._given.get(os.path.realpath(path), path)

    def find(self, name: str, folder: Path) -> str | None:
        """Find a recording.

        A path that is there from here, or from the folder of the annotations, is that file. Else it
        is the one recording whose path ends so, whose name is that, or whose name without ending
        is that, or with its folders before it, as exports of recordings of one name are called;
        case counts only where it tells two apart.

        Args:
            name: As the annotations call it.
            folder: Holds the annotations.

        Returns:
            Its path, as the scan calls it; ``None`` if there is none, or several.
        """
        plain = name.replace("\\", "/") if "/" not in name else name
        for path in (name, os.path.join(folder, name), os.path.join(folder, plain)):
            real = os.path.realpath(path)
            if real in self._given:
                return self._given[real]
        if os.path.isabs(name) and os.path.isfile(name):
            return name
        parts = PurePath(plain).parts
        of_name = self._by_name[_folded(parts[-1])] if parts else []
        n_parts = len(parts)
        endings = [path for path in of_name if PurePath(path).parts[-n_parts:] == parts]
        of_stem = self._by_stem[_folded(PurePath(plain).stem)] if parts else []
        # A name without an ending may hold dots itself.
        of_dotted = self._by_stem[_folded(parts[-1])] if parts else []
        exact = [path for path in of_name if PurePath(path).name == parts[-1]]
        of_folders = self._by_folders[_folded(name)]
        for candidates in (endings, exact, of_name, of_dotted, of_stem, of_folders):
            if len(candidates) == 1:
                return candidates[0]
        for path in (name, os.path.join(folder, name), os.path.join(folder, plain)):
            if os.path.isfile(path):
                return os.fspath(path)
        return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
