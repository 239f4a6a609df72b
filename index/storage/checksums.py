"""``checksums.txt``: the digest of every file that the table consists of.

LanceDB keeps no checksum of what it stores, so a bit flipped on the disk would end up in an
answer. But it never changes a file once written: each is digested when its commit is flushed,
and compared before its rows are used. The list has the form of ``sha256sum``, so that any
machine can check an index without this package:
``cd sounds.index && sha256sum --check checksums.txt``.

Files may be missing from the list, such as those of a commit that a kill cut short and those
of an index made before the list existed; their rows are checked one by one by their own
digests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from earful.errors import IndexFolderError
from earful.index.storage.header import write_text
from earful.model.runtime import sha256_of
from earful.system import flush

CHECKSUMS_NAME: Final = "checksums.txt"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S+)")


class Checksums:
    """The digests of files below a folder, by their path relative to it.

    Args:
        folder: The index folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / CHECKSUMS_NAME
        self._listed: dict[str, str] = {}
        # Files that were read and matched; they never change, so once is enough.
        self._matched: set[str] = set()
        self._read_at: tuple[int, ...] = ()
        self.reload()

    def __contains__(self, name: str) -> bool:
        return name in self._listed

    def names(self) -> list[str]:
        """Return the listed files."""
        return list(self._listed)

    def reload(self) -> None:
        """Read what other processes have listed since."""
        try:
            read_at = _state(os.stat(self._path))
            if read_at == self._read_at:
                return
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            self._listed, self._read_at = {}, ()
            return
        except OSError as error:
            raise IndexFolderError(f"{self._path}: cannot be read ({error.strerror})") from error
        # A line that is torn or damaged lists nothing; a torn one has no end.
        found = (_LINE.fullmatch(line) for line in text.split("\n")[:-1])
        listed = {match[2]: match[1] for match in found if match}
        self._matched = {
            name for name in self._matched if listed.get(name) == self._listed.get(name)
        }
        self._listed, self._read_at = listed, read_at

    def is_damaged(self, name: str) -> bool:
        """Tell whether a listed file is there and its bytes are not those that were listed."""
        if name not in self._listed or name in self._matched:
            return False
        try:
            matches = sha256_of(self._folder / name) == self._listed[name]
        except FileNotFoundError:
            return False
        except OSError:
            return True
        if matches:
            self._matched.add(name)
        return not matches

    def add(self, names: Iterable[str]) -> None:
        """Digest files that were just written, and list them.

        Raises:
            OSError: A file cannot be read, or the list cannot be written.
        """
        found = {name: sha256_of(self._folder / name) for name in sorted(names)}
        if not found:
            return
        with open(self._path, "a+b") as file:
            before = _state(os.fstat(file.fileno()))
            # What a kill left of a line must not spoil the next one.
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write("".join(f"{digest}  {name}\n" for name, digest in found.items()).encode())
            file.flush()
            flush(file.fileno())
            after = _state(os.fstat(file.fileno()))
        self._listed |= found
        self._matched |= found.keys()
        if before == self._read_at:
            # Nobody else has written since it was read, so it need not be read again.
            self._read_at = after

    def keep(self, is_kept: Callable[[str], bool]) -> None:
        """Drop from the list every file of which ``is_kept`` is false.

        Raises:
            IndexFolderError: The list cannot be written.
        """
        kept = {name: digest for name, digest in self._listed.items() if is_kept(name)}
        if len(kept) < len(self._listed):
            lines = (f"{digest}  {name}\n" for name, digest in sorted(kept.items()))
            write_text(self._path, "".join(lines))
            self._listed = kept


def _state(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes whenever a file is written."""
    return (status.st_ino, status.st_size, status.st_mtime_ns)
