r"""Paths of another computer: recordings that lie here under another folder.

A table written elsewhere names ``/home/anna/rec/x.wav`` or ``D:\rec\x.wav``. What does not exist
here is looked for below the corpus root by the end of its path. Nothing outside is looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from earful.errors import CorpusError
from earful.wording import counted, quoted

# A drive, another computer, or the root of a file system.
_ABSOLUTE = re.compile(r"[a-zA-Z]:(?!//)|[/\\]|~/")
# A larger root is not listed: only its own top is looked at.
_MOST_FILES = 200_000


class MovedPaths:
    """Finds recordings below a root that a table names by paths of another computer.

    Args:
        root: The resolved root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[tuple[str, ...]]] | None = None
        # What was found here, and the path that it was found by.
        self._found: dict[str, str] = {}
        self._slashed: dict[str, str] = {}

    def find(self, named: str, folder: Path, where: str, *, by_tail: bool) -> tuple[str, str]:
        r"""Return the path of a recording here, and why there is none, or ``""``.

        Args:
            named: The path as the table has it.
            folder: Folder that the table's paths are relative to.
            where: The row's place, for messages.
            by_tail: Whether a relative path may be looked for by its end, too.

        Raises:
            CorpusError: Two paths of another computer end in the same recording here.
        """
        is_absolute = _ABSOLUTE.match(named) is not None
        if not (is_absolute or by_tail or "\\" in named) or os.path.lexists(folder / named):
            return named, ""
        if Path(os.path.normpath(named)).is_relative_to(self._root):
            return named, ""  # of this computer, and gone
        parts = [part for part in re.split(r"[/\\]", re.sub(r"^[a-zA-Z]:", "", named)) if part]
        parts = [part for part in parts if part not in (".", "~")]
        if not parts or ".." in parts:
            return named, ""
        if not is_absolute and os.path.lexists(folder / "/".join(parts)):
            self._slashed["/".join(parts)] = named
            return "/".join(parts), ""
        if not (is_absolute or by_tail):
            return named, ""
        here, fault = self._search(parts, folder)
        if not here:
            # Without its root, so that it cannot lie outside.
            return named.lstrip("/"), f"{quoted(named)} is a path of another computer, and {fault}"
        first = self._found.setdefault(here, named)
        if _plain(first) != _plain(named):
            raise CorpusError(
                f"{where}: audio {quoted(named)} and {quoted(first)} would both be "
                f"{quoted(here)} here, by the ends of their paths; expected a recording here for "
                "each: copy their folders as well, and write paths relative to the table"
            )
        return str(self._root / here), ""

    def notes(self) -> list[str]:
        """Count what was found under another path, a sentence each."""
        notes = []
        for found, how in (
            (self._found, "of another computer"),
            (self._slashed, "with backslashes"),
        ):
            if found:
                here, named = next(iter(found.items()))
                notes.append(
                    f"{counted(len(found), 'recording is', 'recordings are')} named by paths {how} "
                    f"and found here, such as {quoted(named)} as {here}"
                )
        return notes

    def _search(self, parts: list[str], folder: Path) -> tuple[str, str]:
        """Return the file that shares the longest end with a path, or why none does."""
        name, best, winners = parts[-1], 0, list[tuple[str, ...]]()
        tails = ["/".join(parts[first:]) for first in range(len(parts))]
        direct = next((folder / tail for tail in tails if os.path.lexists(folder / tail)), None)
        beside = None if direct is None else direct.relative_to(self._root).parts
        for path in {*self._named(name), *([beside] if beside else [])}:
            n = _n_shared(path, parts)
            if n > best:
                best, winners = n, []
            if n == best:
                winners.append(path)
        if beside in winners:
            return "/".join(beside or ()), ""
        if best > 1 and len(winners) == 1:
            return "/".join(winners[0]), ""
        shown = " and ".join(sorted("/".join(path) for path in winners)[:2])
        if not shown:
            return "", f"no file below {self._root} has that name"
        if best > 1:
            return "", f"it may be {shown} here; write the path that is meant"
        return (
            "",
            f"beside the table there is no such file, only {shown}; write that, if it is meant",
        )

    def _named(self, name: str) -> list[tuple[str, ...]]:
        """Return the paths below the root, in parts, of the files of a name."""
        if self._by_name is None:
            self._by_name, n = {}, 0
            for parent, folders, names in os.walk(self._root):
                folders[:] = sorted(each for each in folders if not each.startswith("."))
                here = Path(parent).relative_to(self._root).parts
                for each in names:
                    self._by_name.setdefault(each, []).append((*here, each))
                if (n := n + len(names)) > _MOST_FILES:
                    self._by_name = {}
                    break
        return self._by_name.get(name, [])


def _n_shared(path: tuple[str, ...], parts: list[str]) -> int:
    n = 0
    for one, other in zip(reversed(path), reversed(parts), strict=False):
        if one != other:
            break
        n += 1
    return n


def _plain(named: str) -> str:
    return named.replace("\\", "/").casefold()
