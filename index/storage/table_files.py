"""Table files: flushed and listed when new, checked before their rows are used.

And the folder around them: whether an index may begin in it, or is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from earful.errors import IndexFolderError
from earful.files import temporary_name
from earful.index.remote import name_of
from earful.index.storage.checksums import CHECKSUMS_NAME, Checksums
from earful.index.storage.header import HEADER_NAME
from earful.index.storage.lock import LOCK_NAME
from earful.index.storage.versions import (
    LANCE_FOLDER,
    TABLE_FOLDER,
    is_manifest,
    manifest_name,
    move_to_quarantine,
    newest_listed,
    version_of,
)
from earful.object_stores import is_address
from earful.system import lock_marker, relative_path, sync_file, sync_folder
from earful.wording import as_argument

DATA: Final = "data"
DELETIONS: Final = "_deletions"
INDICES: Final = "_indices"
_DELETION: Final = re.compile(rf"/{DELETIONS}/(?P<file>\d+)-(?P<version>\d+)-\d+\.\w+$")
# LanceDB rewrites one file only: a hint to the newest version.
_CHANGING: Final = (".json",)


class TableFiles:
    """The files of one table.

    Args:
        folder: The index folder.
        checksums: Its list of digests.
    """

    def __init__(self, folder: Path, checksums: Checksums) -> None:
        self._folder = folder
        self._checksums = checksums
        self._synced = files_of(folder)

    def sync_all(self) -> None:
        """Flush and list every file, and drop missing ones from the list.

        Raises:
            OSError: A file cannot be read, or the list cannot be written.
        """
        self._synced = set()
        self.sync()
        self.prune()

    def sync(self) -> None:
        """Flush and list the files that are new since the last call; flush their folders.

        Raises:
            OSError: A file cannot be read, or the list cannot be written.
        """
        new = files_of(self._folder) - self._synced
        for name in sorted(new):
            sync_file(self._folder / name)
        for parent in sorted({os.path.dirname(name) for name in new}):
            sync_folder(self._folder / parent)
        self._checksums.add(name for name in new if Path(name).suffix not in _CHANGING)
        self._synced |= new

    def list_rest(self, version: int) -> None:
        """List the files of a version that are not listed yet, with their digests.

        Raises:
            OSError: A file cannot be read, or the list cannot be written.
        """
        self._checksums.add(self.unlisted(version))

    def unlisted(self, version: int) -> list[str]:
        """Return the files of a version that are not listed."""
        self.reload()
        in_use = {manifest_name(version), *self._in_use(version, (DATA, DELETIONS, INDICES))}
        return sorted(name for name in in_use if name not in self._checksums)

    def prune(self) -> None:
        """Drop missing files from the list."""
        self._checksums.keep(files_of(self._folder).__contains__)

    def reload(self) -> None:
        """Read what other processes have listed since."""
        self._checksums.reload()

    def forget_lost(self, version: int) -> None:
        """Drop versions from the list that are newer than the newest one left.

        They were damaged, and the user was warned; their numbers are used again.
        """
        if self.has_lost(version):
            self._checksums.keep(lambda name: not is_manifest(name) or version_of(name) <= version)

    def has_lost(self, version: int) -> bool:
        """Tell whether a version newer than this one was listed, and is gone."""
        return newest_listed(self._checksums) > version

    def check(self, version: int, kinds: Collection[str]) -> bool:
        """Compare the files of a version with their digests; each is read once.

        Args:
            version: The version that is read.
            kinds: The folders whose files are compared.

        Returns:
            Whether all of them are listed. Rows of others must be checked by their own digests.

        Raises:
            IndexFolderError: The bytes of a file are not those that were written.
        """
        return self.check_named(self._in_use(version, kinds))

    def check_named(self, names: Collection[str]) -> bool:
        """Compare some files with their digests; each is read once.

        Args:
            names: Relative to the index folder.

        Returns:
            Whether all of them are listed.

        Raises:
            IndexFolderError: The bytes of a file are not those that were written.
        """
        self.reload()
        for name in names:
            if self._checksums.is_damaged(name):
                raise IndexFolderError(
                    f"{self._folder}: {name} is damaged, its bytes are not those that were "
                    f"written. `earful index verify {as_argument(self._folder)} --repair` keeps "
                    "the undamaged rows and embeds the others again"
                )
        return all(name in self._checksums for name in names)

    def quarantine_damaged(self, version: int) -> None:
        """Move damaged files to the quarantine, and drop them and lost versions from the list.

        Args:
            version: The version that was just written.

        Raises:
            OSError: The folder cannot be written.
        """
        damaged = self.damaged(version)
        move_to_quarantine(self._folder, sorted(files_of(self._folder).intersection(damaged)))
        self.forget_lost(version)
        self.prune()

    def damaged(self, version: int) -> list[str]:
        """Return the files whose bytes are not those that were written, or that are missing.

        Args:
            version: The version that is searched; files of older ones may be gone.
        """
        self.reload()
        manifest = self._manifest(version)
        there = files_of(self._folder)
        return [
            name
            for name in sorted(self._checksums.names())
            if (
                self._checksums.is_damaged(name)
                if name in there
                else self._is_missed(name, version, manifest)
            )
        ]

    def _is_missed(self, name: str, version: int, manifest: bytes) -> bool:
        if is_manifest(name):
            return version_of(name) > version
        return is_data(name) and Path(name).name.encode() in manifest

    def _manifest(self, version: int) -> bytes:
        try:
            return (self._folder / manifest_name(version)).read_bytes()
        except OSError:
            # Another process dropped this version; the files that are left still count.
            return b""

    def _in_use(self, version: int, kinds: Collection[str]) -> list[str]:
        """Return the files of a version below some folders, and a few of other versions."""
        manifest = self._manifest(version)
        folders = [f"{LANCE_FOLDER}/{kind}" for kind in kinds]
        names = sorted(name for below in folders for name in files_of(self._folder, below))
        deletions: dict[str, tuple[int, str]] = {}
        for name in names:
            # A later file repeats all that earlier ones mark; one being written does not count.
            if (match := _DELETION.search(name)) and int(match["version"]) < version:
                found = (int(match["version"]), name)
                deletions[match["file"]] = max(deletions.get(match["file"], found), found)
        return [
            *(name for _, name in deletions.values()),
            *(name for name in names if f"/{INDICES}/" in name),
            *(name for name in names if os.path.basename(name).encode() in manifest),
        ]


def is_data(name: str) -> bool:
    """Tell whether a file of an index holds rows.

    Args:
        name: Relative to the index folder.
    """
    return f"/{DATA}/" in name


def files_of(folder: Path, below: str = TABLE_FOLDER) -> set[str]:
    """Return the files of the table, relative to the index folder.

    Args:
        folder: The index folder.
        below: A folder in it; only files below it are returned.
    """
    found: set[str] = set()
    for parent, _, names in os.walk(folder / below):
        inside = relative_path(parent, folder)
        found.update(f"{inside}/{name}" for name in names)
    return found


def require_unused(folder: Path) -> None:
    """Accept an empty folder, and one in which a kill left an index half made.

    Raises:
        IndexFolderError: There is an index, or somebody else's files.
    """
    present = set(os.listdir(folder))
    if HEADER_NAME in present:
        raise IndexFolderError(f"{folder}: holds an index already; open that, or name a new folder")
    lock = folder / LOCK_NAME
    half_made = {lock.name, lock_marker(lock).name, TABLE_FOLDER, CHECKSUMS_NAME}
    half_made.add(temporary_name(HEADER_NAME))
    # The lock comes first: without it, even a folder called "table" is somebody else's.
    if foreign := sorted(present - half_made if LOCK_NAME in present else present):
        raise IndexFolderError(
            f"{folder}: holds other files ({', '.join(foreign[:3])}); choose a new folder or an "
            "index"
        )


def require_index(folder: Path, path: str | os.PathLike[str]) -> None:
    """Accept the folder of an index.

    Args:
        folder: The folder.
        path: As it was given, for commands in errors.

    Raises:
        IndexFolderError: It is missing, a file, or holds no index yet.
    """
    if folder.exists() and not folder.is_dir():
        raise IndexFolderError(f"{folder}: is a file; expected the folder of an index")
    if not folder.is_dir() and is_address(name := name_of(folder)):
        raise IndexFolderError(
            f"{name}: there is no such index; build one with `earful index build CORPUS --index "
            f"{as_argument(name)}`"
        )
    if not folder.is_dir():
        raise IndexFolderError(
            f"{folder}: there is no such folder; build an index with "
            f"`earful index build CORPUS --index {as_argument(path)}`"
        )
    if is_half_made(folder):
        raise IndexFolderError(
            f"{folder}: holds no index yet: a build was interrupted before its first commit; "
            f"run it again: `earful index build CORPUS --index {as_argument(path)}`"
        )


def is_half_made(folder: Path) -> bool:
    """Tell whether a folder is what a build leaves that ends before its first commit."""
    try:
        require_unused(folder)
    except IndexFolderError:
        return False
    is_begun = (folder / LOCK_NAME).exists()
    return is_begun and not any((folder / TABLE_FOLDER).rglob("*.lance/data/*"))
